"""Every question of the catalogue, asked plainly of the lake and of PostgreSQL, by our own router.

The engine is named, so that neither the cache nor a rollup answers. Answers are compared before they are timed.
"""

import asyncio
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chronolake.bench.engines import Rows
from chronolake.bench.timing import Timing
from chronolake.capture.columns import SEARCH_HISTORY
from chronolake.clock import Clock
from chronolake.errors import ChronolakeError, QueryTimeout
from chronolake.query import QUESTIONS, HybridQueryRouter, Question, Scope
from chronolake.query.text import tables_read

#: Seconds after which an engine is asked no further; such a question counts as that long, and is told so.
DEADLINE_S = 60.0
#: Timed runs of each engine, and of one whose first run took longer than LONG_S.
RUNS, LONG_RUNS, LONG_S = 3, 1, 10.0
#: A double has some 16 digits, and a sum of ten million of them loses a few.
_ROUNDING = 1e-9
#: A metric that the home has samples of, and the halves of the time that captures are generated in.
_METRIC = "chronolake_cache_bytes"
_PERIODS = {"start": "2015", "end": "2019", "other_start": "2020", "other_end": "2024"}


@dataclass(frozen=True)
class Asked:
    """A question on both engines. `stopped`: PostgreSQL was stopped at the deadline, so it takes longer than told."""

    question: str
    params: Mapping[str, Any]
    rows: int | None
    lake: Timing
    postgres: Timing
    stopped: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times longer PostgreSQL took, by medians; at least so many where it was stopped."""
        if not self.lake.median_s or self.postgres.median_s is None:
            return None
        return self.postgres.median_s / self.lake.median_s


def plain(question: Question, *, domain: str, projects: list[str]) -> dict[str, Any]:
    """What the question cannot be asked without, and nothing else."""
    given = {
        "domain": domain,
        "project": projects[0],
        "projects": projects[:2],
        "metric": _METRIC,
        **_PERIODS,
    }
    needed = [name for name, field in question.params.model_fields.items() if field.is_required()]
    return {name: given[name] for name in needed}


def measure(
    router: HybridQueryRouter,
    *,
    domain: str,
    projects: list[str],
    clock: Clock,
    deadline_s: float = DEADLINE_S,
) -> tuple[Asked, ...]:
    """Ask every question; `deadline_s` is the one that the router has."""
    return tuple(
        _measured(router, question, plain(question, domain=domain, projects=projects), clock, deadline_s)
        for question in QUESTIONS.values()
    )


def median_ratio(asked: tuple[Asked, ...]) -> float | None:
    """The middle one of the ratios that there are."""
    ratios = [one.ratio for one in asked if one.ratio is not None]
    return statistics.median(ratios) if ratios else None


def alike(some: Rows, others: Rows) -> bool:
    """Whether rows are equal, in order; sums of fractions may differ where they were added up in another order."""
    return len(some) == len(others) and all(
        one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
        for one, other in zip(some, others, strict=True)
    )


def _is_still(question: Question) -> bool:
    """Whether its rows lie still while it is asked: what is asked is itself written to the search history."""
    return SEARCH_HISTORY.name not in {table.name for table in tables_read(question.tree)}


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return one == other


def _measured(
    router: HybridQueryRouter, question: Question, params: dict[str, Any], clock: Clock, deadline_s: float
) -> Asked:
    def on(engine: str) -> Callable[[], Rows]:
        return lambda: (
            asyncio.run(router.ask(question.name, params, scope=Scope.everything(), engine=engine)).rows
        )

    lake, postgres = on("duckdb"), on("postgres")
    try:
        expected = lake()
    except ChronolakeError as error:
        return Asked(question.name, params, None, Timing("lake", error=error.message), Timing("postgres"))
    try:
        first_s, given = _timed(postgres, clock)
    except QueryTimeout:
        runs = tuple(_timed(lake, clock)[0] for _ in range(RUNS))
        stopped = Timing("postgres", (deadline_s,))
        return Asked(question.name, params, len(expected), Timing("lake", runs), stopped, stopped=True)
    except ChronolakeError as error:
        return Asked(
            question.name, params, len(expected), Timing("lake"), Timing("postgres", error=error.message)
        )
    if _is_still(question) and not alike(given, expected):
        error_ = f"the engines differ: {len(expected)} rows of the lake, {len(given)} of PostgreSQL"
        return Asked(question.name, params, len(expected), Timing("lake"), Timing("postgres", error=error_))
    long = first_s > LONG_S
    times: dict[str, list[float]] = {"lake": [], "postgres": [first_s] if long else []}
    for turn in range(RUNS):
        pair = [("lake", lake), ("postgres", postgres)]
        for name, work in pair if turn % 2 else reversed(pair):
            if name == "lake" or len(times[name]) < (LONG_RUNS if long else RUNS):
                times[name].append(_timed(work, clock)[0])
    return Asked(
        question.name,
        params,
        len(expected),
        Timing("lake", tuple(times["lake"])),
        Timing("postgres", tuple(times["postgres"])),
    )


def _timed(work: Callable[[], Rows], clock: Clock) -> tuple[float, Rows]:
    started = clock.monotonic()
    rows = work()
    return clock.monotonic() - started, rows
