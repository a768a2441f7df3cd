"""How questions are answered: what both engines tell of their plans, looked at, kept, and compared over time."""

from chronolake.query.explain.capture import PlanCapture
from chronolake.query.explain.regression import Regression, regressions
from chronolake.query.explain.step import Compared, Condition, Step, fingerprint, lines

__all__ = [
    "Compared",
    "Condition",
    "PlanCapture",
    "Regression",
    "Step",
    "fingerprint",
    "lines",
    "regressions",
]
