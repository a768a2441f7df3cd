"""The words of extraction: a payload goes in, a page or a typed failure comes out."""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from uuid import UUID

from chronolake.capture.entity import EntityKind


class FailureKind(StrEnum):
    """Why there is no page of a payload. The words stand in PostgreSQL, so they never change."""

    #: no text can be taken of this kind of content
    UNSUPPORTED = "unsupported"
    #: nothing was left once the frame of the page was taken away
    NO_TEXT = "no_text"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    #: the deadline passed
    TIMEOUT = "timeout"
    #: the memory limit was met
    MEMORY = "memory"
    #: the content is broken, or no charset reads it
    MALFORMED = "malformed"
    #: the content asks for a password
    ENCRYPTED = "encrypted"
    #: the worker died of it
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Failure:
    """A payload of which there is no page, and why."""

    capture_id: UUID
    kind: FailureKind
    #: one sentence, without the content
    detail: str


@dataclass(frozen=True, slots=True)
class FoundEntity:
    """One entity of a text."""

    kind: EntityKind
    #: as the text writes it first
    value: str
    #: one form for all who write it differently; null where there is none
    canonical: str | None
    count: int
    #: where the text first names it, in characters from 0
    position: int
    #: 0 to 1; null where the extractor does not say
    confidence: float | None
    #: what found it, with its version
    extractor: str


@dataclass(frozen=True, slots=True)
class QualityReason:
    """A rule that a text breaks, and by how much."""

    #: as `gopher.word_count`, `fineweb.short_lines`
    rule: str
    value: float
    #: the bound that the value passes
    bound: float


@dataclass(frozen=True, slots=True)
class ExtractedPage:
    """What a payload says. Times are UTC without a zone."""

    capture_id: UUID
    text: str
    #: SHA-256 of the text in UTF-8, hexadecimal
    content_hash: str
    #: 64 bits as a signed number, as PostgreSQL's bigint; near texts differ in few bits
    simhash: int
    word_count: int
    #: media type by the content
    mime_detected: str
    #: the charset that the body was read with; null for content that has none, as PDF
    charset: str | None
    #: what took the text out, with its version
    method: str
    title: str | None = None
    author: str | None = None
    #: when the page says that it was published
    published: date | None = None
    #: ISO 639-1; null where the text is too short or too mixed to tell
    language: str | None = None
    #: 0 to 1
    language_confidence: float | None = None
    #: 0 to 1, and the rules that pull it down
    quality_score: float | None = None
    quality_reasons: tuple[QualityReason, ...] = ()
    entities: tuple[FoundEntity, ...] = ()
    #: absolute http and https URLs the page links to, each once, in the page's order
    links: tuple[str, ...] = field(default=())
