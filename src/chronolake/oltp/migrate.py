"""Bring the schema up to date: numbered SQL files, applied in order, once, noted with their checksum.

The job queue's tables follow, by the files of the library that keeps it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import Connection

from chronolake.errors import DatabaseMisconfigured, MigrationFailed
from chronolake.oltp import queue_schema
from chronolake.oltp.statements import statement

#: PostgreSQL schema of all our tables.
SCHEMA = "chronolake"
#: Key of the advisory lock of whoever migrates, "migr" in ASCII.
_LOCK = 0x6D696772


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    text: bytes

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.text).hexdigest()


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration there is, in order."""
    found = [
        Migration(int(file.name.partition("_")[0]), file.name, file.read_bytes())
        for file in (files("chronolake.oltp") / "migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return tuple(sorted(found, key=lambda migration: migration.version))


def applied(conn: Connection) -> list[dict[str, Any]]:
    """The migrations this database has: version, name, checksum."""
    rows = conn.execute(statement("migrations_applied")).fetchall()
    return [{"version": version, "name": name, "checksum": checksum} for version, name, checksum in rows]


def migrate(conn: Connection) -> int:
    """Apply what is missing, in one transaction; return how many. The caller commits.

    Where nothing is missing it only reads, so that a role without further rights can open the database.

    Raises:
        MigrationFailed: a file failed, was changed after it was applied, or the database is newer than we, or than the
            library of the job queue.
        DatabaseMisconfigured: the role may not create the schema, or not what a file creates.
    """
    if _complete(conn):
        return 0
    # Whoever comes second waits here and finds nothing left to do.
    conn.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    try:
        exists = conn.execute("SELECT to_regnamespace(%s) IS NOT NULL", [SCHEMA]).fetchone()
        if not (exists and exists[0]):
            conn.execute(b"CREATE SCHEMA " + SCHEMA.encode())
        conn.execute(b"SET LOCAL search_path TO " + SCHEMA.encode())
        conn.execute(b"SET LOCAL client_min_messages TO warning")
        conn.execute(statement("migrations_table"))
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseMisconfigured(
            f"the role of DATABASE_URL may not create the schema {SCHEMA}", hint=_grant(conn)
        ) from error
    _check(applied(conn))
    known = {entry["version"] for entry in applied(conn)}
    missing = [migration for migration in migrations() if migration.version not in known]
    for migration in missing:
        with _told(conn, f"migration {migration.name}"):
            conn.execute(migration.text)
        conn.execute(statement("migration_note"), [migration.version, migration.name, migration.checksum])
    with _told(conn, "the schema of the job queue"):
        return len(missing) + queue_schema.bring_up(conn)


@contextmanager
def _told(conn: Connection, what: str) -> Iterator[None]:
    """An error of PostgreSQL within the block says what could not be applied."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseMisconfigured(
            f"the role of DATABASE_URL may not apply {what}: {error}".strip(),
            hint=f"{_grant(conn)}  What the schema {SCHEMA} holds must belong to that role, too.",
        ) from error
    except psycopg.Error as error:
        raise MigrationFailed(
            f"{what}: {error}".strip(),
            hint="Nothing of it was kept. Mend what the message names, then: chronolake db migrate",
        ) from error


def _grant(conn: Connection) -> str:
    """What gives the role its rights; schemas and publications are both made by CREATE on the database."""
    return f'As the database\'s owner: GRANT CREATE ON DATABASE "{conn.info.dbname}" TO "{conn.info.user}";'


def _complete(conn: Connection) -> bool:
    """Whether every migration is noted; what is noted is checked on the way."""
    row = conn.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.schema_migrations"]).fetchone()
    if not (row and row[0]):
        return False
    conn.execute(b"SET LOCAL search_path TO " + SCHEMA.encode())
    entries = applied(conn)
    _check(entries)
    return len(entries) == len(migrations()) and not queue_schema.missing(conn)


def _check(entries: list[dict[str, Any]]) -> None:
    ours = {migration.version: migration for migration in migrations()}
    for entry in entries:
        migration = ours.get(entry["version"])
        if migration is None:
            raise MigrationFailed(
                f"the database has migration {entry['name']}, which this version of chronolake does not know",
                hint="A newer chronolake has been here: upgrade this one.",
            )
        if migration.checksum != entry["checksum"]:
            raise MigrationFailed(
                f"migration {entry['name']} was changed after it was applied",
                hint="Restore the file as it was; what should differ belongs in a new migration.",
            )
