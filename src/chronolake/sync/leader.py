"""One worker leads: an advisory lock elects it, and its term's number keeps a former one from committing.

The lock belongs to a connection of its own and falls with it, so a leader that dies blocks nobody. A leader that only
lost that connection may not know: the catalog refuses the commits of an older term.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from chronolake.errors import DatabaseUnavailable
from chronolake.oltp import Database

#: Key of the advisory lock that the leader holds: "lake" in ASCII.
LEADER_LOCK = 0x6C616B65


class Leadership:
    """The lock while it is held."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn

    def check(self) -> None:
        """Make sure that the lock is still ours.

        Raises:
            DatabaseUnavailable: its connection broke, and another may lead.
        """
        try:
            self._conn.execute("SELECT 1")
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"the leader's lock was lost: {str(error).strip()}") from None


@contextmanager
def leading(database: Database, *, timeout_s: float) -> Iterator[Leadership | None]:
    """Lead within the block, where nobody else does; None where somebody does.

    Raises:
        DatabaseUnavailable: no server answers.
    """
    try:
        conn = psycopg.connect(
            database.url,
            autocommit=True,
            connect_timeout=max(2, round(timeout_s)),
            application_name="chronolake leader",
        )
    except psycopg.Error as error:
        raise DatabaseUnavailable(f"PostgreSQL: {str(error).strip()}") from None
    # The lock falls as the connection closes; nothing is to be committed on it.
    with closing(conn):
        try:
            row = conn.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK]).fetchone()
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"PostgreSQL: {str(error).strip()}") from None
        yield Leadership(conn) if row and row[0] else None
