"""Which questions are answered in a new way that is clearly slower than the way before. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chronolake.oltp.query_plans import PlanTimes

#: Runs of each of two plans, for their medians to be compared: of fewer, one odd run decides.
LEAST_RUNS = 5


@dataclass(frozen=True)
class Regression:
    """Questions of one shape that are answered `now` in a way that is slower than the `former` one."""

    former: PlanTimes
    now: PlanTimes

    @property
    def ratio(self) -> float:
        """How many times as long it takes."""
        return self.now.median_ms / max(self.former.median_ms, 1e-6)

    @property
    def why(self) -> str:
        """In words."""
        return (
            f"{self.now.planned.asked} takes {self.now.median_ms:.1f} ms in {self.now.planned.engine} since"
            f" {self.now.first_at:%Y-%m-%dT%H:%MZ}, {self.ratio:.1f} times as long as before"
        )

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "question": self.now.planned.question,
            "asked": self.now.planned.asked,
            "engine": self.now.planned.engine,
            "why": self.why,
            "fingerprint": self.now.planned.fingerprint,
            "median_ms": round(self.now.median_ms, 3),
            "runs": self.now.runs,
            "since": self.now.first_at.isoformat(),
            "former_fingerprint": self.former.planned.fingerprint,
            "former_median_ms": round(self.former.median_ms, 3),
            "former_runs": self.former.runs,
        }


def regressions(plans: Sequence[PlanTimes], ratio: float) -> list[Regression]:
    """Of questions of equal shape, answered by one engine: where the newest plan takes `ratio` times as long or longer.

    It is compared with the plan that was taken last before it came up. What takes longest compared with before comes
    first.
    """
    by_shape: dict[tuple[str, str], list[PlanTimes]] = {}
    for plan in plans:
        by_shape.setdefault((plan.planned.shape, plan.planned.engine), []).append(plan)
    found = []
    for alike in by_shape.values():
        now = max(alike, key=lambda plan: plan.last_at)
        before = [
            plan
            for plan in alike
            if plan.first_at < now.first_at and plan.runs >= LEAST_RUNS and plan is not now
        ]
        if not before or now.runs < LEAST_RUNS:
            continue
        slower = Regression(max(before, key=lambda plan: plan.last_at), now)
        if slower.ratio >= ratio:
            found.append(slower)
    return sorted(found, key=lambda slower: -slower.ratio)
