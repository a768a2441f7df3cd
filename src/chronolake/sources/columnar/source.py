"""Common Crawl's columnar index: of each crawl its files, of each file its row groups that may hold what is asked.

A page is one row group, or a file that holds nothing of it; a place names crawl, file and row group. The list of
crawls is the index server's, which has it alone.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Self

from chronolake.errors import ArchiveQueryInvalid, SourceUnavailable
from chronolake.sources.archive_source import Page
from chronolake.sources.asking import Asker
from chronolake.sources.columnar import row_group
from chronolake.sources.columnar.footer import footer
from chronolake.sources.columnar.listing import files
from chronolake.sources.columnar.outline import Outlines
from chronolake.sources.columnar.wanted import Wanted
from chronolake.sources.crawls import Crawl, address, crawls, within
from chronolake.sources.query import Query

#: Two a second, one after the other, as for the records of the same host: its operators name no number, and block
#: who asks in parallel.
PER_MINUTE = 120.0
#: The crawls from before there was one; their years come before those of all others.
_WITHOUT = ("CC-MAIN-2008", "CC-MAIN-2009", "CC-MAIN-2010", "CC-MAIN-2012")


@dataclass(frozen=True)
class Place:
    """Where a page begins: a crawl, one of its files (empty: the first), the first row group that matters."""

    crawl: str
    path: str = ""
    group: int = 0

    @classmethod
    def of(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises:
            SourceUnavailable: it is none.
        """
        crawl, *rest = text.split(" ")
        if not rest:
            return cls(crawl)
        if len(rest) != 2 or not rest[1].isdecimal():
            raise SourceUnavailable(f"{text!r} is no place in the columnar index")
        return cls(crawl, rest[0], int(rest[1]))

    def __str__(self) -> str:
        return f"{self.crawl} {self.path} {self.group}" if self.path else self.crawl


class CommonCrawlColumnar:
    """The columnar index below `base`, of the crawls that the index server at `crawls_base` lists."""

    archive_source = "commoncrawl"

    def __init__(
        self, *, asker: Asker, base: str, crawls_base: str, subsets: Collection[str], outlines: Outlines
    ) -> None:
        self._asker = asker
        self._base = base.rstrip("/")
        self._crawls_base = crawls_base.rstrip("/")
        self._subsets = subsets
        self._outlines = outlines

    def pages(self, query: Query, place: str | None) -> Iterator[Page]:
        """See `ArchiveSource`; a place is `CC-MAIN-2025-33 cc-index/.../part-00007-....parquet 2`."""
        wanted = Wanted.of(query)
        found = self._crawls(query)
        if not found:
            yield Page(address(self._crawls_base), 0, BytesIO(), None)
            return
        names = [crawl.name for crawl in found]
        begins = Place(names[0]) if place is None else Place.of(place)
        if begins.crawl not in names:
            raise SourceUnavailable(f"commoncrawl lists the crawl {begins.crawl} no more")
        start = names.index(begins.crawl)
        for at, name in enumerate(names[start:], start=start):
            following = Place(names[at + 1]) if at + 1 < len(names) else None
            yield from self._of_crawl(wanted, begins if at == start else Place(name), following)

    def _crawls(self, query: Query) -> list[Crawl]:
        """The crawls of the query's range.

        Raises:
            ArchiveQueryInvalid: none of them has a columnar index.
        """
        listed = within(crawls(self._asker, self._crawls_base), query)
        found = [crawl for crawl in listed if not crawl.name.startswith(_WITHOUT)]
        if listed and not found:
            hint = "Ask its index server: --source commoncrawl."
            raise ArchiveQueryInvalid("Common Crawl's columnar index begins in 2013", hint=hint)
        return found

    def _of_crawl(self, wanted: Wanted, begins: Place, following: Place | None) -> Iterator[Page]:
        paths = files(self._asker, self._base, begins.crawl, self._subsets)
        if begins.path and begins.path not in paths:
            raise SourceUnavailable(
                f"commoncrawl lists the file {begins.path} no more, or its subset is not asked"
            )
        known = self._outlines.of(begins.crawl)
        # A file of which it is known that it holds nothing of this is not asked; the one that stands in the place is.
        paths = [
            path for path in paths if path == begins.path or path not in known or known[path].groups(wanted)
        ]
        if not paths:
            yield self._empty(f"crawl-data/{begins.crawl}", following)
        start = paths.index(begins.path) if begins.path else 0
        for at, path in enumerate(paths[start:], start=start):
            group = begins.group if at == start else 0
            after = Place(begins.crawl, paths[at + 1]) if at + 1 < len(paths) else following
            yield from self._of_file(wanted, Place(begins.crawl, path, group), after, known=path in known)

    def _of_file(
        self, wanted: Wanted, begins: Place, following: Place | None, *, known: bool
    ) -> Iterator[Page]:
        url = f"{self._base}/{begins.path}"
        found = footer(self._asker, url, wanted, begins.group)
        if not known:
            self._outlines.keep(begins.crawl, begins.path, found.outline)
        groups = found.outline.groups(wanted, begins.group)
        if not groups:
            yield self._empty(begins.path, following)
        for at, number in enumerate(groups):
            after = Place(begins.crawl, begins.path, groups[at + 1]) if at + 1 < len(groups) else following
            with row_group.opened(found, number, wanted, begins.crawl) as group:
                rows = group.fetch(self._asker)
                with group.body() as body:
                    yield Page(f"{url}#row-group={number}", rows, body, _text(after))

    def _empty(self, path: str, following: Place | None) -> Page:
        return Page(f"{self._base}/{path}", 0, BytesIO(), _text(following))


def _text(place: Place | None) -> str | None:
    return None if place is None else str(place)
