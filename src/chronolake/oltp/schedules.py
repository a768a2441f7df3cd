"""Schedules: what is collected again and again, how often, and when next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from chronolake.errors import ChronolakeError
from chronolake.oltp.statements import one, statement


@dataclass(frozen=True)
class Schedule:
    """One schedule; `archive` is null where the project's policy chooses. Times have their zone."""

    schedule_id: int
    project_id: int
    project: str
    archive: dict[str, Any] | None
    query: dict[str, Any]
    #: a duration, or five cron fields in UTC
    every: str
    #: whether a run asks only for what is newer than the last one that ended
    incremental: bool
    paused: bool
    next_at: datetime
    last_at: datetime | None
    last_session_id: int | None
    #: why the newest tick came to nothing, as `ChronolakeError.document` tells it
    error: dict[str, str] | None
    created_at: datetime


def add(
    conn: Connection,
    *,
    project_id: int,
    archive: Mapping[str, Any] | None,
    query: Mapping[str, Any],
    every: str,
    incremental: bool,
    next_at: datetime,
) -> int:
    """Note a schedule; its id."""
    values = {
        "project_id": project_id,
        "archive": None if archive is None else Jsonb(dict(archive)),
        "query": Jsonb(dict(query)),
        "every": every,
        "incremental": incremental,
        "next_at": next_at,
    }
    return int(one(conn, "schedule_add", values)[0])


def listed(conn: Connection, schedule_id: int | None = None) -> list[Schedule]:
    """Schedules, oldest first: all, or the one of that id."""
    with conn.cursor(row_factory=class_row(Schedule)) as cursor:
        return cursor.execute(statement("schedules_listed"), {"id": schedule_id}).fetchall()


def due(conn: Connection, now: datetime, seen: Sequence[int]) -> Schedule | None:
    """The schedule that is due longest, less those that were `seen`; it is ours until the transaction ends."""
    with conn.cursor(row_factory=class_row(Schedule)) as cursor:
        values = {"now": now, "seen": list(seen)}
        return cursor.execute(statement("schedule_due"), values).fetchone()


def ticked(
    conn: Connection,
    schedule_id: int,
    *,
    now: datetime,
    next_at: datetime,
    session_id: int | None,
    error: ChronolakeError | None,
) -> None:
    """Note what came of a tick, and when the next one is."""
    values = {
        "id": schedule_id,
        "now": now,
        "next_at": next_at,
        "session_id": session_id,
        "error": None if error is None else Jsonb(error.document()),
    }
    conn.execute(statement("schedule_ticked"), values)


def pause(conn: Connection, schedule_id: int, *, paused: bool) -> bool:
    """Pause a schedule, or let it go on; false where there is none of that id."""
    values = {"id": schedule_id, "paused": paused}
    return conn.execute(statement("schedule_pause"), values).rowcount == 1


def remove(conn: Connection, schedule_id: int) -> bool:
    """Forget a schedule; false where there is none of that id."""
    return conn.execute(statement("schedule_remove"), [schedule_id]).rowcount == 1
