"""Memento TimeMaps in JSON: when one URL was captured, by one archive or, from an aggregator, by many.

A TimeMap tells neither status nor digest. It is one answer; where there is nothing, its address is a 404
(RFC 7089, 4.5.3).
"""

from collections.abc import Iterator

from chronolake.errors import ArchiveQueryInvalid
from chronolake.sources import answer as answers
from chronolake.sources.answer import Answer, Contents
from chronolake.sources.archive_source import Page
from chronolake.sources.asking import Asker
from chronolake.sources.query import Match, Query

#: One in two seconds: an aggregator asks a dozen archives for each request.
PER_MINUTE = 30.0


class TimeMap:
    """The TimeMaps at `base`, which is their address as far as the URL that one is about."""

    def __init__(self, *, archive_source: str, asker: Asker, base: str) -> None:
        self.archive_source = archive_source
        self._asker = asker
        self._base = base.rstrip("/")

    def pages(self, query: Query, place: str | None) -> Iterator[Page]:  # noqa: ARG002  # there is one page
        """See `ArchiveSource`; there is one page."""
        if query.match is not Match.EXACT or query.filters or query.collapse:
            hint = "Ask with --match exact, without --filter and --collapse."
            raise ArchiveQueryInvalid("a TimeMap is about one URL, and about nothing but times", hint=hint)
        target = query.url if "://" in query.url else f"http://{query.url}/"
        url = f"{self._base}/{target}"
        with self._asker.ask(url, _contents) as received:
            yield Page(url, received.contents.rows or 0, received.answer.body, None)


def _contents(answer: Answer) -> Contents | None:
    if answer.status == 404:
        return Contents(rows=0)
    return answers.timemap(answer) if answer.status == 200 else None
