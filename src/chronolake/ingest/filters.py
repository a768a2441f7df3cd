"""Which captures are to become no page, and why. Pure: rules over a capture and what is known of others.

Each rule is a plain function that gives the detail of its decision, or null where it has none. The first that decides
is the reason; those that ask what is known of other captures come last.
"""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from chronolake.capture.candidate import Candidate
from chronolake.capture.digest import EMPTY_BODY_SHA1


class FilterReason(StrEnum):
    """Why a capture becomes no page. The words stand in PostgreSQL, so they never change."""

    ALREADY = "already"  #: it has become one; another run was faster
    RECORD_TYPE = "record_type"  #: no answer of a server: a request, metadata, dns
    REVISIT = "revisit"  #: it repeats a payload, and no capture of that is known
    EMPTY = "empty"  #: a payload of no bytes
    STATUS = "status"  #: no success, or one without content
    STATIC_ASSET = "static_asset"  #: a picture, a font, a script ..., by its type or name
    MIME = "mime"  #: a media type that holds no text of a page
    LIST_PAGE = "list_page"  #: lists other pages: tags, categories, archives, searches, feeds
    SIZE = "size"  #: larger than any payload that is read
    DUPLICATE = "duplicate"  #: the same payload is a page already
    SAME_TEXT = "same_text"  #: another page of the project has the same text


@dataclass(frozen=True)
class Known:
    """What is known of other captures of the project."""

    #: captures that have become pages
    pages: AbstractSet[UUID] = frozenset()
    #: by digest the capture whose page was made of that payload, or is being made
    extracted: Mapping[str, UUID] = field(default_factory=dict)
    #: by digest a capture that holds the payload which others repeat
    originals: Mapping[str, Candidate] = field(default_factory=dict)
    most_bytes: int = 1 << 62


@dataclass(frozen=True)
class Filtered:
    """A decision: the reason, and in words what decided."""

    reason: FilterReason
    detail: str


Rule = Callable[[Candidate, Known], str | None]

#: What holds the answer of a server. A resource is one without a header; dns and the like are none.
_ANSWERS = frozenset({"response", "resource", "revisit"})
#: 204 and 205 have no content by their definition (RFC 9110, 15.3).
_NO_CONTENT = frozenset({204, 205})
#: Types that text is taken of; `text/` and what ends in `+xml` besides.
_READ = frozenset(
    {"application/xhtml+xml", "application/xml", "application/pdf", "application/json", "application/rtf"}
)
#: Of these nobody knows what is behind them, so the content decides.
_UNKNOWN = frozenset(
    {"", "-", "unk", "no-type", "none", "application/octet-stream", "application/unknown", "warc/revisit"}
)
_ASSET_TYPES = ("image/", "audio/", "video/", "font/", "text/css", "text/javascript", "application/javascript",
                "application/x-javascript", "application/font", "application/x-font")  # fmt: skip
_ASSET_NAMES = re.compile(
    r"\.(?:css|js|mjs|map|png|jpe?g|gif|webp|avif|svgz?|ico|bmp|tiff?|woff2?|ttf|otf|eot|mp[34]|m4[av]|ogg|og[av]|wav|flac|"
    r"webm|avi|mov|wmv|mkv|swf|zip|gz|bz2|xz|7z|rar|tar|exe|dmg|iso|apk|jar)$",
    re.IGNORECASE,
)
_LIST_PATHS = re.compile(
    r"/(?:tags?|categor(?:y|ies)|topics?|authors?|archives?|search|feeds?|rss|atom|page/[0-9]+|sitemap[^/]*)(?:/|$)"
    r"|/[0-9]{4}/(?:[0-9]{2}/)?$",
    re.IGNORECASE,
)
#: Parameters that ask a site for a further list of its pages, or for a search.
_LIST_PARAMETERS = frozenset(
    {"page", "paged", "offset", "start", "s", "q", "query", "search", "tag", "category", "sort", "feed"}
)


def already(candidate: Candidate, known: Known) -> str | None:
    """It has become a page."""
    return "it is a page" if candidate.id in known.pages else None


def record_type(candidate: Candidate, _: Known) -> str | None:
    """It holds no answer of a server."""
    return None if candidate.record_type in _ANSWERS else candidate.record_type


def revisit(candidate: Candidate, known: Known) -> str | None:
    """It repeats a payload of which no capture is known."""
    if candidate.record_type != "revisit" or candidate.digest in known.originals:
        return None
    return f"no capture with the payload {candidate.digest}" if candidate.digest else "it names no payload"


def empty(candidate: Candidate, _: Known) -> str | None:
    """Its payload has no bytes."""
    return "the digest is that of nothing" if candidate.digest == EMPTY_BODY_SHA1 else None


def status(candidate: Candidate, _: Known) -> str | None:
    """The server did not answer with content. Where no status is known, as in a TimeMap, the content decides."""
    code = candidate.status_code
    if code is None or (200 <= code < 300 and code not in _NO_CONTENT):
        return None
    return str(code)


def static_asset(candidate: Candidate, _: Known) -> str | None:
    """By its type or, where that says nothing, by its name it belongs to a page and is none."""
    mime = _mime(candidate)
    if mime.startswith(_ASSET_TYPES):
        return mime
    # Servers send pages for names of pictures, too: a type that is known counts for more.
    named = _ASSET_NAMES.search(_path(candidate.url)) if mime in _UNKNOWN else None
    return named[0] if named else None


def mime(candidate: Candidate, _: Known) -> str | None:
    """Its media type holds no text of a page."""
    found = _mime(candidate)
    if found in _UNKNOWN or found in _READ or found.startswith("text/") or found.endswith("+xml"):
        return None
    return found


def list_page(candidate: Candidate, _: Known) -> str | None:
    """By its URL it lists other pages, whose texts it would only repeat."""
    listed = _LIST_PATHS.search(_path(candidate.url))
    if listed:
        return listed[0]
    query = candidate.url.partition("#")[0].partition("?")[2]
    for name, value in parse_qsl(query[:2048], keep_blank_values=True):
        if name.lower() in _LIST_PARAMETERS:
            return f"{name}={value[:60]}"
    return None


def size(candidate: Candidate, known: Known) -> str | None:
    """The record alone, compressed as it is, is larger than any payload that is read."""
    length = candidate.content_length
    return f"{length} bytes" if length is not None and length > known.most_bytes else None


def duplicate(candidate: Candidate, known: Known) -> str | None:
    """The same payload has become a page of another capture."""
    other = known.extracted.get(candidate.digest or "")
    return None if other is None or other == candidate.id else f"the payload of {other}"


#: In the order in which they are asked: what a capture is, then what it says of its content, then what others say.
RULES: tuple[tuple[FilterReason, Rule], ...] = (
    (FilterReason.ALREADY, already),
    (FilterReason.RECORD_TYPE, record_type),
    (FilterReason.REVISIT, revisit),
    (FilterReason.EMPTY, empty),
    (FilterReason.STATUS, status),
    (FilterReason.STATIC_ASSET, static_asset),
    (FilterReason.MIME, mime),
    (FilterReason.LIST_PAGE, list_page),
    (FilterReason.SIZE, size),
    (FilterReason.DUPLICATE, duplicate),
)


def decide(
    candidate: Candidate, known: Known, included: AbstractSet[str]
) -> tuple[Filtered | None, Filtered | None]:
    """What decides against the capture, and what would have, but for its reason being `included`."""
    overridden = None
    for reason, rule in RULES:
        detail = rule(candidate, known)
        if detail is None:
            continue
        if reason.value not in included:
            return Filtered(reason, detail), overridden
        overridden = overridden or Filtered(reason, detail)
    return None, overridden


def _path(url: str) -> str:
    """The path of a URL, of whatever shape it is."""
    try:
        return urlsplit(url).path
    except ValueError:
        return url.partition("?")[0]


def _mime(candidate: Candidate) -> str:
    """The media type as the content has it, else as it was sent; small letters, without parameters."""
    told = candidate.mime_detected or candidate.mime_type or ""
    return told.partition(";")[0].strip().lower()
