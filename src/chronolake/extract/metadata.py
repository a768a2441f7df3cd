"""Title, author and date of publication, from what a page declares: meta elements, JSON-LD, `time`."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from resiliparse.parse.html import DocumentNode, HTMLTree

from chronolake.extract.tidy import line

_MOST_TITLE_CHARS = 500
_MOST_AUTHOR_CHARS = 200
#: Of two declarations the one that stands first here is believed: those for readers of articles come first.
_TITLES = ("og:title", "citation_title", "dc.title", "twitter:title")
_AUTHORS = ("author", "article:author", "citation_author", "dc.creator", "parsely-author", "byl")
_DATES = (
    "article:published_time", "datepublished", "citation_publication_date", "citation_date", "dc.date.issued",
    "dc.date", "dcterms.created", "dc.date.created", "parsely-pub-date", "sailthru.date", "pubdate", "publishdate",
    "publish-date", "publication_date", "date",
)  # fmt: skip
_ISO = re.compile(r"\s*(\d{4})[-/]?(\d{2})[-/]?(\d{2})(?!\d)")
_IN_PATH = re.compile(r"/((?:19|20)\d\d)[/-](\d\d)[/-](\d\d)(?=[/-])")
#: The web's first page; what calls itself older is a date of something else.
_FIRST = date(1991, 8, 6)
#: JSON-LD beyond this is data, not a page's description.
_MOST_JSON_CHARS = 200_000
_MOST_NODES = 500


class Metadata(NamedTuple):
    """What a page declares of itself; null where it does not."""

    title: str | None
    author: str | None
    published: date | None


def metadata_of(tree: HTMLTree, url: str, latest: date) -> Metadata:
    """What the page declares; a date after `latest`, the day of the capture, is none."""
    document = tree.document
    if document is None:
        return Metadata(None, None, None)
    declared, linked = _declared(document), _linked(document)
    title = next((declared[name] for name in _TITLES if name in declared), None) or tree.title
    if not title:
        heading = document.query_selector("h1")
        title = heading.text if heading is not None else None
    # Some pages give the address of the author's page instead.
    authors = (declared.get(name) for name in _AUTHORS)
    author = next((text for text in authors if text and "://" not in text), None) or linked.get("author")
    texts = [declared[name] for name in _DATES if name in declared] + [linked.get("date", "")]
    time = document.query_selector("time[pubdate], article time[datetime], time.published, time.entry-date")
    if time is not None:
        texts.append(time.getattr("datetime") or "")
    days = [read_date(text) for text in texts] + [_date_in_path(url)]
    published = next((day for day in days if day is not None and _FIRST <= day <= latest), None)
    return Metadata(line(title, _MOST_TITLE_CHARS), line(author, _MOST_AUTHOR_CHARS), published)


def read_date(text: str) -> date | None:
    """The day that an ISO 8601 or RFC 2822 time names; null for what can be read in two ways."""
    if match := _ISO.match(text):
        with suppress(ValueError):
            return date(int(match[1]), int(match[2]), int(match[3]))
        return None
    with suppress(ValueError, TypeError, IndexError):
        return parsedate_to_datetime(text).date()
    return None


def _date_in_path(url: str) -> date | None:
    match = _IN_PATH.search(url)
    return read_date("-".join(match.groups())) if match else None


def _declared(document: DocumentNode) -> dict[str, str]:
    """The meta elements' contents by their lower-case name; the first of each name."""
    found: dict[str, str] = {}
    for element in document.query_selector_all("meta[content]").values():
        name = element.getattr("property") or element.getattr("name") or element.getattr("itemprop") or ""
        content = (element.getattr("content") or "").strip()
        if name and content:
            found.setdefault(name.strip().lower(), content)
    return found


def _linked(document: DocumentNode) -> dict[str, str]:
    """Author and date of the first article that JSON-LD describes."""
    found: dict[str, str] = {}
    for script in document.query_selector_all('script[type="application/ld+json"]').values():
        text = script.text or ""
        if len(text) > _MOST_JSON_CHARS:
            continue
        try:
            described = json.loads(text)
        except (ValueError, RecursionError):
            continue
        for node in _nodes(described):
            if isinstance(day := node.get("datePublished"), str):
                found.setdefault("date", day)
            author = node.get("author")
            if isinstance(author, list):
                author = author[0] if author else None
            name = author.get("name") if isinstance(author, dict) else author
            if isinstance(name, str) and "://" not in name:
                found.setdefault("author", name)
    return found


def _nodes(document: Any) -> Iterator[dict[str, Any]]:
    """The document's objects, outer ones first: it itself, those of its list, those of its graph."""
    left, seen = [document], 0
    while left and seen < _MOST_NODES:
        node = left.pop(0)
        seen += 1
        if isinstance(node, list):
            left.extend(node)
        elif isinstance(node, dict):
            yield node
            left.extend(node.get("@graph") or [] if isinstance(node.get("@graph"), list) else [])
