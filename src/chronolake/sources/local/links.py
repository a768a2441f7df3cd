"""TimeMaps in link format (RFC 7089, 5): a link a line, that of the original first, then those of the mementos."""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from chronolake.capture.record import Reason
from chronolake.sources.local.raw import Parsed, Refused

#: A link and its attributes, as each line has one; a comma parts it from the next.
_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[A-Za-z]+=(?:\"[^\"]*\"|[^\s;,\"]+))+)\s*,?")
_ATTRIBUTE = re.compile(r"([A-Za-z]+)=(?:\"([^\"]*)\"|([^\s;,\"]+))")
#: What a memento's address says of its original, in the pattern that all Wayback machines use.
_WITHIN = re.compile(r"/[0-9]{14}(?:[a-z]{2}_)?/([^/].*)", re.DOTALL)


@dataclass(frozen=True)
class Link:
    """One link: where it leads, what it is, and its attributes."""

    target: str
    relations: frozenset[str]
    attributes: dict[str, str]


def link_of(line: str) -> Link | None:
    """The link of a line; null where it has none."""
    found = _LINK.fullmatch(line.strip())
    if found is None:
        return None
    attributes = {name.lower(): quoted or bare for name, quoted, bare in _ATTRIBUTE.findall(found[2])}
    return Link(found[1], frozenset(attributes.get("rel", "").lower().split()), attributes)


class Links:
    """Makes captures of the links of one TimeMap, in their order."""

    def __init__(self) -> None:
        self._original: str | None = None

    def __call__(self, line: str) -> Parsed:
        """A memento; other links are no data lines."""
        if not line.strip():
            return None
        link = link_of(line)
        if link is None:
            return Refused(Reason.FIELDS, "no link in the line")
        if "original" in link.relations:
            self._original = link.target
        if "memento" not in link.relations:
            return None
        within = _WITHIN.search(link.target)
        url = self._original or (within[1] if within else None)
        return {"timestamp": _timestamp(link.attributes.get("datetime")), "url": url}


def _timestamp(text: str | None) -> str | None:
    """14 digits of a date as HTTP writes it; any other text as it is."""
    if text is None:
        return None
    try:
        return f"{parsedate_to_datetime(text):%Y%m%d%H%M%S}"
    except ValueError:
        return text
