"""Exports that were asked for over HTTP: what, how far, and how they ended.

The guarantee: only the newest run of an export moves it, so that a run which was thought dead can neither end it nor
have its file taken for the whole one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from chronolake.errors import ChronolakeError
from chronolake.oltp.statements import statement


@dataclass(frozen=True)
class Export:
    """One export; `share` from 0 to 1, null where nobody can tell; `error` as `ChronolakeError.document` tells it."""

    export_id: UUID
    what: str
    params: dict[str, Any]
    format: str
    #: waiting, running, done or failed
    state: str
    run: int
    failures: int
    share: float | None
    rows: int | None
    bytes: int | None
    as_of_lsn: str | None
    lag_s: float | None
    error: dict[str, str] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Ended:
    """An export that ended, with the bytes of its file; `old` where it ended before the time that was asked about."""

    export_id: UUID
    bytes: int
    old: bool


def add(conn: Connection, export_id: UUID, *, what: str, params: Mapping[str, Any], format_: str) -> None:
    """Note an export that is asked for."""
    values = {"id": export_id, "what": what, "params": Jsonb(dict(params)), "format": format_}
    conn.execute(statement("export_add"), values)


def find(conn: Connection, export_id: UUID) -> Export | None:
    """The export, null where there is none of that id."""
    with conn.cursor(row_factory=class_row(Export)) as cursor:
        return cursor.execute(statement("export_find"), [export_id]).fetchone()


def claim(conn: Connection, export_id: UUID) -> int | None:
    """Begin a run; its number, null where the export is done or gone. Any run before moves nothing any more."""
    row = conn.execute(statement("export_claim"), [export_id]).fetchone()
    return None if row is None else int(row[0])


def progress(conn: Connection, export_id: UUID, run: int, *, share: float | None, size: int) -> bool:
    """Note how far the run is; false where it is not wanted any more."""
    values = {"id": export_id, "run": run, "share": share, "bytes": size}
    return conn.execute(statement("export_progress"), values).rowcount == 1


def done(
    conn: Connection,
    export_id: UUID,
    run: int,
    *,
    rows: int,
    size: int,
    as_of_lsn: str | None,
    lag_s: float | None,
) -> bool:
    """Note that the run's file is whole; false where it is not wanted any more."""
    values = {
        "id": export_id,
        "run": run,
        "rows": rows,
        "bytes": size,
        "as_of_lsn": as_of_lsn,
        "lag_s": lag_s,
    }
    return conn.execute(statement("export_done"), values).rowcount == 1


def failed(
    conn: Connection, export_id: UUID, run: int, error: ChronolakeError | None, *, again: bool
) -> bool:
    """Note that the run came to nothing; false where it was not wanted any more.

    `error` says why, null where it was stopped; `again`: it is run again.
    """
    values = {
        "id": export_id,
        "run": run,
        "error": None if error is None else Jsonb(error.document()),
        "counts": error is not None,
        "again": again,
    }
    return conn.execute(statement("export_failed"), values).rowcount == 1


def remove(conn: Connection, export_id: UUID) -> bool:
    """Forget an export; false where there was none."""
    return conn.execute(statement("export_remove"), [export_id]).rowcount == 1


def ended(conn: Connection, before: datetime) -> list[Ended]:
    """Exports that ended, newest first."""
    with conn.cursor(row_factory=class_row(Ended)) as cursor:
        return cursor.execute(statement("exports_ended"), [before]).fetchall()


def known(conn: Connection, export_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Which of these there are."""
    rows = conn.execute(statement("exports_known"), [list(export_ids)])
    return frozenset(export_id for (export_id,) in rows)
