"""Questions about the archives that captures come from."""

from typing import Annotated

from pydantic import Field

from chronolake.query.question.base import (
    ByPeriod,
    Bytes,
    Captures,
    ClientErrors,
    Domains,
    First,
    InTime,
    Last,
    MedianBytes,
    Ok,
    P95Bytes,
    Period,
    Question,
    Redirects,
    Revisits,
    Row,
    ServerErrors,
    Urls,
    WithoutStatus,
)
from chronolake.query.route import QueryType

Source = Annotated[str, Field(description="where captures were collected from")]
Outcome = Annotated[str, Field(description="how the attempts went: ok, empty, not_found, throttled ...")]


class SourceRow(Row):
    """One archive source."""

    archive_source: Source
    captures: Captures
    domains: Domains
    ok: Ok
    redirects: Redirects
    client_errors: ClientErrors
    server_errors: ServerErrors
    without_status: WithoutStatus
    revisits: Revisits
    bytes: Bytes
    median_bytes: MedianBytes
    p95_bytes: P95Bytes
    first: First
    last: Last


class SourceStatusRow(Row):
    """One status of one archive source."""

    archive_source: Source
    status_code: Annotated[int | None, Field(description="status; null where none was given")]
    captures: Captures
    bytes: Bytes
    p95_bytes: P95Bytes


class AttemptsRow(Row):
    """One outcome of the requests to one archive."""

    archive_source: Annotated[str, Field(description="the archive that was asked")]
    outcome: Outcome
    attempts: Annotated[int, Field(description="requests, each try counted")]
    share: Annotated[float, Field(description="of all attempts on this source, 0 to 1")]
    retries: Annotated[int, Field(description="of these attempts, ones that were not the first try")]
    median_ms: Annotated[float | None, Field(description="latency that half of them do not exceed, ms")]
    p95_ms: Annotated[float | None, Field(description="latency that 95 % of them do not exceed, ms")]
    bytes: Annotated[int | None, Field(description="sum of the answers' bodies as sent, bytes")]
    rows: Annotated[
        int | None, Field(description="captures or records in the answers; null where none were read")
    ]


class ErrorsRow(Row):
    """One kind of failure of one archive in one period."""

    period: Period
    archive_source: Annotated[str, Field(description="the archive that was asked")]
    outcome: Outcome
    failures: Annotated[int, Field(description="attempts that went so")]
    share: Annotated[float, Field(description="of all attempts on this source in the period, 0 to 1")]


class OverlapRow(Row):
    """One archive source beside the others of the same scope and time range."""

    archive_source: Source
    captures: Captures
    urls: Urls
    only_urls: Annotated[int, Field(description="of these URLs, ones that no other source has")]
    shared_urls: Annotated[int, Field(description="of these URLs, ones that another source has too")]
    contents: Annotated[
        int, Field(description="different pairs of URL key and digest, without those of the empty body")
    ]
    only_contents: Annotated[int, Field(description="of these contents, ones that no other source has")]
    shared_contents: Annotated[int, Field(description="of these contents, ones that another source has too")]


class TrendRow(Row):
    """One period of one archive source."""

    period: Period
    archive_source: Source
    captures: Captures
    ok: Ok
    bytes: Bytes


QUESTIONS = (
    Question(
        "archive_sources_comparison",
        "How do the archive sources compare?",
        InTime,
        SourceRow,
        QueryType.AGGREGATION,
        path="/archive-sources/comparison",
    ),
    Question(
        "source_status",
        "Which statuses does each archive source give, and how large are the answers?",
        InTime,
        SourceStatusRow,
        QueryType.AGGREGATION,
    ),
    Question(
        "source_attempts",
        "How did the requests to each archive go, and how long did they take?",
        InTime,
        AttemptsRow,
        QueryType.AGGREGATION,
        path="/archive-sources/attempts",
    ),
    Question(
        "source_errors",
        "How did the archives fail, and when?",
        ByPeriod,
        ErrorsRow,
        QueryType.TIME_SERIES,
        path="/archive-sources/errors",
    ),
    Question(
        "source_overlap",
        "What does each archive source have that no other has?",
        InTime,
        OverlapRow,
        QueryType.AGGREGATION,
        path="/archive-sources/overlap",
    ),
    Question(
        "source_trend",
        "How many captures does each archive source give over time?",
        ByPeriod,
        TrendRow,
        QueryType.TIME_SERIES,
        path="/archive-sources/trend",
    ),
)
