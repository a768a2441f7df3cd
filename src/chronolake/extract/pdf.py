"""PDF to text, page by page, by PDFium: the reader of PDF in Chromium."""

import re
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version

from pypdfium2 import PdfDocument, PdfiumError

from chronolake.errors import NoPage
from chronolake.extract.content import MOST_TEXT_CHARS, Content
from chronolake.extract.page import FailureKind
from chronolake.extract.tidy import line

_METHOD = f"pypdfium2 {version('pypdfium2')}"
#: `D:20240131120000+01'00'`, as PDF writes times.
_DATE = re.compile(r"D:(\d{4})(\d{2})(\d{2})")
#: More pages than this are an archive of documents, not one; its text would be too long as well.
_MOST_PAGES = 5000


def read_pdf(body: bytes) -> Content:
    """The text of all pages, and what the document's information says.

    Raises:
        NoPage: the document is broken, wants a password, or its text is too long.
    """
    try:
        document = PdfDocument(body)
    except PdfiumError as error:
        if "password" in str(error).lower():
            raise NoPage("the PDF asks for a password", kind=FailureKind.ENCRYPTED) from error
        raise NoPage("the PDF is broken", kind=FailureKind.MALFORMED) from error
    try:
        if len(document) > _MOST_PAGES:
            raise NoPage(f"the PDF has {len(document)} pages", kind=FailureKind.TOO_LARGE)
        text = "\n\n".join(_pages(document))
        return Content(
            text,
            _METHOD,
            title=line(document.get_metadata_value("Title"), 500),
            author=line(document.get_metadata_value("Author"), 200),
            published=_day(document.get_metadata_value("CreationDate")),
        )
    finally:
        document.close()


def _pages(document: PdfDocument) -> Iterator[str]:
    total = 0
    for number in range(len(document)):
        try:
            page = document[number]
        except PdfiumError:
            # One broken page does not make the others unreadable.
            continue
        try:
            text = page.get_textpage().get_text_bounded()
        except PdfiumError:
            continue
        finally:
            page.close()
        total += len(text)
        if total > MOST_TEXT_CHARS:
            raise NoPage(f"more than {MOST_TEXT_CHARS} characters of text", kind=FailureKind.TOO_LARGE)
        yield text


def _day(told: str) -> date | None:
    match = _DATE.match(told)
    try:
        return date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None
