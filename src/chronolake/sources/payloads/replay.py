"""Payloads by raw replay: `BASE/<timestamp>id_/<URL>` gives what was captured, as the Wayback Machine and pywb do.

Such an archive leads on to the nearest capture where it has none of that instant. That is another capture, so it counts
as not held: what is meant is told by the Memento-Datetime (RFC 7089, 2.1.1), which only a capture bears.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chronolake.capture.attempt import Outcome
from chronolake.capture.candidate import Candidate
from chronolake.sources.answer import Answer, Contents, Unusable
from chronolake.sources.asking import Asker, AsSent
from chronolake.sources.payloads.kept import Kept

#: 80 % of the 600 mementos a minute that one address may ask for, as clients of the archive's operators keep it.
WAYBACK_PER_MINUTE = 480.0
#: What an archive that names no limit surely bears.
PER_MINUTE = 60.0
#: Under this prefix the Wayback Machine repeats the header that was captured.
_ORIGINAL = "x-archive-orig-"
_FIELDS = ("content-type", "content-encoding")
_ANOTHER = re.compile(r"/[0-9]{4,14}id_/")


class Replay:
    """The raw replay of an archive at `base`."""

    def __init__(self, *, asker: Asker, base: str, most_bytes: int) -> None:
        self.asker = asker
        self._base = base.rstrip("/")
        self._most_bytes = most_bytes

    def knows(self, candidate: Candidate) -> bool:
        """Whether the capture can be asked for: always, by its instant and URL."""
        return bool(candidate.url)

    def get(self, candidate: Candidate) -> Kept:
        """See `PayloadWay`."""
        # What stands behind `#` would be left out of the request.
        url = f"{self._base}/{candidate.fourteen}id_/{candidate.url.replace('#', '%23')}"
        with self.asker.ask(url, _Memento(candidate.timestamp), AsSent(self._most_bytes)) as received:
            answer = received.answer
            return Kept(fields=_fields(answer.headers), body=answer.body.read(), cut=answer.cut)


class _Memento:
    """Looks over an answer: is it the capture of that instant?"""

    def __init__(self, captured_at: datetime) -> None:
        self._captured_at = captured_at.replace(microsecond=0, tzinfo=UTC)

    def __call__(self, answer: Answer) -> Contents | None:
        told = answer.headers.get("Memento-Datetime")
        if told is None:
            if 300 <= answer.status < 400 and _ANOTHER.search(answer.headers.get("Location", "")):
                raise Unusable(Outcome.NOT_FOUND, "it leads on to another capture")
            if answer.status == 200:
                raise Unusable(Outcome.MALFORMED, "it is no capture: it bears no Memento-Datetime")
            return None
        try:
            captured_at = parsedate_to_datetime(told)
        except ValueError:
            raise Unusable(Outcome.MALFORMED, f"its Memento-Datetime is no date: {told}") from None
        if captured_at != self._captured_at:
            raise Unusable(Outcome.NOT_FOUND, f"it is the capture of another time: {told}")
        return Contents(rows=1)


def _fields(headers: Mapping[str, str]) -> dict[str, str]:
    """The header fields that were captured, as far as they say how to read the body."""
    found = {name: headers[name] for name in _FIELDS if name in headers}
    original = headers.get(f"{_ORIGINAL}content-type")
    return found if original is None else found | {"content-type": original}
