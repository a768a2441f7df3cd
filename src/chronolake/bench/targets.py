"""The plan's targets, each at the scale that the plan names, on one lake that grows from scale to scale.

The lake stands alone: PostgreSQL has its catalog and nothing else, so even a large scale is filled in minutes.
A target whose scale is not reached is told with the reason; no smaller scale speaks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronolake.bench import stores
from chronolake.bench.captures import Run
from chronolake.bench.cases import Cases
from chronolake.bench.timing import Case, Timing, measure
from chronolake.clock import Clock
from chronolake.errors import ChronolakeError
from chronolake.lake import Lake
from chronolake.services import Services

#: What answers: the router over the lake, or the lake where the catalogue has no such question.
ENGINE = "lake"
#: What a capture takes in the lake (71 bytes at 10 M) and what takes as much again, an export or a spill.
BYTES_PER_CAPTURE = 160


@dataclass(frozen=True)
class PlanTarget:
    """A target as the plan states it, and the benchmark's case that asks it."""

    name: str
    case: str
    limit_s: float
    rows: int


#: In the order of their scales, for the lake only grows.
TARGETS = (
    PlanTarget("domain_timeline_query", "domain_timeline", 0.5, 1_000_000),
    PlanTarget("content_aggregation", "archive_sources_comparison", 1.0, 10_000_000),
    PlanTarget("cross_project_analysis", "project_mime", 2.0, 50_000_000),
    PlanTarget("export_operations", "export", 30.0, 100_000_000),
)


@dataclass(frozen=True)
class TargetResult:
    """What was measured with `rows` captures in the lake; where it was not, `timing.error` says why."""

    target: PlanTarget
    rows: int
    timing: Timing

    @property
    def met(self) -> bool | None:
        """Whether the median is within the limit at the plan's scale; null where that was not measured."""
        if self.timing.median_s is None or self.rows < self.target.rows:
            return None
        return self.timing.median_s < self.target.limit_s

    @property
    def verdict(self) -> str:
        """The same in words."""
        if self.met is None:
            return f"not measured: {self.timing.error}"
        return "met" if self.met else "not met"

    def document(self) -> dict[str, Any]:
        """The result as JSON values; times in seconds."""
        return {
            **vars(self.target),
            "rows_ran": self.rows,
            "median_s": self.timing.median_s,
            "min_s": self.timing.min_s,
            "max_s": self.timing.max_s,
            "runs_s": list(self.timing.runs_s),
            "met": self.met,
            "verdict": self.verdict,
        }


def not_measured(target: PlanTarget, reason: str) -> TargetResult:
    """A target that did not run, and why."""
    return TargetResult(target, 0, Timing(ENGINE, error=reason))


def measure_all(
    services: Services,
    lake: Lake,
    *,
    plan: Sequence[PlanTarget],
    up_to: int,
    repeat: int,
    seed: int,
    folder: Path,
    clock: Clock,
) -> tuple[TargetResult, ...]:
    """Grow `lake`, which is empty, to the scale of each target up to `up_to` captures, and ask it there.

    Each is asked once to warm it, then timed `repeat` times. What fails is told and keeps no other from running.
    """
    results = []
    cases: dict[str, Case] = {}
    for target in plan:
        if target.rows > up_to:
            results.append(not_measured(target, f"its scale is beyond --targets-up-to {up_to}"))
            continue
        try:
            missing = target.rows - stores.held(lake).rows
            if missing > 0:
                # A step's captures are those of another seed, or they would be the same again.
                draw = Run(rows=missing, seed=seed + len(results))
                stores.fill_lake(draw, stores.Names.reserve(draw, services.database), lake)
                # As the lake's own upkeep would have done by the time that somebody asks.
                stores.compact(lake)
            cases = cases or {case.name: case for case in Cases.of_lake(services, lake, folder).all()}
            timing = measure(cases[target.case], repeat, ENGINE, clock).of(ENGINE)
        except ChronolakeError as error:
            results.append(not_measured(target, f"it failed: {error.message}"))
        else:
            results.append(TargetResult(target, stores.held(lake).rows, timing or Timing(ENGINE)))
    return tuple(results)
