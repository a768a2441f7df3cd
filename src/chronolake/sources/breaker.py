"""Whether an archive that keeps failing is asked at all: one state, one function, no clock of its own. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum

from chronolake.capture.attempt import Outcome

#: Failures in a row after which an archive is left alone: as many as one request is tried by default.
FAILURES = 6
#: Seconds that it is left alone at first. Each trial that fails doubles them, up to a quarter of an hour.
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 900.0


class State(StrEnum):
    """Where a breaker is. The host's file keeps it, so it survives the process."""

    CLOSED = "closed"  #: the archive is asked; set by an answer
    OPEN = "open"  #: it is left alone until `until`; set by a failure
    HALF_OPEN = "half_open"  #: one request tries whether it is back; set by the first request after `until`


class Event(StrEnum):
    """What a breaker hears of."""

    WANTED = "wanted"  #: somebody wants to ask
    ANSWERED = "answered"  #: the archive gave an answer, if only a refusal
    FAILED = "failed"  #: it gave none, or none that can be used


#: Outcomes that tell of an archive in trouble. The others are answers, or (cancelled, not sent) tell nothing.
FAILED = frozenset(
    {
        Outcome.THROTTLED,
        Outcome.SERVER_ERROR,
        Outcome.TIMEOUT,
        Outcome.UNREACHABLE,
        Outcome.MALFORMED,
        Outcome.TRUNCATED,
    }
)
_SILENT = frozenset({Outcome.CANCELLED, Outcome.NOT_SENT})


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


def event_of(outcome: Outcome) -> Event | None:
    """What an attempt's outcome tells a breaker; null where it tells nothing."""
    if outcome in _SILENT:
        return None
    return Event.FAILED if outcome in FAILED else Event.ANSWERED


def next_state(breaker: Breaker, event: Event, now: float) -> Breaker:
    """The breaker after `event` at `now`, in seconds since 1970.

    A trial whose process died leaves `HALF_OPEN` behind; the next request is then the trial.
    """
    match breaker.state, event:
        case State.OPEN, Event.WANTED:
            # A clock that was set back must not keep it open for longer than any pause lasts.
            over = now >= breaker.until or breaker.until - now > LONGEST_PAUSE_S
            return replace(breaker, state=State.HALF_OPEN) if over else breaker
        case (State.OPEN, _) | (_, Event.WANTED):
            return breaker
        case _, Event.ANSWERED:
            return Breaker()
        case State.HALF_OPEN, _:
            return _opened(breaker, min(breaker.pause_s * 2, LONGEST_PAUSE_S), now)
        case _ if breaker.failures + 1 >= FAILURES:
            return _opened(breaker, FIRST_PAUSE_S, now)
    return replace(breaker, failures=breaker.failures + 1)


def _opened(breaker: Breaker, pause_s: float, now: float) -> Breaker:
    return Breaker(State.OPEN, breaker.failures + 1, pause_s, now + pause_s)
