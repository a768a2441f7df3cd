"""Questions about what pages say."""

from typing import Annotated

from pydantic import Field

from chronolake.query.question.base import InTime, MedianWords, Pages, Question, Row, Words
from chronolake.query.route import QueryType


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


QUESTIONS = (
    Question(
        "content_quality_distribution",
        "How good is the content of the pages?",
        InTime,
        QualityRow,
        QueryType.AGGREGATION,
        path="/content/quality-distribution",
    ),
)
