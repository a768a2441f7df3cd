"""The connection to PostgreSQL: server, schema and pool open together, and its errors become ours."""

import select
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout

from chronolake.errors import (
    ChronolakeError,
    DatabaseConflict,
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
)
from chronolake.oltp import migrate
from chronolake.oltp.embedded import EmbeddedServer
from chronolake.oltp.statements import one
from chronolake.settings import Settings

#: Oldest server that is supported, as `server_version_num` writes it.
OLDEST_VERSION = 160_000


@dataclass(frozen=True)
class ServerFacts:
    """What the server is (`server_version_num`), and which database of all there are."""

    version: int
    instance: UUID


class Database:
    """PostgreSQL with our schema in it. Thread-safe; made by `Database.open`."""

    def __init__(self, *, url: str, facts: ServerFacts, pool: ConnectionPool[Connection]) -> None:
        #: address as libpq reads it, with its secret: never to be logged
        self.url = url
        self.server_version = facts.version
        #: which database this is, of all there are; a copy made by PostgreSQL's own means keeps it
        self.instance = facts.instance
        self._pool = pool

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator[Self]:
        """Start or join the embedded server unless DATABASE_URL is set, bring the schema up to date, connect.

        Raises:
            DatabaseUnavailable: no server answers.
            DatabaseMisconfigured: it is older than 16, `wal_level` is not logical, or a right is missing.
            MigrationFailed: the schema could not be brought up to date.
        """
        with ExitStack() as stack:
            secret = settings.database.url
            if secret is None:
                server = EmbeddedServer(settings.home.root)
                server.start()
                stack.callback(server.stop)
                url = server.url
            else:
                url = secret.get_secret_value()
            timeout_s = settings.database.connect_timeout_s
            facts = _prepare(url, timeout_s)
            pool: ConnectionPool[Connection] = ConnectionPool(
                url,
                min_size=1,
                max_size=settings.database.pool_size,
                timeout=timeout_s,
                kwargs={"connect_timeout": max(2, round(timeout_s))},
                configure=_configure,
                check=_check,
                open=False,
            )
            with pool:
                yield cls(url=url, facts=facts, pool=pool)

    @contextmanager
    def connection(self, *, wait_s: float | None = None) -> Iterator[Connection]:
        """A connection with a transaction: committed at the block's end, rolled back on an error.

        A free one is waited for as long as CHRONOLAKE_DB_CONNECT_TIMEOUT_S says, or `wait_s`.

        Raises:
            DatabaseUnavailable: no connection, or it broke.
            DatabaseConflict: another transaction was in the way; the same again will do.
            DatabaseError: PostgreSQL refused.
        """
        with _translated(), self._pool.connection(wait_s) as conn:
            yield conn

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """A connection for single statements that read: each is a transaction by itself, which saves two round trips.

        Raises:
            DatabaseError: as `connection`.
        """
        with _translated(), ExitStack() as stack:
            with _glancing():
                conn = stack.enter_context(self._pool.connection())
            conn.autocommit = True
            try:
                yield conn
            finally:
                if not conn.closed:
                    conn.autocommit = False

    @contextmanager
    def apart(self, purpose: str = "verify", *, autocommit: bool = False) -> Iterator[Connection]:
        """A connection outside the pool, for what takes long: else as `connection`.

        With `autocommit` each statement is a transaction by itself, as some have to be.
        """
        with _translated(), psycopg.connect(self.url, application_name=f"chronolake {purpose}") as conn:
            _configure(conn)
            conn.autocommit = autocommit
            yield conn

    def migrations(self) -> list[dict[str, Any]]:
        """The migrations this database has: version, name, checksum."""
        with self.connection() as conn:
            return migrate.applied(conn)


def _check(conn: Connection) -> None:
    """Refuse a connection that its server has ended.

    One that is as it was left has nothing to be read from it, while an end is told by bytes and the end of the stream.
    For a glance that is enough, and saves a round trip.
    """
    if not _caller.glances or conn.closed or _has_news(conn.pgconn.socket):
        ConnectionPool.check_connection(conn)


class _Caller(threading.local):
    """What a thread wants a connection for: the pool checks it in the thread that asks."""

    glances = False


_caller = _Caller()


@contextmanager
def _glancing() -> Iterator[None]:
    _caller.glances = True
    try:
        yield
    finally:
        _caller.glances = False


def _has_news(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def current_lsn(conn: Connection) -> str:
    """Where the server's WAL is now."""
    row = one(conn, "current_lsn")
    return str(row[0])


def insert_lsn(conn: Connection) -> str:
    """An LSN past every commit that can be seen now, those too that are not on the disk yet."""
    row = one(conn, "insert_lsn")
    return str(row[0])


def _prepare(url: str, timeout_s: float) -> ServerFacts:
    """Check what the server must have and migrate; what was found."""
    with _translated():
        try:
            connection = psycopg.connect(url, connect_timeout=max(2, round(timeout_s)))
        except psycopg.ProgrammingError:
            # The driver's own message would quote the address, secret and all.
            raise DatabaseUnavailable(
                "DATABASE_URL cannot be read",
                hint="Write it as postgresql://user:password@host:port/database",
            ) from None
        with connection as conn:
            row = one(conn, "server_facts")
            version, wal_level = row
            if version < OLDEST_VERSION:
                raise DatabaseMisconfigured(
                    f"PostgreSQL {version // 10_000} is too old", hint="Use PostgreSQL 16 or newer."
                )
            if wal_level != "logical":
                raise DatabaseMisconfigured(
                    f"wal_level of the server is {wal_level}, but must be logical",
                    hint="As a superuser: ALTER SYSTEM SET wal_level = logical;  then restart the server.",
                )
            migrate.migrate(conn)
            [instance] = one(conn, "instance")
    return ServerFacts(version=version, instance=instance)


def _configure(conn: Connection) -> None:
    conn.execute(b"SET search_path TO " + migrate.SCHEMA.encode() + b", public")
    conn.execute("SET timezone TO 'UTC'")
    conn.commit()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ChronolakeError:
        raise
    except psycopg.errors.DiskFull as error:
        raise DatabaseError(
            f"PostgreSQL has no room left: {_told(error)}",
            hint="Free room on its disk, then run the same command again: nothing is stored twice.",
        ) from error
    except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
        raise DatabaseConflict(f"PostgreSQL: {_told(error)}") from error
    except PoolTimeout as error:
        raise DatabaseUnavailable(f"no connection to PostgreSQL: {error}") from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"PostgreSQL: {_told(error)}") from error
    except psycopg.Error as error:
        raise DatabaseError(f"PostgreSQL: {_told(error)}") from error


def _told(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip() or type(error).__name__
