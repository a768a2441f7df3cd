"""A CDX server of one collection: pywb, OutbackCDX, or an archive that runs one of them.

One request gives all that a query asks for; there are no pages that all of them have. So a query that is broken
off is asked again from its start, and what was stored already counts as duplicate.
"""

from collections.abc import Iterator
from urllib.parse import urlencode

from chronolake.errors import ArchiveQueryInvalid
from chronolake.sources.answer import Answer, Contents, index_lines
from chronolake.sources.archive_source import Page
from chronolake.sources.asking import Asker
from chronolake.sources.query import Filter, Query

#: One a second: what an archive that names no limit surely bears.
PER_MINUTE = 60.0
#: What the 404 of pywb, and of Common Crawl, says where there is nothing.
NO_CAPTURES = b"No Captures found"


class CdxServer:
    """A CDX server at `base`, which is its address as far as the question mark."""

    def __init__(self, *, archive_source: str, asker: Asker, base: str) -> None:
        self.archive_source = archive_source
        self._asker = asker
        self._base = base

    def pages(self, query: Query, place: str | None) -> Iterator[Page]:  # noqa: ARG002  # there is one page
        """See `ArchiveSource`; there is one page."""
        url = f"{self._base}?{urlencode(parameters(query))}"
        with self._asker.ask(url, contents) as received:
            yield Page(url, received.contents.rows or 0, received.answer.body, None)


def parameters(query: Query) -> list[tuple[str, str]]:
    """The query as pywb reads it.

    Raises:
        ArchiveQueryInvalid: it is to be collapsed, which pywb cannot.
    """
    if query.collapse is not None:
        raise ArchiveQueryInvalid("only the Wayback CDX API collapses captures", hint="Leave --collapse out.")
    found = [("url", query.url), ("matchType", query.match.value)]
    found += [(name, value) for name, value in (("from", query.start), ("to", query.end)) if value]
    return found + [("filter", _filter(filter_)) for filter_ in query.filters]


def contents(answer: Answer) -> Contents | None:
    """What an index server's answer holds; its 404 may say that there is nothing."""
    if answer.status == 200:
        return index_lines(answer)
    if answer.status == 404 and NO_CAPTURES in answer.head():
        return Contents(rows=0)
    return None


def _filter(filter_: Filter) -> str:
    # `~` takes a regular expression, which it matches at the beginning only.
    return f"{'!' if filter_.negated else ''}~{filter_.field}:(?:{filter_.pattern})$"
