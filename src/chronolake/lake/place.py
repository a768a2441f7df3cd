"""Where a lake lies: its catalog in PostgreSQL, its files, and how an engine is attached to both."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from chronolake.errors import LakeBusy, LakeUnavailable
from chronolake.lake.commit import CATALOG_SCHEMA
from chronolake.lake.engine import quoted
from chronolake.lake.failure import Scrubber
from chronolake.settings import Settings

#: Key of the advisory lock under which the lake's tables are made: "lktb" in ASCII.
SETUP_LOCK = 0x6C6B7462


@contextmanager
def catalog(settings: Settings, database_url: str, scrub: Scrubber) -> Iterator[psycopg.Connection]:
    """A connection of its own to the PostgreSQL that holds the catalog.

    Raises:
        LakeUnavailable: it cannot be reached, or refused what the block asked.
    """
    try:
        with psycopg.connect(
            database_url, autocommit=True, connect_timeout=_connect_timeout_s(settings)
        ) as conn:
            yield conn
    except psycopg.Error as error:
        raise LakeUnavailable(f"the lake's catalog cannot be reached: {scrub(str(error))}") from None


def wait_for_setup(conn: psycopg.Connection, timeout_s: float) -> None:
    """Hold a lock until `conn` closes, so that of several processes one makes the lake.

    Raises:
        LakeBusy: another process holds it for longer than `timeout_s`.
    """
    conn.execute("SELECT set_config('lock_timeout', %s, false)", [str(round(timeout_s * 1000))])
    try:
        conn.execute("SELECT pg_advisory_lock(%s)", [SETUP_LOCK])
    except psycopg.errors.LockNotAvailable:
        raise LakeBusy("another process has been making the lake for too long") from None


def recorded(conn: psycopg.Connection) -> str | None:
    """Where the catalog says that the files are; null where the database has no catalog."""
    metadata = f"{CATALOG_SCHEMA}.ducklake_metadata"
    held = conn.execute("SELECT to_regclass(%s)", [metadata]).fetchone()
    if not (held and held[0]):
        return None
    row = conn.execute(f"SELECT value FROM {metadata} WHERE key = 'data_path'").fetchone()
    return str(row[0]) if row else None


def of_files(settings: Settings, recorded: str | None) -> str:
    """Where the files are, by the settings and by what the catalog says; a new lake gets a new folder.

    Raises:
        LakeUnavailable: the catalog tells a place that is not the settings', or one that they do not allow.
    """
    path = settings.lake_path
    lakes = settings.lakes
    if path is None and recorded is None:
        # Never that of another: what no catalog of this database knows may be another database's.
        path = str(lakes / str(uuid.uuid4()))
    elif path is None:
        # Lakes that were made before each had a folder of its own lie in `lakes` itself.
        path = str(Path(recorded or ""))
        if "://" in (recorded or "") or not Path(path).is_relative_to(lakes):
            raise LakeUnavailable(
                f"the lake of this database lies in {recorded}, not in {lakes}",
                hint=f"Where its files are there, set CHRONOLAKE_LAKE_PATH={recorded}",
            )
    if path.startswith("s3://") and not settings.duckdb.enable_s3:
        raise LakeUnavailable(f"the lake lies at {path}, but DUCKDB_ENABLE_S3 is off")
    return path


def make_folder(path: str) -> None:
    """Make the files' folder, where they lie in one.

    Raises:
        LakeUnavailable: it cannot be made.
    """
    if "://" in path:
        return
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeUnavailable(
            f"the lake's folder {path} cannot be made: {error.strerror}",
            hint="Set CHRONOLAKE_LAKE_PATH or CHRONOLAKE_HOME to a folder that can be written.",
        ) from error


def attaching(settings: Settings, database_url: str, path: str, scrub: Scrubber, *, read_only: bool) -> str:
    """The statement by which an engine attaches the lake as `lake`.

    Raises:
        LakeUnavailable: the database's address cannot be read.
    """
    try:
        conninfo = make_conninfo(
            database_url, application_name="chronolake lake", connect_timeout=_connect_timeout_s(settings)
        )
    except psycopg.ProgrammingError as error:
        raise LakeUnavailable(f"the database's address cannot be read: {scrub(str(error))}") from None
    options = f"DATA_PATH {quoted(path)}, METADATA_SCHEMA {quoted(CATALOG_SCHEMA)}"
    # Inlining is off: our commits know of rows in files alone.
    mode = "READ_ONLY" if read_only else "DATA_INLINING_ROW_LIMIT 0"
    return f"ATTACH {quoted('ducklake:postgres:' + conninfo)} AS lake ({options}, {mode})"


def _connect_timeout_s(settings: Settings) -> int:
    return max(2, round(settings.database.connect_timeout_s))
