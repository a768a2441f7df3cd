"""The Wayback CDX API: pages by resume key.

Its page numbers (`page`, `showNumPages`) have answered wrongly for days at a time, and its counts with and without
them differ; resume keys hold. A key is given percent-encoded and must be sent back encoded once more. All columns
are asked for, since a resume key without the URL key leads nowhere.
"""

from collections.abc import Iterator
from urllib.parse import urlencode

from chronolake.capture.attempt import Outcome
from chronolake.errors import SourceUnavailable
from chronolake.sources.answer import Answer, Contents, Unusable, wayback_json
from chronolake.sources.archive_source import Page
from chronolake.sources.asking import Asker
from chronolake.sources.query import Query

#: 80 % of the 30 requests a minute that one address may send to /cdx, as clients of its operators keep it.
PER_MINUTE = 24.0
_FIELDS = {"url": "original", "mime": "mimetype", "status": "statuscode", "digest": "digest"}


class Wayback:
    """The Wayback Machine of the Internet Archive, or a server that speaks as it does."""

    archive_source = "wayback"

    def __init__(self, *, asker: Asker, base: str, page_rows: int) -> None:
        self._asker = asker
        self._base = base
        self._page_rows = page_rows

    def pages(self, query: Query, place: str | None) -> Iterator[Page]:
        """See `ArchiveSource`; a place is a resume key."""
        while True:
            url = f"{self._base}?{urlencode(self._parameters(query, place))}"
            with self._asker.ask(url, _LookedOver(first=place is None)) as received:
                following = received.contents.resume_key
                if following is not None and following == place:
                    raise SourceUnavailable(f"{self.archive_source} gave the same resume key twice ({url})")
                yield Page(url, received.contents.rows or 0, received.answer.body, following)
            if following is None:
                return
            place = following

    def _parameters(self, query: Query, place: str | None) -> list[tuple[str, str]]:
        parameters = [
            ("url", query.url),
            ("matchType", query.match.value),
            ("output", "json"),
            ("limit", str(self._page_rows)),
            ("showResumeKey", "true"),
        ]
        for name, value in (("from", query.start), ("to", query.end), ("collapse", _collapse(query))):
            if value is not None:
                parameters.append((name, value))
        parameters += [
            ("filter", f"{'!' if filter_.negated else ''}{_FIELDS[filter_.field]}:{filter_.pattern}")
            for filter_ in query.filters
        ]
        return parameters if place is None else [*parameters, ("resumeKey", place)]


def _collapse(query: Query) -> str | None:
    if query.collapse is None:
        return None
    field, colon, digits = query.collapse.partition(":")
    return _FIELDS.get(field, field) + colon + digits


class _LookedOver:
    """What the answers for one page hold.

    That there is nothing, an archive says by `[]`. No body at all says nothing: of a first page it is never
    believed; of a page that a resume key promised, it is the second time, for so some last pages are.
    """

    def __init__(self, *, first: bool) -> None:
        self._first = first
        self._empty = 0

    def __call__(self, answer: Answer) -> Contents | None:
        if answer.status != 200:
            return None
        if answer.size == 0:
            self._empty += 1
            if self._first or self._empty == 1:
                raise Unusable(Outcome.MALFORMED, "it is empty, where an archive without captures says []")
        return wayback_json(answer)
