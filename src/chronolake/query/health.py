"""Whether an engine is asked: a breaker for each, which hears of infrastructure that failed and of nothing else.

A question that is wrong, takes too long or asks for too much says nothing about the engine. Thread-safe; the states
live and die with the process, for each process has its own way to the engines.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chronolake.breaker import Breaker, Event, Manners, State, next_state
from chronolake.clock import Clock, SystemClock
from chronolake.errors import DatabaseUnavailable, EngineUnavailable, LakeMissing, LakeUnavailable
from chronolake.query.route import Engine
from chronolake.telemetry import logs, metrics

#: How much longer than the first the longest pause is: what is down for long is tried about once in a while.
LONGEST_TIMES = 16
#: What tells that an engine's infrastructure failed, by the engine that was asked.
FAILURES: dict[Engine, tuple[type[Exception], ...]] = {
    Engine.DUCKDB: (LakeUnavailable,),
    Engine.POSTGRES: (DatabaseUnavailable,),
}
_LEVELS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}
_NAMES = {Engine.DUCKDB: "the lake", Engine.POSTGRES: "PostgreSQL"}

_log = logs.get_logger(__name__)


class EngineHealth:
    """The engines' breakers: `failures` in a row open one, for `pause_s` at first."""

    def __init__(self, *, failures: int, pause_s: float, clock: Clock | None = None) -> None:
        self._manners = Manners(failures, pause_s, pause_s * LONGEST_TIMES)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._breakers = dict.fromkeys(Engine, Breaker())
        #: engines that a question tries at this moment, alone
        self._tried: set[Engine] = set()

    def resting(self, engine: Engine) -> str | None:
        """Why it is not asked now, in words; null where it may be, if only by one that tries it."""
        with self._lock:
            wait_s = self._wait_s(engine)
            failures = self._breakers[engine].failures
        if wait_s is None:
            return None
        return f"{_NAMES[engine]} failed {failures} times in a row and is let alone for {math.ceil(wait_s)} s"

    @contextmanager
    def watching(self, engine: Engine) -> Iterator[None]:
        """Ask the engine within, and let its breaker hear how that went.

        Raises:
            EngineUnavailable: it failed too often and is let alone; `retry_after_s` says for how long.
        """
        trial = self._begin(engine)
        event: Event | None = None
        try:
            yield
            event = Event.ANSWERED
        except FAILURES[engine] as error:
            # A lake that nobody has made yet is not broken.
            event = None if isinstance(error, LakeMissing) else Event.FAILED
            raise
        finally:
            self._end(engine, event, trial=trial)

    def unavailable(self, engine: Engine) -> EngineUnavailable:
        """The error that says so, and when to come again."""
        with self._lock:
            wait_s = math.ceil(self._wait_s(engine) or 0)
        why = self.resting(engine) or f"{_NAMES[engine]} is tried at this moment"
        return EngineUnavailable(why, hint=f"Ask again in {max(1, wait_s)} s.", retry_after_s=max(1, wait_s))

    def _wait_s(self, engine: Engine) -> float | None:
        """Seconds until it may be asked; null where it may be now."""
        breaker = self._breakers[engine]
        if engine in self._tried:
            # Until the trial has ended nobody knows; it lasts as long as a question at most.
            return self._manners.first_pause_s
        now = self._clock.monotonic()
        return breaker.until - now if breaker.state is State.OPEN and now < breaker.until else None

    def _begin(self, engine: Engine) -> bool:
        with self._lock:
            if engine not in self._tried:
                self._hears(engine, Event.WANTED)
                state = self._breakers[engine].state
                if state is State.HALF_OPEN:
                    self._tried.add(engine)
                if state is not State.OPEN:
                    return state is State.HALF_OPEN
        raise self.unavailable(engine)

    def _end(self, engine: Engine, event: Event | None, *, trial: bool) -> None:
        with self._lock:
            if trial:
                self._tried.discard(engine)
            if event is not None:
                self._hears(engine, event)

    def _hears(self, engine: Engine, event: Event) -> None:
        before = self._breakers[engine]
        after = next_state(before, event, self._clock.monotonic(), self._manners)
        self._breakers[engine] = after
        if after.state is before.state:
            return
        metrics.ENGINE_BREAKER.labels(engine=engine.value).set(_LEVELS[after.state])
        if after.state is State.OPEN:
            metrics.ENGINE_TRIPS.labels(engine=engine.value).inc()
            _log.warning("engine.let_alone", engine=engine, failures=after.failures, pause_s=after.pause_s)
        elif after.state is State.CLOSED:
            _log.info("engine.back", engine=engine)
