"""What can become of a request to the archive for tests, and which request it happens to.

Either a test names the faults of the next requests, or a plan draws them: with the same seed, the same requests
of a client that sends one after the other fail in the same way.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from chronolake.capture.attempt import Outcome


class Fault(StrEnum):
    """What can become of a request."""

    THROTTLED = "throttled"  #: 429, asking for a pause of no seconds
    SHORT_PAUSE = "short_pause"  #: 429, asking for a pause of one second
    LONG_PAUSE = "long_pause"  #: 429, asking for a pause of two hours
    UNAVAILABLE = "unavailable"  #: 503 with a page of HTML
    BLOCKED = "blocked"  #: 403 as Wayback gives it for excluded sites
    RESET = "reset"  #: the connection is reset before an answer
    CUT = "cut"  #: the body ends before its Content-Length
    SHORT_LENGTH = "short_length"  #: the Content-Length ends before its body
    GZIP_CUT = (
        "gzip_cut"  #: the body's length is as said, and its gzip data has no end; of a payload, its end lacks
    )
    HTML = "html"  #: 200 with a page of HTML
    NOTHING = "nothing"  #: 200 without a body
    STALL = "stall"  #: no answer until the server is closed


#: Seconds of the pause that `SHORT_PAUSE` asks for.
SHORT_PAUSE_S = 1.0
_HTML = b"<html>Sorry</html>"
#: Faults that are an answer of their own: status, body, Retry-After.
REFUSALS: dict[Fault | None, tuple[int, bytes, str | None]] = {
    Fault.THROTTLED: (429, _HTML, "0"),
    Fault.SHORT_PAUSE: (429, _HTML, f"{SHORT_PAUSE_S:.0f}"),
    Fault.LONG_PAUSE: (429, _HTML, "7200"),
    Fault.UNAVAILABLE: (503, _HTML, None),
    Fault.BLOCKED: (403, b"AdministrativeAccessControlException: Blocked Site Error", None),
    Fault.HTML: (200, _HTML, None),
    Fault.NOTHING: (200, b"", None),
}
#: Faults that pass, and how often each is drawn. A pause takes a second, so that it is drawn more seldom.
PASSING: Mapping[Fault, int] = {
    Fault.THROTTLED: 8,
    Fault.SHORT_PAUSE: 1,
    Fault.UNAVAILABLE: 8,
    Fault.RESET: 8,
    Fault.CUT: 8,
    Fault.SHORT_LENGTH: 8,
    Fault.GZIP_CUT: 8,
}
_OUTCOMES = {
    Fault.THROTTLED: Outcome.THROTTLED,
    Fault.SHORT_PAUSE: Outcome.THROTTLED,
    Fault.UNAVAILABLE: Outcome.SERVER_ERROR,
    Fault.RESET: Outcome.UNREACHABLE,
    Fault.CUT: Outcome.TRUNCATED,
    Fault.SHORT_LENGTH: Outcome.TRUNCATED,
    Fault.GZIP_CUT: Outcome.TRUNCATED,
}
#: A payload bears no mark of its end beside its length, so that these show by its digest alone.
_SHOWN_BY_DIGEST = {Fault.SHORT_LENGTH, Fault.GZIP_CUT}


@dataclass
class FaultPlan:
    """Lets each request fail with the chance `share`, in one of the ways of `kinds`."""

    seed: int
    share: float
    kinds: Mapping[Fault, int] = field(default_factory=lambda: PASSING)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  # no secret: the same seed must give the same faults

    def draw(self) -> Fault | None:
        """How the next request goes; null: as it should."""
        if self._random.random() >= self.share:
            return None
        return self._random.choices(list(self.kinds), list(self.kinds.values()))[0]


def told_as(fault: Fault | None, *, payload: bool) -> Outcome:
    """The outcome that whoever was answered so has to keep of the attempt; `payload`: of one, not of an index page.

    Raises:
        KeyError: the fault is none of those that pass.
    """
    if fault is None:
        return Outcome.OK
    return Outcome.MALFORMED if payload and fault in _SHOWN_BY_DIGEST else _OUTCOMES[fault]


def harmed(body: bytes, fault: Fault | None) -> tuple[bytes, int]:
    """A body and the length that is said of it."""
    if fault is Fault.CUT:
        return body[: len(body) // 2], len(body)
    return body, len(body) // 2 if fault is Fault.SHORT_LENGTH else len(body)
