"""When an archive that keeps failing is left alone, and what an attempt's outcome tells of that. Pure."""

from chronolake.breaker import Event, Manners
from chronolake.capture.attempt import Outcome

#: Failures in a row after which an archive is left alone: as many as one request is tried by default.
FAILURES = 6
#: Seconds that it is left alone at first. Each trial that fails doubles them, up to a quarter of an hour.
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 900.0
MANNERS = Manners(FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S)

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


def event_of(outcome: Outcome) -> Event | None:
    """What an attempt's outcome tells a breaker; null where it tells nothing."""
    if outcome in _SILENT:
        return None
    return Event.FAILED if outcome in FAILED else Event.ANSWERED
