"""Memento TimeMaps: when one URL was captured, by one archive or, from an aggregator, by many.

A TimeMap tells neither status nor digest. It comes in link format or in JSON; one in link format may be an index of
others, its pages. Where there is nothing, its address is a 404 (RFC 7089, 4.5.3). A place is the number of a page.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from chronolake.errors import ArchiveQueryInvalid, SourceRefused
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

    def pages(self, query: Query, place: str | None) -> Iterator[Page]:
        """See `ArchiveSource`; page 0 is the TimeMap itself, the others are those that it lists."""
        if query.match is not Match.EXACT or query.filters or query.collapse:
            hint = "Ask with --match exact, without --filter and --collapse."
            raise ArchiveQueryInvalid("a TimeMap is about one URL, and about nothing but times", hint=hint)
        target = query.url if "://" in query.url else f"http://{query.url}/"
        url = f"{self._base}/{target}"
        with self._asker.ask(url, _contents) as received:
            listed = self._listed(received.contents)
            if place is None:
                following = "1" if listed else None
                yield Page(url, received.contents.rows or 0, received.answer.body, following)
        first = int(place or 1)
        if place is not None and first > len(listed):
            raise SourceRefused(
                f"{self.archive_source} lists {len(listed)} pages of the TimeMap, no page {first}"
            )
        for number, page in enumerate(listed[first - 1 :], start=first):
            following = f"{number + 1}" if number < len(listed) else None
            with self._asker.ask(page, _of_page) as received:
                if not {url, *listed}.issuperset(self._listed(received.contents)):
                    raise SourceRefused(
                        f"{self.archive_source} has pages of its TimeMap that it does not list: {page}"
                    )
                yield Page(page, received.contents.rows or 0, received.answer.body, following)

    def _listed(self, contents: Contents) -> list[str]:
        """The addresses of the TimeMap's pages.

        Raises:
            SourceRefused: one is of another host, which nobody has named to us.
        """
        listed = contents.document if isinstance(contents.document, list) else []
        for page in listed:
            if urlsplit(page)[:2] != urlsplit(self._base)[:2]:
                raise SourceRefused(f"{self.archive_source} has pages of its TimeMap elsewhere: {page}")
        return listed


def _contents(answer: Answer) -> Contents | None:
    if answer.status == 404:
        return Contents(rows=0)
    return _of_page(answer)


def _of_page(answer: Answer) -> Contents | None:
    return answers.timemap(answer) if answer.status == 200 else None
