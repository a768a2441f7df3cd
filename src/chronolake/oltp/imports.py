"""Imports: one row for each run of the ingest, with its account of every line, and a lock while it lives."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

from chronolake.oltp.statements import one, statement

#: First key of the advisory locks that living imports hold, "impo" in ASCII; the second is the import's id.
_LOCK_SPACE = 0x696D706F


def begin(
    conn: Connection,
    *,
    project_id: int,
    paths: Sequence[str],
    archive_source: str | None,
    psl_version: str,
    dual_write: bool,
) -> int:
    """Open an import's account; its id."""
    values = {
        "project_id": project_id,
        "paths": list(paths),
        "archive_source": archive_source,
        "psl_version": psl_version,
        "dual_write": dual_write,
    }
    row = one(conn, "import_begin", values)
    return int(row[0])


def next_batch(conn: Connection) -> int:
    """The number of the next batch; numbers may be skipped, none comes twice."""
    row = one(conn, "import_next_batch")
    return int(row[0])


def finish(
    conn: Connection,
    import_id: int,
    *,
    state: str,
    read: int,
    stored: int,
    duplicate: int,
    rejected: int,
    repaired: int,
    rejected_by_reason: Mapping[str, int],
) -> None:
    """Close an import's account; `state` is `done` or `failed`."""
    values = {
        "import_id": import_id,
        "state": state,
        "read": read,
        "stored": stored,
        "duplicate": duplicate,
        "rejected": rejected,
        "repaired": repaired,
        "rejected_by_reason": Jsonb(dict(rejected_by_reason)),
    }
    conn.execute(statement("import_finish"), values)


@contextmanager
def hold(conn: Connection, import_id: int) -> Iterator[None]:
    """Hold the import's lock inside the block; it falls with the session, so a dead import holds nothing."""
    conn.execute("SELECT pg_advisory_lock(%s, %s)", [_LOCK_SPACE, import_id])
    try:
        yield
    finally:
        # A connection that broke has let go of its locks already.
        with suppress(psycopg.OperationalError):
            conn.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK_SPACE, import_id])


def is_held(conn: Connection, import_id: int) -> bool:
    """Whether a living process works on the import."""
    values = {"space": _LOCK_SPACE, "import_id": import_id}
    row = conn.execute(statement("import_is_held"), values).fetchone()
    return bool(row and row[0])


def held(conn: Connection, import_ids: Sequence[int]) -> frozenset[int]:
    """Which of the imports a living process works on."""
    if not import_ids:
        return frozenset()
    values = {"space": _LOCK_SPACE, "import_ids": list(import_ids)}
    return frozenset(import_id for (import_id,) in conn.execute(statement("imports_held"), values))
