"""Common Crawl's crawls: the list of them that its index server gives, and the times that each is about."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chronolake.capture.attempt import Outcome
from chronolake.sources.answer import Answer, Contents, Unusable, document
from chronolake.sources.asking import Asker
from chronolake.sources.query import Query

_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_NO_DIGIT = re.compile("[^0-9]")


@dataclass(frozen=True)
class Crawl:
    """One crawl, and the times that it may have captures of, first and last, as 14 digits."""

    name: str
    first: str
    last: str


def address(base: str) -> str:
    """Where the index server at `base` lists its crawls."""
    return f"{base}/collinfo.json"


def crawls(asker: Asker, base: str) -> list[Crawl]:
    """The crawls that the index server at `base` lists, in its order: the newest first.

    Raises:
        SourceError: as `Asker.ask`.
    """
    with asker.ask(address(base), listed) as received:
        found = received.contents.document
    assert isinstance(found, list)  # noqa: S101  # `listed` has looked
    return [crawl(entry) for entry in found]


def within(of: Sequence[Crawl], query: Query) -> list[Crawl]:
    """The crawls that may have captures of the query's range, in the order that they are listed."""
    first, last = query.start or "", query.end or "9"
    return [crawl for crawl in of if crawl.first <= last and crawl.last >= first]


def crawl(entry: dict[str, str]) -> Crawl:
    """One entry of the list."""
    name = entry["id"]
    # Older lists do not say; a name tells the year of its crawl, or the years: CC-MAIN-2025-33, CC-MAIN-2009-2010.
    years = _YEAR.findall(name) or ["0000", "9999"]
    first, last = entry.get("from", min(years)), entry.get("to", f"{max(years)}1231235959")
    return Crawl(name, _NO_DIGIT.sub("", first), _NO_DIGIT.sub("", last))


def listed(answer: Answer) -> Contents | None:
    """The list as the server gives it.

    Raises:
        Unusable: it is none.
    """
    if answer.status != 200:
        return None
    found = document(answer)
    if not isinstance(found, list) or not all(map(_is_crawl, found)):
        raise Unusable(Outcome.MALFORMED, "it is no list of crawls")
    return Contents(rows=None, document=found)


def _is_crawl(entry: object) -> bool:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("id"), str)
        or not _NAME.fullmatch(entry["id"])
    ):
        return False
    return all(isinstance(entry.get(name, ""), str) for name in ("from", "to"))
