"""Replication origins: a tag on transactions whose rows the lake gets by another road than the stream.

The stream is asked for what has no origin, so the server passes over such transactions without decoding them. Tagging
needs a right that not every role has; without it the stream shows the rows, and the sync leaves them out.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import Connection

from chronolake.oltp.statements import statement
from chronolake.telemetry import logs

#: Origins of a database. One session may use one at a time, an import uses two, and a server has ten by default.
COUNT = 4

_log = logs.get_logger(__name__)


class Origins:
    """Tags the transactions of one process, where it may and an origin is free."""

    def __init__(self) -> None:
        self._allowed = True

    @contextmanager
    def tagging(self, conn: Connection) -> Iterator[None]:
        """Tag the transaction that `conn` runs within the block, and commit it at its end."""
        tagged = self._allowed and self._take(conn)
        try:
            yield
            conn.commit()
        finally:
            if tagged:
                # A connection that broke has let go of its origin already.
                with suppress(psycopg.OperationalError, psycopg.InterfaceError):
                    conn.rollback()
                    conn.execute("SELECT pg_replication_origin_session_reset()")
                    conn.commit()

    def _take(self, conn: Connection) -> bool:
        for number in range(COUNT):
            try:
                with conn.transaction():
                    conn.execute(statement("origin_make"), {"number": number})
                with conn.transaction():
                    conn.execute(statement("origin_take"), {"number": number})
            except psycopg.errors.ObjectInUse:
                continue
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ConfigurationLimitExceeded) as error:
                _log.info("ingest.untagged", reason=str(error).strip())
                self._allowed = False
                return False
            except psycopg.errors.UniqueViolation:
                # Another process made it in the same moment.
                continue
            return True
        return False
