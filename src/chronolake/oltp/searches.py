"""The search history: what was asked, and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from psycopg import Connection

from chronolake.oltp.statements import statement

#: A table that is locked for longer, as while a column is added, is not waited for: what was asked is lost, no more.
TIMEOUT_S = 5.0
#: Questions that are told of, equal ones once: the rest took less than any of these.
COUNTED_AT_MOST = 500
#: Rows that one statement deletes: a fraction of a second's work, and a small transaction for the stream.
FORGOTTEN_AT_ONCE = 10_000
#: No row is let go before one is so much too old: the look is cheap, and the work comes seldom.
FORGOTTEN_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Search:
    """One question that was asked: a row of `search_history` without its number."""

    question: str
    query_text: str | None
    project_id: int | None
    project_count: int | None
    engine: str | None
    reason: str | None
    error_class: str | None
    rollups: str | None
    elapsed_ms: float
    rows: int | None
    searched_at: datetime


@dataclass(frozen=True)
class Timed:
    """One question that an engine computed, `age_s` ago; `scoped` where it was not about everything."""

    question: str
    query_text: str
    scoped: bool
    engine: str
    elapsed_ms: float
    age_s: float


@dataclass(frozen=True)
class Counted:
    """Questions that were asked alike: of that text, of one project (1), of several (2), or of all (null)."""

    question: str
    query_text: str
    project_count: int | None
    times: int
    seconds: float


def add(conn: Connection, searches: Sequence[Search]) -> None:
    """Write them down, in one statement, within TIMEOUT_S."""
    _bound(conn)
    names = [field.name for field in fields(Search)]
    conn.execute(
        statement("searches_add"), {name: [getattr(search, name) for search in searches] for name in names}
    )


def forget(conn: Connection, before: datetime, *, at_once: bool = False) -> int:
    """Let go of what was asked before a moment, in UTC, FORGOTTEN_AT_ONCE rows at most; how many went.

    Nothing goes before a row is FORGOTTEN_EVERY older than that, unless it is to be done `at_once`.
    """
    _bound(conn)
    interval = timedelta(0) if at_once else FORGOTTEN_EVERY
    values = {"before": before, "interval": interval, "most": FORGOTTEN_AT_ONCE}
    return conn.execute(statement("searches_forget"), values).rowcount


def counted(conn: Connection, since: datetime) -> list[Counted]:
    """What was answered from the lake's tables themselves since a moment, in UTC; what took longest in all first.

    COUNTED_AT_MOST of them.
    """
    values = {"since": since, "most": COUNTED_AT_MOST}
    return [Counted(*row) for row in conn.execute(statement("searches_counted"), values)]


def counted_of_postgres(conn: Connection, since: datetime) -> list[Counted]:
    """What PostgreSQL answered since a moment, as `counted`; what named its engine does not count."""
    values = {"since": since, "most": COUNTED_AT_MOST}
    return [Counted(*row) for row in conn.execute(statement("searches_of_postgres"), values)]


def timed(conn: Connection, since: datetime, most: int) -> list[Timed]:
    """What engines took of late, since a moment in UTC: the newest `most`, the oldest of these first."""
    rows = conn.execute(statement("searches_timed"), {"since": since, "most": most}).fetchall()
    return [Timed(*row) for row in reversed(rows)]


def rollups_read(conn: Connection, since: datetime) -> set[str]:
    """Names of the rollups that answers were read from since a moment, in UTC."""
    return {row[0] for row in conn.execute(statement("searches_rollups_read"), {"since": since})}


def _bound(conn: Connection) -> None:
    conn.execute(statement("statement_timeout"), {"timeout_ms": str(round(TIMEOUT_S * 1000))})
