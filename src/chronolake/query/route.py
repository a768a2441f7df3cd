"""Where a question is answered, and why: pure decisions, in words that log, answer and metric share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from chronolake.errors import (
    ChronolakeError,
    EngineUnavailable,
    LakeBehind,
    LakeError,
    LakeIncomplete,
    ParameterInvalid,
)


class Engine(StrEnum):
    """What computes an answer."""

    DUCKDB = "duckdb"  #: over the lake
    POSTGRES = "postgres"  #: over the truth


class QueryType(StrEnum):
    """What a query is like; the plan's words."""

    USER_AUTH = "user_auth"
    PROJECT_CRUD = "project_crud"
    REAL_TIME = "real_time"
    ANALYTICS = "analytics"
    AGGREGATION = "aggregation"
    TIME_SERIES = "time_series"


#: Reads of few rows, or rows that must be there at once: PostgreSQL's work.
TRANSACTIONAL = frozenset({QueryType.USER_AUTH, QueryType.PROJECT_CRUD, QueryType.REAL_TIME})


class Reason(StrEnum):
    """Why an engine was chosen; labels the metric."""

    ASKED = "asked"
    AS_OF = "as_of"
    ANALYTIC = "analytic"
    CACHED = "cached"
    ROLLUP = "rollup"
    TRANSACTIONAL = "transactional"
    LAKE_OFF = "lake_off"
    LAKE_FAILED = "lake_failed"
    LAKE_INCOMPLETE = "lake_incomplete"
    LAKE_BEHIND = "lake_behind"
    LAKE_RESTS = "lake_rests"
    CHEAPER = "cheaper"
    POSTGRES_FAILED = "postgres_failed"


#: PostgreSQL is chosen where the lake would take so many times as long, and so many milliseconds longer: below that an
#: estimate says nothing, and PostgreSQL has other work.
MARGIN = 1.2
LEAST_GAIN_MS = 2.0


@dataclass(frozen=True)
class Costs:
    """What a question is expected to cost: milliseconds on each engine, and rows that PostgreSQL would look at."""

    lake_ms: float
    postgres_ms: float
    postgres_rows: int

    def __str__(self) -> str:
        return f"lake about {_told(self.lake_ms)}, postgres about {_told(self.postgres_ms)}"


def _told(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.0f} s"


@dataclass(frozen=True)
class Route:
    """An engine, the reason in words, and its short code."""

    engine: Engine
    reason: str
    code: Reason


def choose(query_type: QueryType, *, asked: Engine | None, lake_off: str | None) -> Route:
    """The engine for a query. `asked` is the one the caller names; `lake_off` says why there is no lake.

    An engine that was asked for is never replaced; whether it can answer shows when it is used.
    """
    if asked is not None:
        return Route(asked, f"{asked.value} was asked for", Reason.ASKED)
    if query_type in TRANSACTIONAL:
        return Route(Engine.POSTGRES, f"{query_type.value} belongs to PostgreSQL", Reason.TRANSACTIONAL)
    if lake_off is not None:
        return Route(Engine.POSTGRES, f"PostgreSQL answers: {lake_off}", Reason.LAKE_OFF)
    kind = query_type.value.replace("_", " ")
    return Route(
        Engine.DUCKDB, f"{kind} over captures: the lake reads only the columns it needs", Reason.ANALYTIC
    )


def by_cost(chosen: Route, costs: Costs, *, cheap_rows: int, postgres_is_free: bool) -> Route:
    """`chosen`, the lake, or PostgreSQL where that is clearly cheaper and can bear it.

    Up to `cheap_rows` are nothing to a database with work of its own; where it has as many questions as it may, it
    gets no other that the lake can answer.
    """
    gain_ms = costs.lake_ms - costs.postgres_ms
    cheaper = costs.lake_ms > costs.postgres_ms * MARGIN and gain_ms >= LEAST_GAIN_MS
    if cheaper and costs.postgres_rows <= cheap_rows and postgres_is_free:
        return Route(Engine.POSTGRES, f"cheaper: {costs}", Reason.CHEAPER)
    return replace(chosen, reason=f"{chosen.reason} ({costs})")


def while_lake_rests(why: str) -> Route:
    """The lake failed again and again, and is let alone."""
    return Route(Engine.POSTGRES, f"PostgreSQL answers: {why}", Reason.LAKE_RESTS)


def after_postgres_failed(error: ChronolakeError) -> Route:
    """PostgreSQL was chosen for its price, and cannot answer."""
    return Route(Engine.DUCKDB, f"the lake answers: {error.message}", Reason.POSTGRES_FAILED)


def without_postgres(why: str, lag_s: float | None) -> Route:
    """PostgreSQL is out of reach; the lake answers as it was known to be before."""
    behind = "nobody knows how far" if lag_s is None else f"{lag_s:g} s"
    return Route(Engine.DUCKDB, f"the lake answers, {behind} behind: {why}", Reason.POSTGRES_FAILED)


def as_of(*, asked: Engine | None, lake_off: str | None) -> Route:
    """The engine for a question about a past state.

    Raises:
        ParameterInvalid: PostgreSQL was asked for.
        EngineUnavailable: there is no lake.
    """
    if asked is Engine.POSTGRES:
        raise ParameterInvalid(
            "PostgreSQL keeps no past states", hint="Leave engine out, or as_of.", parameter="as_of"
        )
    if lake_off is not None:
        raise EngineUnavailable(f"only the lake keeps past states, and {lake_off}")
    return Route(Engine.DUCKDB, "only the lake keeps past states", Reason.AS_OF)


def cached(snapshot_id: int) -> Route:
    """The answer that the lake gave already, of tables whose rows have not changed since `snapshot_id`."""
    return Route(
        Engine.DUCKDB,
        f"the lake has answered this, and what it read has not changed since snapshot {snapshot_id}",
        Reason.CACHED,
    )


def cached_before(engine: Engine, lag_s: float | None) -> Route:
    """An answer that an engine gave a while ago, to whoever allows that."""
    who = "the lake" if engine is Engine.DUCKDB else "PostgreSQL"
    return Route(engine, f"{who} has answered this, {lag_s or 0:g} s behind, which is allowed", Reason.CACHED)


def rolled_up(names: Sequence[str]) -> Route:
    """Cells that were computed before stand for the captures."""
    which = ", ".join(names)
    return Route(Engine.DUCKDB, f"the lake holds what is asked for as a rollup: {which}", Reason.ROLLUP)


def after_failure(error: LakeError) -> Route:
    """Where to go when the lake failed on a query that it was chosen for, or cannot know all of the answer."""
    if isinstance(error, LakeIncomplete):
        reason = f"PostgreSQL answers, for the lake is incomplete: {error.message}"
        return Route(Engine.POSTGRES, reason, Reason.LAKE_INCOMPLETE)
    if isinstance(error, LakeBehind):
        return Route(Engine.POSTGRES, f"PostgreSQL answers: {error.message}", Reason.LAKE_BEHIND)
    return Route(
        Engine.POSTGRES, f"PostgreSQL answers, for the lake failed: {error.message}", Reason.LAKE_FAILED
    )
