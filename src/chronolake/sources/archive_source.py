"""What every archive looks like from here: asked a query, it gives pages, each with the place where the next begins."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from chronolake.sources.query import Query


@dataclass(frozen=True)
class Page:
    """One whole answer with `rows` captures in `body`, which `sources.local` reads; valid until the next is asked for.

    Whoever has stored it may forget it: `place` says where the next page begins, null after the last one.
    """

    #: what was asked; the quarantine names its lines by it
    name: str
    rows: int
    body: BinaryIO
    place: str | None


class ArchiveSource(Protocol):
    """A web archive's index. All give the same captures for the same query, each in its own form."""

    @property
    def archive_source(self) -> str:
        """The name under which captures and attempts are stored."""
        ...

    def pages(self, query: Query, place: str | None) -> Iterator[Page]:
        """The pages of `query` from `place` on, null for the first; at least one, if it is empty.

        Asking again from the same place gives what comes after it again. Captures outside the range may be among
        them, for some archives take it loosely, and a capture may come twice at the seam of two pages.

        Raises:
            SourceError: the archive did not answer, in spite of several tries.
            ArchiveQueryInvalid: this archive cannot be asked that.
        """
        ...
