"""Scrape sessions: one for each query to an archive, with the place where its next page begins.

The guarantee: place and account move in the transaction that stores the captures they speak of, and only for the
import that has the session. So whatever moment a process dies at, and whoever takes over, what was stored is
counted once and the next page is the one that is not stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from chronolake.capture.session import STOPPED_BY, WANTS, SessionEvent, SessionState, Wanted, next_state
from chronolake.errors import ChronolakeError, CollectStopped, SessionUnknown
from chronolake.oltp import imports
from chronolake.oltp.statements import one, statement

#: States that a session stays in until somebody does something.
_OVER = frozenset({SessionState.DONE, SessionState.FAILED, SessionState.CANCELLED})


@dataclass(frozen=True)
class ScrapeSession:
    """One session; `archive` and `query` say what is asked, `place` where the next page begins.

    `error` is what ended its newest run early, as `ChronolakeError.document` tells it; `failures` runs in a row did.
    """

    session_id: int
    project_id: int
    project: str
    archive_source: str
    domain: str | None
    state: str
    wanted: str
    archive: dict[str, Any]
    query: dict[str, Any]
    import_id: int | None
    place: str | None
    ended: bool
    pages: int
    read: int
    stored: int
    duplicate: int
    rejected: int
    outside: int
    failures: int
    error: dict[str, str] | None
    #: when a worker tries again, null where no time is set
    next_at: datetime | None
    #: the latest capture that the archive gave, in UTC
    newest: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    #: whether a living process works on it; told by `listed` alone
    alive: bool = field(default=False)


@dataclass(frozen=True)
class Step:
    """What one stored batch adds to its session; `place` counts where a page ends with it."""

    read: int
    stored: int
    duplicate: int
    rejected: int
    outside: int
    page_ends: bool
    place: str | None
    #: the latest capture in it, in UTC
    newest: datetime | None = None


def begin(
    conn: Connection,
    *,
    project_id: int,
    archive_source: str,
    domain: str,
    archive: Mapping[str, Any],
    query: Mapping[str, Any],
) -> int:
    """Begin a session; its id."""
    values = {
        "project_id": project_id,
        "archive_source": archive_source,
        "domain": domain,
        "archive": Jsonb(dict(archive)),
        "query": Jsonb(dict(query)),
    }
    return int(one(conn, "session_begin", values)[0])


def find(conn: Connection, session_id: int) -> ScrapeSession | None:
    """The session of that id, null where there is none that can be gone on with."""
    with conn.cursor(row_factory=class_row(ScrapeSession)) as cursor:
        return cursor.execute(statement("session_find"), [session_id]).fetchone()


def listed(
    conn: Connection, *, project: str | None = None, state: SessionState | None = None, limit: int = 100
) -> list[ScrapeSession]:
    """The newest sessions of a project and in a state, of all where none is given."""
    values = {"project": project, "state": state, "limit": limit}
    with conn.cursor(row_factory=class_row(ScrapeSession)) as cursor:
        found = cursor.execute(statement("sessions_listed"), values).fetchall()
    living = imports.held(conn, [session.import_id for session in found if session.import_id is not None])
    return [replace(session, alive=session.import_id in living) for session in found]


def unfinished(
    conn: Connection, *, project_id: int, archive: Mapping[str, Any], query: Mapping[str, Any]
) -> int | None:
    """The newest session that asks the same and has not come to its end."""
    values = {"project_id": project_id, "archive": Jsonb(dict(archive)), "query": Jsonb(dict(query))}
    row = conn.execute(statement("session_unfinished"), values).fetchone()
    return None if row is None else int(row[0])


def unended(
    conn: Connection, *, project_id: int, archive: Mapping[str, Any], scope: Mapping[str, Any]
) -> list[ScrapeSession]:
    """Sessions that ask the same, whatever the range, and can still come to their end; oldest first.

    `scope` is a query's document without `start` and `end`.
    """
    values = {"project_id": project_id, "archive": Jsonb(dict(archive)), "scope": Jsonb(dict(scope))}
    with conn.cursor(row_factory=class_row(ScrapeSession)) as cursor:
        return cursor.execute(statement("sessions_of_scope"), values).fetchall()


def reach(
    conn: Connection, *, project_id: int, archive: Mapping[str, Any], scope: Mapping[str, Any]
) -> datetime | None:
    """The latest capture, in UTC, of the sessions that asked the same, whatever the range, and came to their end."""
    values = {"project_id": project_id, "archive": Jsonb(dict(archive)), "scope": Jsonb(dict(scope))}
    found: datetime | None = one(conn, "session_reach", values)[0]
    return found


def ask(conn: Connection, session_id: int, event: SessionEvent) -> SessionState:
    """Have a session paused, resumed or cancelled; its state now.

    A living run ends itself when it sees that it is not wanted any more, so the state may follow.

    Raises:
        SessionUnknown: there is none of that number.
        SessionEnded: nothing of that kind can happen to it.
    """
    row = conn.execute(statement("session_lock"), [session_id]).fetchone()
    if row is None:
        raise SessionUnknown(f"there is no scrape session {session_id}")
    state, _, _, import_id = row
    wished = next_state(SessionState(state), event)
    conn.execute(statement("session_want"), {"session_id": session_id, "wanted": WANTS[event]})
    if import_id is not None and imports.is_held(conn, import_id):
        return SessionState(state)
    _tell(conn, session_id, import_id, wished)
    return wished


def wanted(conn: Connection, session_id: int) -> Wanted:
    """What people want of a session; of one that is gone, nothing more."""
    row = conn.execute(statement("session_wanted"), [session_id]).fetchone()
    return Wanted.CANCEL if row is None else Wanted(row[0])


def claim(conn: Connection, session: ScrapeSession, import_id: int) -> bool:
    """Let the import work on the session.

    False where another has begun to since `session` was read, or people want it left alone.
    """
    values = {
        "session_id": session.session_id,
        "import_id": import_id,
        "seen_import_id": session.import_id,
        "state": next_state(SessionState(session.state), SessionEvent.BEGUN),
    }
    return conn.execute(statement("session_claim"), values).rowcount == 1


def advance(conn: Connection, session_id: int, import_id: int, step: Step) -> bool:
    """Move the session on, in the transaction of `conn`; false where the import has it no more: roll back then."""
    values = {"session_id": session_id, "import_id": import_id, **vars(step)}
    return conn.execute(statement("session_advance"), values).rowcount == 1


def tell(conn: Connection, session_id: int, import_id: int | None) -> None:
    """Bring the session's row, which the lake sees, up to its progress.

    Nothing happens where another import has the session. Not to be called in a transaction that stages a batch.
    """
    _tell(conn, session_id, import_id, None)


def over(
    conn: Connection,
    session_id: int,
    import_id: int | None,
    failure: ChronolakeError | None,
    *,
    event: SessionEvent,
    again_s: float | None,
) -> None:
    """End the import's run of the session, and say how it stands: what has come to its end is done.

    Otherwise `event` happened to it, unless people wanted something else meanwhile. `failure` is kept, with that it is
    tried again in `again_s` seconds. Nothing happens where another import has the session.
    """
    row = conn.execute(statement("session_lock"), [session_id]).fetchone()
    if row is None or row[3] != import_id:
        return
    state, wished, ended, _ = row
    if ended:
        event, failure, again_s = SessionEvent.ENDED, None, None
    elif wished != Wanted.RUN:
        event, again_s = STOPPED_BY[Wanted(wished)], None
    if failure is not None and not isinstance(failure, CollectStopped):
        values = {
            "session_id": session_id,
            "import_id": import_id,
            "error": Jsonb(failure.document()),
            "again_s": again_s,
        }
        conn.execute(statement("session_failure"), values)
    _tell(conn, session_id, import_id, next_state(SessionState(state), event))


def _tell(conn: Connection, session_id: int, import_id: int | None, state: SessionState | None) -> None:
    values = {"session_id": session_id, "import_id": import_id, "state": state, "over": state in _OVER}
    conn.execute(statement("session_tell"), values)
