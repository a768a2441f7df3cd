"""What questions really took, so that a wrong estimate is put right: a record that fades. Thread-safe.

For each question, engine and size there is a mean of how many times longer than estimated it took, the newest runs
counting most. It fades with time: then the estimate counts again, and an engine that was slow for a while, its caches
cold, is tried again.
"""

import math
import threading
from dataclasses import dataclass, replace

from chronolake.clock import Clock, SystemClock
from chronolake.query.cost import Estimate
from chronolake.query.route import Engine
from chronolake.telemetry import metrics

#: Seconds after which a run counts half: within about so long caches get warm or cold, and tables grow.
HALF_LIFE_S = 1800.0
#: Runs that a record is worth at most: what changed must show within as many.
MOST_WEIGHT = 8.0
#: Runs that the estimate itself is worth.
_ESTIMATES_WEIGHT = 0.5
#: One run may be off by so many times at most, as when the machine was busy with something else.
_MOST_TIMES = 30.0
#: And the first by so many, for it finds caches cold: were it believed, no other would come to put it right. So it is
#: with what is told of runs of other processes, in whose times there is more than the engine's.
_TIMES_ON_TRUST = 4.0
#: Sizes of one class: rows within the square root of ten.
_CLASSES_OF_TEN = 2


@dataclass(frozen=True)
class _Record:
    """The mean of the logarithms of how many times longer it took, how many runs that is worth, and since when."""

    log_times: float = 0.0
    weight: float = 0.0
    at: float = 0.0

    def faded(self, now: float) -> "_Record":
        return replace(self, weight=self.weight * 0.5 ** (max(0.0, now - self.at) / HALF_LIFE_S), at=now)


class Learned:
    """The records of one process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._records: dict[tuple[str, Engine, int], _Record] = {}

    def note(
        self,
        question: str,
        engine: Engine,
        estimate: Estimate,
        ms: float,
        *,
        age_s: float = 0.0,
        told: bool = False,
    ) -> None:
        """A run of it took so long, `age_s` ago; runs are told of in the order in which they were.

        Of one that is only `told` of, the time may have the wait for a place and a process's beginning in it.
        """
        metrics.ROUTE_ERROR.labels(engine=engine.value).observe(ms / estimate.ms)
        key = question, engine, _size(estimate)
        now = self._clock.monotonic() - age_s
        with self._lock:
            before = self._records.get(key, _Record()).faded(now)
            known = before.weight > _ESTIMATES_WEIGHT and not told
            most = _MOST_TIMES if known else _TIMES_ON_TRUST
            times = min(most, max(1 / most, ms / estimate.ms))
            weight = min(MOST_WEIGHT, before.weight + 1)
            share = 1 / weight
            self._records[key] = _Record(
                before.log_times * (1 - share) + math.log(times) * share, weight, now
            )

    def corrected(self, question: str, estimates: dict[Engine, Estimate]) -> dict[Engine, Estimate]:
        """The estimates as runs of it have taught, in the same order.

        Where only one engine has been seen, half of what it taught holds for the other: a question that takes longer
        than its rows let one think does so anywhere.
        """
        now = self._clock.monotonic()
        taught: dict[Engine, float] = {}
        with self._lock:
            for engine, estimate in estimates.items():
                record = self._records.get((question, engine, _size(estimate)))
                if record is not None:
                    weight = record.faded(now).weight
                    taught[engine] = record.log_times * weight / (weight + _ESTIMATES_WEIGHT)
        hearsay = sum(taught.values()) / len(taught) / 2 if taught else 0.0
        return {
            engine: replace(estimate, ms=estimate.ms * math.exp(taught.get(engine, hearsay)))
            for engine, estimate in estimates.items()
        }


def _size(estimate: Estimate) -> int:
    return round(_CLASSES_OF_TEN * math.log10(estimate.rows + 1))
