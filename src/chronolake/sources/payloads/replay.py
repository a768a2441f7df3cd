"""Payloads by raw replay: `BASE/<timestamp>id_/<URL>` gives what was captured, as the Wayback Machine and pywb do.

Such an archive leads on to the nearest capture where it has none of that instant. That is another capture, so it counts
as not held: what is meant is told by the Memento-Datetime (RFC 7089, 2.1.1), which only a capture bears.

A body bears no mark of its end beside its length, and that may be wrong. So a body that the capture's digest does not
fit is asked for again, until it is sure to be what the archive has.
"""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from chronolake.capture.attempt import Outcome
from chronolake.capture.candidate import Candidate
from chronolake.sources.answer import Answer, Contents, Unusable
from chronolake.sources.asking import Asker
from chronolake.sources.payloads.coding import ACCEPTED
from chronolake.sources.payloads.kept import Kept, fetched
from chronolake.sources.spool import AsSent

#: 80 % of the 600 mementos a minute that one address may ask for, as clients of the archive's operators keep it.
WAYBACK_PER_MINUTE = 480.0
#: What an archive that names no limit surely bears.
PER_MINUTE = 60.0
#: Under this prefix the Wayback Machine repeats the header that was captured.
_ORIGINAL = "x-archive-orig-"
_FIELDS = ("content-type", "content-encoding")
_ANOTHER = re.compile(r"/[0-9]{4,14}id_/")
#: pywb undoes a payload's coding for whoever does not accept it, and then its digest fits no more. What a server on the
#: way wraps around a payload is undone as its own coding is.
_HEADERS = {"Accept-Encoding": ACCEPTED}
#: Times that the same body must come until it is believed against the digest. Where a tenth of all requests fails, the
#: same cut comes twice for some of ten thousand payloads, and three times for hardly any.
_SAME = 3
#: Times after which whatever came is believed: some archives put something new into each answer. Fewer than the
#: failures in a row after which an archive is left alone.
_LOOKS = 5


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
        reader = _Memento(candidate, self._most_bytes, self.asker.settings.tries)
        with self.asker.ask(url, reader, AsSent(self._most_bytes, _HEADERS)) as received:
            return _kept(received.answer)


class _Memento:
    """Looks over the answers to one request: the capture of that instant, and whole?"""

    def __init__(self, candidate: Candidate, most_bytes: int, tries: int) -> None:
        self._candidate = candidate
        self._most_bytes = most_bytes
        self._tries = tries
        self._differing: Counter[str] = Counter()

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
        if captured_at != self._candidate.timestamp.replace(microsecond=0, tzinfo=UTC):
            raise Unusable(Outcome.NOT_FOUND, f"it is the capture of another time: {told}")
        differs = fetched(self._candidate, _kept(answer), self._most_bytes).differs
        if differs is not None and not self._believed(differs):
            raise Unusable(Outcome.MALFORMED, differs)
        return Contents(rows=1)

    def _believed(self, differs: str) -> bool:
        """Whether a body of another digest is what the archive has. A last try is believed, as none is wanted after."""
        self._differing[differs] += 1
        same, looks = self._differing[differs], self._differing.total()
        return same >= min(_SAME, self._tries) or looks >= min(_LOOKS, self._tries)


def _kept(answer: Answer) -> Kept:
    answer.body.seek(0)
    return Kept(fields=_fields(answer.headers), body=answer.body.read(), cut=answer.cut)


def _fields(headers: Mapping[str, str]) -> dict[str, str]:
    """The header fields that were captured, as far as they say how to read the body."""
    found = {name: headers[name] for name in _FIELDS if name in headers}
    original = headers.get(f"{_ORIGINAL}content-type")
    return found if original is None else found | {"content-type": original}
