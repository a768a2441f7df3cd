"""Every question of the catalogue, asked plainly: of the lake's captures, of PostgreSQL, and as the router answers it.

Where the engine is named neither the cache nor a rollup answers. The router that chooses has no cache, and the rollups
that the optimizer proposes once each question was asked. Answers are compared before they are timed.
"""

import asyncio
import math
import statistics
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chronolake.bench.engines import Rows
from chronolake.bench.timing import Timing
from chronolake.capture.columns import SEARCH_HISTORY
from chronolake.clock import Clock
from chronolake.errors import ChronolakeError, QueryTimeout
from chronolake.query import QUESTIONS, Answer, Engine, HybridQueryRouter, Question, Scope
from chronolake.query.text import tables_read

#: Seconds after which an engine is asked no further; such a question counts as that long, and is told so.
DEADLINE_S = 60.0
#: Timed runs of each; PostgreSQL has but the first where that took longer than LONG_S.
RUNS, LONG_S = 3, 10.0
#: A double has some 16 digits, and a sum of ten million of them loses a few.
_ROUNDING = 1e-9
#: A metric that the home has samples of, and the halves of the time that captures are generated in.
_METRIC = "chronolake_cache_bytes"
_PERIODS = {"start": "2015", "end": "2019", "other_start": "2020", "other_end": "2024"}


@dataclass(frozen=True)
class Asked:
    """A question on both engines, and by the router's own choice, which answers from `routed_to`.

    `stopped`: PostgreSQL was stopped at the deadline, so it takes longer than told.
    """

    question: str
    params: Mapping[str, Any]
    rows: int | None
    lake: Timing
    postgres: Timing
    routed: Timing
    routed_to: str | None = None
    stopped: bool = False

    @property
    def lake_ratio(self) -> float | None:
        """How many times as long as the lake PostgreSQL took, by medians; at least, where it was stopped."""
        return self._over(self.lake)

    @property
    def ratio(self) -> float | None:
        """The same of the router's choice. Where that is PostgreSQL, there is nothing to compare: 1."""
        if self.routed_to == Engine.POSTGRES and self.routed.median_s is not None:
            return 1.0
        return self._over(self.routed)

    def _over(self, ours: Timing) -> float | None:
        if not ours.median_s or self.postgres.median_s is None:
            return None
        return self.postgres.median_s / ours.median_s


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
    choosing: HybridQueryRouter,
    *,
    domain: str,
    projects: list[str],
    clock: Clock,
    deadline_s: float = DEADLINE_S,
) -> tuple[Asked, ...]:
    """Ask every question; `deadline_s` is the one that both routers have, and `choosing` has no cache."""
    trial = _Trial(router, choosing, clock, deadline_s)
    return tuple(
        trial.of(question, plain(question, domain=domain, projects=projects))
        for question in QUESTIONS.values()
    )


def ask_each(router: HybridQueryRouter, *, domain: str, projects: list[str]) -> None:
    """Ask every question once, as users do."""
    for question in QUESTIONS.values():
        with suppress(ChronolakeError):
            _choice(router, question, plain(question, domain=domain, projects=projects))


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


@dataclass(frozen=True)
class _Trial:
    """How one question is tried."""

    router: HybridQueryRouter
    choosing: HybridQueryRouter
    clock: Clock
    deadline_s: float

    def of(self, question: Question, params: dict[str, Any]) -> Asked:
        """The question, asked by each."""

        def on(engine: str) -> Callable[[], Rows]:
            return lambda: (
                asyncio.run(
                    self.router.ask(question.name, params, scope=Scope.everything(), engine=engine)
                ).rows
            )

        def failed(why: str, rows: int | None = None) -> Asked:
            error = Timing("postgres", error=why)
            return Asked(question.name, params, rows, Timing("lake"), error, Timing("routed"))

        lake, postgres = on("duckdb"), on("postgres")
        try:
            expected = lake()
            chosen = _choice(self.choosing, question, params)
        except ChronolakeError as error:
            return failed(error.message)
        count = len(expected)
        works = {"lake": lake, "routed": lambda: _choice(self.choosing, question, params).rows}
        stopped, first_s = False, None
        try:
            first_s, given = self._timed(postgres)
        except QueryTimeout:
            stopped, given = True, expected
        except ChronolakeError as error:
            return failed(error.message, count)
        if _is_still(question):
            for name, rows in (("PostgreSQL", given), ("the router", chosen.rows)):
                if not alike(rows, expected):
                    return failed(f"answers differ: {count} rows of the lake, {len(rows)} of {name}", count)
        times: dict[str, list[float]] = {"lake": [], "routed": [], "postgres": []}
        if stopped:
            times["postgres"] = [self.deadline_s]
        elif first_s is not None and first_s > LONG_S:
            times["postgres"] = [first_s]
        else:
            works["postgres"] = postgres
        for turn in range(RUNS):
            for name, work in list(works.items())[:: 1 if turn % 2 else -1]:
                times[name].append(self._timed(work)[0])
        timings = {name: Timing(name, tuple(runs)) for name, runs in times.items()}
        return Asked(question.name, params, count, **timings, routed_to=_place(chosen), stopped=stopped)

    def _timed(self, work: Callable[[], Rows]) -> tuple[float, Rows]:
        started = self.clock.monotonic()
        rows = work()
        return self.clock.monotonic() - started, rows


def _choice(router: HybridQueryRouter, question: Question, params: dict[str, Any]) -> Answer:
    return asyncio.run(router.ask(question.name, params, scope=Scope.everything()))


def _place(answer: Answer) -> str:
    """Where an answer came from."""
    return "rollup" if answer.meta.rollups else str(answer.meta.engine)
