"""Time the same work on several engines, interleaved, once their answers are known to be equal.

Round after round each engine runs once, and each round begins with another engine: what the machine does
meanwhile falls on all of them alike. An answer that differs from the reference's is an error, not a time.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chronolake.clock import Clock

#: What two equal answers share.
Fingerprint = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One piece of work: on each engine, what does it and returns the fingerprint of its answer."""

    name: str
    meaning: str
    engines: Mapping[str, Callable[[], Fingerprint]]


@dataclass(frozen=True)
class Timing:
    """Seconds of one case on one engine; none where it gave no answer or a wrong one, as `error` says."""

    engine: str
    runs_s: tuple[float, ...] = ()
    error: str | None = None

    @property
    def median_s(self) -> float | None:
        """The middle run."""
        return statistics.median(self.runs_s) if self.runs_s else None

    @property
    def min_s(self) -> float | None:
        """The fastest run."""
        return min(self.runs_s, default=None)

    @property
    def max_s(self) -> float | None:
        """The slowest run."""
        return max(self.runs_s, default=None)

    @property
    def p95_s(self) -> float | None:
        """What 95 % of the runs do not exceed."""
        return self.quantile_s(0.95)

    def quantile_s(self, share: float) -> float | None:
        """What that share of the runs do not exceed, each of them a time that was measured."""
        if not self.runs_s:
            return None
        return sorted(self.runs_s)[max(0, math.ceil(share * len(self.runs_s)) - 1)]


@dataclass(frozen=True)
class CaseResult:
    """The times of a case, an engine each, and the answer that all of them gave."""

    name: str
    meaning: str
    fingerprint: Fingerprint
    timings: tuple[Timing, ...]

    def of(self, engine: str) -> Timing | None:
        """The timing of one engine, None where it was not asked."""
        return next((timing for timing in self.timings if timing.engine == engine), None)

    def ratio(self, engine: str, other: str) -> float | None:
        """How many times longer `engine` took than `other`, by medians; None where either has none."""
        one, two = self.of(engine), self.of(other)
        if one is None or two is None or one.median_s is None or not two.median_s:
            return None
        return one.median_s / two.median_s


def measure(
    case: Case, repeat: int, reference: str, clock: Clock, *, before: Callable[[], None] = lambda: None
) -> CaseResult:
    """Check and warm every engine once, then time each `repeat` times.

    `reference` names the engine whose answer is right; it must answer. `before` is done before each timed run and not
    timed.
    """
    expected = case.engines[reference]()
    errors: dict[str, str] = {}
    for name, work in case.engines.items():
        if name != reference and (error := _check(work, expected)):
            errors[name] = error
    sound = [name for name in case.engines if name not in errors]
    runs: dict[str, list[float]] = {name: [] for name in sound}
    for turn in range(repeat):
        for name in _rotated(sound, turn):
            before()
            started = clock.monotonic()
            case.engines[name]()
            runs[name].append(clock.monotonic() - started)
    timings = [Timing(name, tuple(runs.get(name, ())), errors.get(name)) for name in case.engines]
    return CaseResult(case.name, case.meaning, expected, tuple(timings))


def _check(work: Callable[[], Fingerprint], expected: Fingerprint) -> str | None:
    try:
        given = work()
    except Exception as error:  # noqa: BLE001  # whatever an engine fails with, the others are still measured
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return None if given == expected else f"wrong answer: {given}, not {expected}"


def _rotated(names: Sequence[str], turn: int) -> list[str]:
    first = turn % len(names)
    return [*names[first:], *names[:first]]
