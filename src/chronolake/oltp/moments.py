"""Moments: a snapshot of the database and an LSN before which everything lies that the snapshot shows.

A lake that has everything that was committed before that LSN has everything that the snapshot shows; it may have more.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import Connection, IsolationLevel, sql

from chronolake.oltp.database import Database, current_lsn
from chronolake.oltp.statements import one, statement

#: How often `writers_ended` looks.
_POLL_S = 0.02


@dataclass(frozen=True)
class Moment:
    """What `conn` sees, from its first statement to its end; `joined` lets others see the same.

    Everything that it shows was committed before `lsn`; something that was committed before `lsn` it may not show.
    """

    database: Database
    conn: Connection
    lsn: str
    snapshot: str

    @contextmanager
    def joined(self) -> Iterator[Connection]:
        """One more connection that sees this moment.

        Raises:
            DatabaseUnavailable: no connection, or it broke.
        """
        with self.database.apart() as conn:
            conn.isolation_level = IsolationLevel.REPEATABLE_READ
            conn.read_only = True
            conn.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(self.snapshot))
            yield conn


@contextmanager
def moment(database: Database) -> Iterator[Moment]:
    """The present, held until the block ends.

    No slot is made for it: that would wait until every transaction ends which has written something.

    Raises:
        DatabaseUnavailable: no connection, or it broke.
    """
    with database.apart() as conn:
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        snapshot = str(one(conn, "snapshot_export")[0])
        # What a snapshot shows need not be on the disk yet, and the stream brings only what is. A commit of our own
        # which is on the disk has everything before it there too.
        with database.connection() as other:
            other.execute(statement("wal_flush_on"))
            other.execute(statement("wal_mark"))
        with database.connection() as other:
            lsn = current_lsn(other)
        yield Moment(database, conn, lsn, snapshot)


def hurry(conn: Connection) -> None:
    """Ask, by the WAL, whoever brings the stream to the lake not to linger."""
    conn.execute(statement("wal_hurry"))


def writers_ended(database: Database, postgres_table: str, *, timeout_s: float) -> bool:
    """Wait until everybody has ended who may have changed the table by now; whether they have, within `timeout_s`.

    A commit goes out by the stream before others can see it. After this, a new snapshot shows every change of the
    table that the stream brought before.
    """
    deadline = time.monotonic() + timeout_s
    waiting: set[str] | None = None
    while True:
        with database.connection() as conn:
            found = {row[0] for row in conn.execute(statement("table_writers"), {"table": postgres_table})}
        waiting = found if waiting is None else waiting & found
        if not waiting:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
