"""Scrape sessions: one for each query to an archive, with the place where its next page begins.

The guarantee: place and account move in the transaction that stores the captures they speak of, and only for the
import that has the session. So whatever moment a process dies at, and whoever takes over, what was stored is
counted once and the next page is the one that is not stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from chronolake.oltp.statements import one, statement


@dataclass(frozen=True)
class ScrapeSession:
    """One session; `archive` and `query` say what is asked, `place` where the next page begins."""

    session_id: int
    project_id: int
    project: str
    archive_source: str
    state: str
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


def unfinished(
    conn: Connection, *, project_id: int, archive: Mapping[str, Any], query: Mapping[str, Any]
) -> int | None:
    """The newest session that asks the same and has not come to its end."""
    values = {"project_id": project_id, "archive": Jsonb(dict(archive)), "query": Jsonb(dict(query))}
    row = conn.execute(statement("session_unfinished"), values).fetchone()
    return None if row is None else int(row[0])


def claim(conn: Connection, session: ScrapeSession, import_id: int) -> bool:
    """Let the import work on the session; false where another has begun to since `session` was read."""
    values = {
        "session_id": session.session_id,
        "import_id": import_id,
        "seen_import_id": session.import_id,
    }
    return conn.execute(statement("session_claim"), values).rowcount == 1


def advance(conn: Connection, session_id: int, import_id: int, step: Step) -> bool:
    """Move the session on, in the transaction of `conn`; false where the import has it no more: roll back then."""
    values = {"session_id": session_id, "import_id": import_id, **vars(step)}
    return conn.execute(statement("session_advance"), values).rowcount == 1


def tell(conn: Connection, session_id: int, import_id: int | None, state: str) -> None:
    """Bring the session's row, which the lake sees, up to its progress; `state` unless it has come to its end.

    Nothing happens where another import has the session. Not to be called in a transaction that stages a batch.
    """
    values = {"session_id": session_id, "import_id": import_id, "state": state}
    conn.execute(statement("session_tell"), values)
