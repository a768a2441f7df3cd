"""Questions about what pages say."""

from typing import Annotated

from pydantic import Field

from chronolake.query.params import Limit
from chronolake.query.question.base import (
    ByPeriod,
    Bytes,
    Captures,
    Domains,
    InTime,
    MeanQuality,
    MedianWords,
    Moment,
    Pages,
    Period,
    Question,
    Row,
    Scored,
    Words,
)
from chronolake.query.route import QueryType

P95Words = Annotated[int | None, Field(description="word_count that 95 % of the pages do not exceed, words")]


class MostCommon(InTime):
    """How many rows, the most common first."""

    limit: Limit = 100


class QualityRow(Row):
    """One tenth of the quality scale."""

    band: Annotated[
        int | None,
        Field(description="0 for scores below 0.1, up to 9 for 0.9 to 1; null without a score from 0 to 1"),
    ]
    pages: Pages
    words: Words
    median_words: MedianWords
    entities: Annotated[int | None, Field(description="sum of entity_count")]
    languages: Annotated[int, Field(description="different languages")]


class LanguageRow(Row):
    """One language of pages."""

    language: Annotated[str | None, Field(description="main language, ISO-639-1; null where unknown")]
    pages: Pages
    share: Annotated[float, Field(description="of all pages, 0 to 1")]
    words: Words
    median_words: MedianWords
    domains: Domains


class CharsetRow(Row):
    """One character set of captures."""

    charset: Annotated[
        str | None, Field(description="character set, its ASCII letters small; null where unknown")
    ]
    captures: Captures
    share: Annotated[float, Field(description="of all captures, 0 to 1")]
    domains: Domains
    bytes: Bytes


class MimeMismatchRow(Row):
    """One pair of media types: as sent, and as found in the content."""

    mime_type: Annotated[
        str | None,
        Field(
            description="media type as sent, without parameters, its ASCII letters small; null where none was"
        ),
    ]
    mime_detected: Annotated[
        str, Field(description="media type found by looking at the content, in the same form")
    ]
    agrees: Annotated[bool, Field(description="whether the two are one; false where none was sent")]
    captures: Captures
    share: Annotated[float, Field(description="of all captures with a media type found, 0 to 1")]
    bytes: Bytes


class ExtractionRow(Row):
    """One method of extraction."""

    extraction_method: Annotated[str | None, Field(description="what extracted the text; null where unknown")]
    pages: Pages
    with_text: Annotated[int, Field(description="of these pages, ones with at least one word")]
    text_share: Annotated[float, Field(description="pages with text to all of these pages, 0 to 1")]
    words: Words
    median_words: MedianWords
    p95_words: P95Words
    entities: Annotated[int | None, Field(description="sum of entity_count")]
    with_language: Annotated[int, Field(description="of these pages, ones whose language is known")]
    scored: Scored
    mean_quality: MeanQuality
    first: Annotated[Moment, Field(description="first extraction, UTC")]
    last: Annotated[Moment, Field(description="last extraction, UTC")]


class WordCountsRow(Row):
    """One period of extraction."""

    period: Period
    pages: Pages
    words: Words
    median_words: MedianWords
    p95_words: P95Words


QUESTIONS = (
    Question(
        "content_quality_distribution",
        "How good is the content of the pages?",
        InTime,
        QualityRow,
        QueryType.AGGREGATION,
        path="/content/quality-distribution",
    ),
    Question(
        "languages",
        "Which languages are the pages in?",
        MostCommon,
        LanguageRow,
        QueryType.AGGREGATION,
        path="/content/languages",
    ),
    Question(
        "charsets",
        "Which character sets do captures have?",
        MostCommon,
        CharsetRow,
        QueryType.AGGREGATION,
        path="/content/charsets",
    ),
    Question(
        "mime_mismatch",
        "Is the content of captures of the media type that servers sent?",
        MostCommon,
        MimeMismatchRow,
        QueryType.AGGREGATION,
        path="/content/mime-mismatch",
    ),
    Question(
        "extraction_performance",
        "How do the methods of extraction compare?",
        InTime,
        ExtractionRow,
        QueryType.AGGREGATION,
        path="/content/extraction-performance",
    ),
    Question(
        "word_counts",
        "How long are the pages, over time?",
        ByPeriod,
        WordCountsRow,
        QueryType.TIME_SERIES,
        path="/content/word-counts",
    ),
)
