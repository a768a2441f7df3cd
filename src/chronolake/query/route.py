"""Where a question is answered, and why: pure decisions, in words that log, answer and metric share."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chronolake.errors import EngineUnavailable, LakeBehind, LakeError, LakeIncomplete, ParameterInvalid


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


def cached_before(lag_s: float | None) -> Route:
    """An answer that the lake gave a while ago, to whoever allows that."""
    return Route(
        Engine.DUCKDB, f"the lake has answered this, {lag_s or 0:g} s behind, which is allowed", Reason.CACHED
    )


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
