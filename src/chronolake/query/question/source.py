"""Questions about the archives that captures come from."""

from typing import Annotated

from pydantic import Field

from chronolake.query.question.base import (
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
    Question,
    Redirects,
    Revisits,
    Row,
    ServerErrors,
    WithoutStatus,
)
from chronolake.query.route import QueryType


class SourceRow(Row):
    """One archive source."""

    archive_source: Annotated[str, Field(description="where captures were collected from")]
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

    archive_source: Annotated[str, Field(description="where captures were collected from")]
    status_code: Annotated[int | None, Field(description="status; null where none was given")]
    captures: Captures
    bytes: Bytes
    p95_bytes: P95Bytes


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
)
