"""Attempts: every request to an archive, kept as it is made."""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection

from chronolake.oltp.statements import statement


def add(conn: Connection, attempt: Mapping[str, Any], *, session_id: int | None, project_id: int) -> None:
    """Keep one; `attempt` has the table's other columns."""
    # A URL is whatever somebody typed, and text holds no NUL.
    url = str(attempt["url"]).replace("\x00", "%00")
    values = {**attempt, "url": url, "session_id": session_id, "project_id": project_id}
    conn.execute(statement("attempt_add"), values)


def counts(conn: Connection, session_id: int) -> dict[str, int]:
    """How many of a session's requests went how."""
    return dict(conn.execute(statement("attempt_counts"), [session_id]).fetchall())
