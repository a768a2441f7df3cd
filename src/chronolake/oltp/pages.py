"""Pages, their entities, the payloads that gave none, and the captures that were passed over, with the reason."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from chronolake.capture.candidate import Candidate
from chronolake.oltp.statements import statement


@dataclass(frozen=True)
class Pick:
    """Which captures of a project are looked at; `first` and `last` are inclusive, without a zone.

    Those that have become pages, failed, or were decided against are left out, unless `again`; a decision whose
    reason is `included` does not count.
    """

    project_id: int
    domain: str | None = None
    archive_source: str | None = None
    first: datetime | None = None
    last: datetime | None = None
    again: bool = False
    included: Sequence[str] = ()


def pick(
    conn: Connection, what: Pick, *, after: Candidate | None, passed_over: Iterable[str], rows: int
) -> list[Candidate]:
    """The next `rows` captures in the order of (domain, timestamp, id), after the one that was seen last.

    Archive sources that are `passed_over` are left out.
    """
    values = {
        **vars(what),
        "included": list(what.included),
        "passed_over": list(passed_over),
        "rows": rows,
        "after_domain": after and after.domain,
        "after_timestamp": after and after.timestamp,
        "after_id": after and after.id,
    }
    with conn.cursor(row_factory=class_row(Candidate)) as cursor:
        # Planned anew each time: which parts of the condition hold makes all the difference.
        return cursor.execute(statement("candidates_pick"), values, prepare=False).fetchall()


def by_digest(conn: Connection, project_id: int, digests: Sequence[str]) -> dict[str, UUID]:
    """By digest a page of the project that was made of that payload."""
    values = {"project_id": project_id, "digests": list(digests)}
    return dict(conn.execute(statement("pages_by_digest"), values).fetchall())


def by_content(conn: Connection, project_id: int, hashes: Sequence[str]) -> dict[str, UUID]:
    """By content hash a page of the project that has that text."""
    values = {"project_id": project_id, "hashes": list(hashes)}
    return dict(conn.execute(statement("pages_by_content"), values).fetchall())


def present(conn: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Which captures have become pages."""
    return {row[0] for row in conn.execute(statement("pages_present"), {"ids": list(ids)})}


def of_captures(conn: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Which captures have become pages; these stay as they are until the transaction ends."""
    return {row[0] for row in conn.execute(statement("pages_of_captures"), {"ids": list(ids)})}


def originals(
    conn: Connection, project_id: int, domains: Iterable[str], digests: Sequence[str]
) -> dict[str, Candidate]:
    """By digest the first capture of these domains that holds the payload."""
    values = {"project_id": project_id, "domains": list(domains), "digests": list(digests)}
    with conn.cursor(row_factory=class_row(Candidate)) as cursor:
        found = cursor.execute(statement("captures_by_digest"), values).fetchall()
    return {candidate.digest: candidate for candidate in found if candidate.digest is not None}


def add(conn: Connection, rows: Sequence[Mapping[str, Any]], *, replace: bool) -> set[UUID]:
    """Store pages; the ids of those that are stored.

    With `replace` they take the place of the captures' pages, without it a page that is there stays.
    """
    if not rows:
        return set()
    stored: set[UUID] = set()
    with conn.cursor() as cursor:
        cursor.executemany(statement("page_replace" if replace else "page_add"), rows, returning=True)
        for result in cursor.results():
            stored.update(row[0] for row in result)
    return stored


def replace_entities(conn: Connection, ids: Sequence[UUID], rows: Sequence[Mapping[str, Any]]) -> None:
    """Let `rows` be the entities of these pages, and no others."""
    conn.execute(statement("page_entities_drop"), {"ids": list(ids)})
    if rows:
        with conn.cursor() as cursor:
            cursor.executemany(statement("page_entity_add"), rows)


def put_failures(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note payloads that gave no page."""
    _each(conn, "page_failure_put", rows)


def drop_failures(conn: Connection, ids: Sequence[UUID]) -> None:
    """Forget the failures of captures that have become pages."""
    conn.execute(statement("page_failures_drop"), {"ids": list(ids)})


def put_decisions(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note why captures become no pages, or would have become none."""
    _each(conn, "decision_put", rows)


def override(conn: Connection, ids: Sequence[UUID]) -> None:
    """Note that decisions against these captures did not keep them from being read."""
    conn.execute(statement("decisions_override"), {"ids": list(ids)})


def _each(conn: Connection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        with conn.cursor() as cursor:
            cursor.executemany(statement(name), rows)
