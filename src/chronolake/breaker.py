"""Whether what keeps failing is asked at all: one state, one function, no clock of its own. Pure.

An archive's breaker stands in its host's file, an engine's in the process that asks it; the rule is the same.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Where a breaker is. Whoever keeps it says whether it survives the process."""

    CLOSED = "closed"  #: it is asked; set by an answer
    OPEN = "open"  #: it is left alone until `until`; set by a failure
    HALF_OPEN = "half_open"  #: one request tries whether it is back; set by the first request after `until`


class Event(StrEnum):
    """What a breaker hears of."""

    WANTED = "wanted"  #: somebody wants to ask
    ANSWERED = "answered"  #: there was an answer, if only a refusal
    FAILED = "failed"  #: there was none, or none that can be used


@dataclass(frozen=True)
class Manners:
    """After how many `failures` in a row it is left alone, for how long at first, and for how long at most.

    Each trial that fails doubles the pause.
    """

    failures: int
    first_pause_s: float
    longest_pause_s: float


@dataclass(frozen=True)
class Breaker:
    """A breaker; `failures` in a row, `pause_s` that the newest opening lasts, `until` which it does."""

    state: State = State.CLOSED
    failures: int = 0
    pause_s: float = 0.0
    until: float = 0.0

    @property
    def lets_through(self) -> bool:
        """Whether a request may be sent, once `next_state` has heard that one is wanted."""
        return self.state is not State.OPEN


def next_state(breaker: Breaker, event: Event, now: float, manners: Manners) -> Breaker:
    """The breaker after `event` at `now`, in seconds on the clock that `until` is of.

    That only one request is the trial is the business of whoever keeps it. A trial that was lost, as one whose process
    died, leaves `HALF_OPEN` behind; the next request is then the trial.
    """
    match breaker.state, event:
        case State.OPEN, Event.WANTED:
            # A clock that was set back must not keep it open for longer than any pause lasts.
            over = now >= breaker.until or breaker.until - now > manners.longest_pause_s
            return replace(breaker, state=State.HALF_OPEN) if over else breaker
        case (State.OPEN, _) | (_, Event.WANTED):
            return breaker
        case _, Event.ANSWERED:
            return Breaker()
        case State.HALF_OPEN, _:
            return _opened(breaker, min(breaker.pause_s * 2, manners.longest_pause_s), now)
        case _ if breaker.failures + 1 >= manners.failures:
            return _opened(breaker, manners.first_pause_s, now)
    return replace(breaker, failures=breaker.failures + 1)


def _opened(breaker: Breaker, pause_s: float, now: float) -> Breaker:
    return Breaker(State.OPEN, breaker.failures + 1, pause_s, now + pause_s)
