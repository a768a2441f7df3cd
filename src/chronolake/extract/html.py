"""HTML to what a page says: main text, title, author, date, links."""

from datetime import date
from importlib.metadata import version

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from chronolake.errors import ExtractorMissing
from chronolake.extract.content import Content
from chronolake.extract.links import links_of
from chronolake.extract.metadata import metadata_of
from chronolake.settings import ExtractMethod

_RESILIPARSE = f"resiliparse {version('resiliparse')}"
#: Main text that is shorter than this, of a page that says more, was cut away by mistake.
_LITTLE_CHARS = 100


class HtmlReader:
    """Takes out of HTML what the page says, by the method that the settings choose."""

    def __init__(self, method: ExtractMethod) -> None:
        self._trafilatura = None
        if method is ExtractMethod.TRAFILATURA:
            try:
                import trafilatura  # noqa: PLC0415  # an extra
            except ImportError as error:
                raise ExtractorMissing(
                    "trafilatura is not installed", hint="Install the extra: chronolake[trafilatura]"
                ) from error
            self._trafilatura = trafilatura

    def read(self, html: str, url: str, captured: date) -> Content:
        """What the page says; the URL makes its links absolute."""
        tree = HTMLTree.parse(html)
        title, author, published = metadata_of(tree, url, captured)
        text, method = self._main_text(html, tree)
        return Content(text, method, title, author, published, links_of(tree, url))

    def _main_text(self, html: str, tree: HTMLTree) -> tuple[str, str]:
        if self._trafilatura is not None:
            text = self._trafilatura.extract(html, include_comments=False, include_tables=True) or ""
            if text:
                return text, f"trafilatura {self._trafilatura.__version__}"
        text = _plain(tree, main=True)
        if len(text) < _LITTLE_CHARS and len(whole := _plain(tree, main=False)) > len(text):
            return whole, f"{_RESILIPARSE} whole"
        return text, _RESILIPARSE


def _plain(tree: HTMLTree, *, main: bool) -> str:
    return extract_plain_text(
        tree, main_content=main, alt_texts=False, list_bullets=False, comments=False, preserve_formatting=True
    )
