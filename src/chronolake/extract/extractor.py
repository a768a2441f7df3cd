"""From a payload to a page: each step is a function of its own, and here they are in order."""

import hashlib
from urllib.parse import urlsplit

from chronolake.capture.payload import Payload
from chronolake.errors import NoPage
from chronolake.extract import media
from chronolake.extract.charset import decode
from chronolake.extract.content import MOST_TEXT_CHARS, Content
from chronolake.extract.depth import nesting
from chronolake.extract.entities import Setting, extractor_of
from chronolake.extract.html import HtmlReader
from chronolake.extract.language import LanguageTeller
from chronolake.extract.page import ExtractedPage, Failure, FailureKind, FoundEntity
from chronolake.extract.pdf import read_pdf
from chronolake.extract.quality import quality
from chronolake.extract.simhash import simhash
from chronolake.extract.tidy import tidy
from chronolake.extract.words import words_of
from chronolake.settings import ExtractSettings

_HTML = frozenset({"text/html", "application/xhtml+xml"})
#: Texts that are written for machines; of other text types, prose is what they are for.
_CODE = frozenset({"text/css", "text/javascript", "text/ecmascript", "text/x-component", "text/vtt"})


class Extractor:
    """Reads payloads by the settings; what it needs is loaded when it is made."""

    def __init__(self, settings: ExtractSettings) -> None:
        self._settings = settings
        self._html = HtmlReader(settings.method)
        self._languages = LanguageTeller()
        self._entities = extractor_of(settings)

    def extract(self, payload: Payload) -> ExtractedPage | Failure:
        """The page, or why there is none. Nothing that a payload holds raises, but MemoryError."""
        try:
            return self._page(payload)
        except NoPage as error:
            return Failure(payload.capture_id, FailureKind(str(error.facts["kind"])), error.message)
        except RecursionError:
            return Failure(
                payload.capture_id, FailureKind.TOO_DEEP, "a part of the content is nested too deep"
            )
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # libraries raise what they like over broken content
            detail = f"the content cannot be read ({type(error).__name__})"
            return Failure(payload.capture_id, FailureKind.MALFORMED, detail)

    def _page(self, payload: Payload) -> ExtractedPage:
        if not payload.body.strip():
            raise NoPage("the archive kept no content", kind=FailureKind.EMPTY)
        if len(payload.body) > self._settings.max_bytes:
            raise NoPage(f"{len(payload.body)} bytes", kind=FailureKind.TOO_LARGE)
        mime = media.detect(payload.body, payload.mime_sent)
        content, charset = self._content(payload, mime)
        text = tidy(content.text)
        if not text:
            raise NoPage("no text is left", kind=FailureKind.NO_TEXT)
        if len(text) > MOST_TEXT_CHARS:
            raise NoPage(f"{len(text)} characters of text", kind=FailureKind.TOO_LARGE)
        words = words_of(text)
        language = self._languages.tell(text)
        code = language.code if language else None
        judged = quality(text, words, code)
        return ExtractedPage(
            capture_id=payload.capture_id,
            text=text,
            content_hash=hashlib.sha256(text.encode()).hexdigest(),
            simhash=simhash(words),
            word_count=len(words),
            mime_detected=mime,
            charset=charset,
            method=content.method,
            title=content.title,
            author=content.author,
            published=content.published,
            language=code,
            language_confidence=language.confidence if language else None,
            quality_score=judged.score,
            quality_reasons=judged.reasons,
            entities=self._entities_of(text, code, payload.url),
            links=content.links,
        )

    def _entities_of(self, text: str, language: str | None, url: str) -> tuple[FoundEntity, ...]:
        if self._entities is None:
            return ()
        try:
            host = urlsplit(url).hostname
        except ValueError:
            host = None
        return self._entities.find(text, Setting(language, host))

    def _content(self, payload: Payload, mime: str) -> tuple[Content, str | None]:
        if mime == "application/pdf":
            return read_pdf(payload.body), None
        if mime in _CODE or not (mime.startswith("text/") or mime in _HTML):
            raise NoPage(f"no text is taken of {mime}", kind=FailureKind.UNSUPPORTED)
        text, charset = decode(payload.body, payload.charset_sent)
        if mime not in _HTML:
            return Content(text, "plain text"), charset
        most = self._settings.max_depth
        if nesting(text, most) > most:
            raise NoPage(f"elements are nested more than {most} deep", kind=FailureKind.TOO_DEEP)
        return self._html.read(text, payload.url, payload.captured_at.date()), charset
