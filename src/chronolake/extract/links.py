"""Where a page links to: absolute http and https URLs, each once, in the page's order."""

from urllib.parse import urldefrag, urljoin

from resiliparse.parse.html import HTMLTree

#: A page with more links is a list made by a machine; the first ones are kept.
MOST_LINKS = 10_000
#: What is longer is no address that a server would take.
_MOST_CHARS = 4096
_SPACES = str.maketrans("", "", "\t\r\n")


def links_of(tree: HTMLTree, url: str) -> tuple[str, ...]:
    """The targets of the page's `a` and `area` elements; fragments are cut off, for they are no other page."""
    if tree.document is None:
        return ()
    base = url
    declared = tree.document.query_selector("base[href]")
    if declared is not None:
        base = _absolute(url, declared.getattr("href") or "") or url
    found: dict[str, None] = {}
    for element in tree.document.query_selector_all("a[href], area[href]"):
        link = _absolute(base, element.getattr("href") or "")
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
