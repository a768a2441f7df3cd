"""Ranges of files over HTTP (RFC 9110, 14): what is asked, and whether the answer is that range and whole."""

import re
from dataclasses import dataclass

from chronolake.capture.attempt import Outcome
from chronolake.sources.answer import Answer, Unusable
from chronolake.sources.spool import AsSent

_TOLD = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
#: What S3 says by 503, and a cache before it by 403, where it is asked too often, in its XML.
_SLOW_DOWN = b"<Code>SlowDown</Code>"


@dataclass(frozen=True)
class Told:
    """What an answer says of itself: where in the file its bytes begin, and the size of the file, null: unknown."""

    first: int
    file_size: int | None


def from_to(first: int, size: int) -> AsSent:
    """`size` bytes of a file from `first` on."""
    return AsSent(size, {"Range": f"bytes={first}-{first + size - 1}"})


def last(size: int) -> AsSent:
    """The last `size` bytes of a file, all of it where it has fewer."""
    return AsSent(size, {"Range": f"bytes=-{size}"})


def told(answer: Answer) -> Told | None:
    """What the whole answer to a range says of itself; null where its status says how it went.

    Raises:
        Unusable: it is no range, or not all of the one that it says it is; or it asks to slow down.
    """
    if answer.status == 200:
        raise Unusable(Outcome.MALFORMED, "it is the whole file, where a range was asked for")
    if answer.status != 206:
        look_for_pause(answer)
        return None
    said = answer.headers.get("Content-Range", "")
    match = _TOLD.fullmatch(said)
    if match is None:
        raise Unusable(Outcome.MALFORMED, f"it does not say which range it is: {said}")
    first, to = int(match[1]), int(match[2])
    if not answer.cut and answer.size != to + 1 - first:
        raise Unusable(Outcome.TRUNCATED, "it is shorter than the range that it says it is")
    return Told(first, None if match[3] == "*" else int(match[3]))


def told_from(answer: Answer, first: int) -> Told | None:
    """As `told`, of an answer that has to begin at `first`.

    Raises:
        Unusable: as `told`, or it begins elsewhere.
    """
    found = told(answer)
    if found is not None and found.first != first:
        raise Unusable(Outcome.MALFORMED, f"it is another range: {answer.headers.get('Content-Range')}")
    return found


def look_for_pause(answer: Answer) -> None:
    """Tell a store that wants to be asked less often from one that says no, or fails.

    Raises:
        Unusable: it asks to slow down, and does not say for how long.
    """
    if answer.status in {403, 503} and "Retry-After" not in answer.headers and _SLOW_DOWN in answer.head():
        raise Unusable(Outcome.THROTTLED, "it asks to slow down")
