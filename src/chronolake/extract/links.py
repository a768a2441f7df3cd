"""Where a page links to: absolute http and https URLs, each once, in the page's order."""

import re
from urllib.parse import urldefrag, urljoin

from resiliparse.parse.html import HTMLTree

#: A page with more links is a list made by a machine; the first ones are kept.
MOST_LINKS = 10_000
#: What is longer is no address that a server would take.
_MOST_CHARS = 4096
#: An address that needs nothing done: no dots to resolve, no blanks, no capital in scheme or host.
_SIMPLE = re.compile(
    r"(?:https?://[a-z0-9.-]+(?::\d+)?(?=/)|(?=/[^/]))(?:/(?!\.)[\w~!$&'()*+,;=:@%.-]*)+(?:[?#][^\s<>\"]*)?",
    re.ASCII,
)
_SPACES = str.maketrans("", "", "\t\r\n")


def links_of(tree: HTMLTree, url: str) -> tuple[str, ...]:
    """The targets of the page's `a` and `area` elements; fragments are cut off, for they are no other page."""
    if tree.document is None:
        return ()
    base = url
    declared = tree.document.query_selector("base[href]")
    if declared is not None:
        base = _absolute(url, declared.getattr("href") or "") or url
    origin = urljoin(base, "/").rstrip("/")
    # A list of elements is built anew for each look at it, so that one copy is taken.
    elements = tree.document.query_selector_all("a[href], area[href]").values()
    found: dict[str, None] = {}
    for href in dict.fromkeys(element.getattr("href") for element in elements):
        # Nearly all links are whole, or begin at the host's root, and joining them as the standard says takes long.
        if href is None or not _SIMPLE.fullmatch(href):
            link = _absolute(base, href or "")
        else:
            link = (origin + href if href.startswith("/") else href).partition("#")[0]
        if link is not None:
            found[link] = None
            if len(found) == MOST_LINKS:
                break
    return tuple(found)


def _absolute(base: str, href: str) -> str | None:
    # Browsers leave out line ends within an address, and blanks around it.
    href = href.translate(_SPACES).strip()
    if not href or href.startswith("#") or len(href) > _MOST_CHARS:
        return None
    try:
        link = urldefrag(urljoin(base, href)).url
    except ValueError:
        return None
    if not link.startswith(("http://", "https://")) or not link.isprintable():
        return None
    return link.replace(" ", "%20")
