"""Common Crawl's index API: an index for each crawl, pages by number.

The list of crawls is asked for first, then of each crawl in turn how many pages the query has, so that the end is
known and never guessed from an answer that failed. A place is a crawl and the number of the page to ask next.
"""

from collections.abc import Iterator
from io import BytesIO
from urllib.parse import urlencode

from chronolake.capture.attempt import Outcome
from chronolake.errors import SourceUnavailable
from chronolake.sources import cdx_server
from chronolake.sources.answer import Answer, Contents, Unusable, document
from chronolake.sources.archive_source import Page
from chronolake.sources.asking import Asker
from chronolake.sources.crawls import Crawl, address, crawls, within
from chronolake.sources.query import Query

#: One in two seconds: its operators ask of clients to slow down, and name no number.
PER_MINUTE = 30.0


class CommonCrawl:
    """The indexes of Common Crawl, or a server that lists crawls as it does."""

    archive_source = "commoncrawl"

    def __init__(self, *, asker: Asker, base: str) -> None:
        self._asker = asker
        self._base = base.rstrip("/")

    def pages(self, query: Query, place: str | None) -> Iterator[Page]:
        """See `ArchiveSource`; a place is `CC-MAIN-2025-33 2`."""
        asked = urlencode([*cdx_server.parameters(query), ("output", "json")])
        found = within(crawls(self._asker, self._base), query)
        name, _, number = (place or "").partition(" ")
        names = [crawl.name for crawl in found]
        if place is not None and name not in names:
            raise SourceUnavailable(f"commoncrawl lists the crawl {name} no more")
        start = names.index(name) if place is not None else 0
        if not found:
            yield Page(address(self._base), 0, BytesIO(), None)
        for at, crawl in enumerate(found[start:], start=start):
            following = f"{names[at + 1]} 0" if at + 1 < len(names) else None
            first, number = int(number or 0), ""
            yield from self._of_crawl(crawl, asked, first, following)

    def _of_crawl(self, crawl: Crawl, asked: str, first: int, following: str | None) -> Iterator[Page]:
        # The list names addresses, too, but a mirror's list names those of the original.
        index = f"{self._base}/{crawl.name}-index?{asked}"
        count = self._page_count(f"{index}&showNumPages=true")
        if first >= count:
            yield Page(index, 0, BytesIO(), following)
        for number in range(first, count):
            url = f"{index}&page={number}"
            after = f"{crawl.name} {number + 1}" if number + 1 < count else following
            with self._asker.ask(url, cdx_server.contents) as received:
                yield Page(url, received.contents.rows or 0, received.answer.body, after)

    def _page_count(self, url: str) -> int:
        with self._asker.ask(url, _counted) as received:
            pages = received.contents.document
        assert isinstance(pages, int)  # noqa: S101  # `_counted` has looked
        return pages


def _counted(answer: Answer) -> Contents | None:
    if answer.status == 404 and cdx_server.NO_CAPTURES in answer.head():
        return Contents(rows=0, document=0)
    if answer.status != 200:
        return None
    said = document(answer)
    pages = said.get("pages") if isinstance(said, dict) else None
    if not isinstance(pages, int):
        raise Unusable(Outcome.MALFORMED, "it does not say how many pages there are")
    return Contents(rows=None if pages else 0, document=pages)
