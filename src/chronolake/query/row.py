"""Rows of answers, with the unit of each column. Counts are of captures unless the name says otherwise."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

#: A time without a zone is UTC; in JSON it says so.
Moment = Annotated[
    datetime, PlainSerializer(lambda moment: moment.isoformat() + "Z", return_type=str, when_used="json")
]

Captures = Annotated[int, Field(description="captures of every record type")]
Ok = Annotated[int, Field(description="captures with status 200 to 299")]
Redirects = Annotated[int, Field(description="captures with status 300 to 399")]
ClientErrors = Annotated[int, Field(description="captures with status 400 to 499")]
ServerErrors = Annotated[int, Field(description="captures with status 500 to 599")]
WithoutStatus = Annotated[int, Field(description="captures without a status, as revisits and dns are")]
Revisits = Annotated[int, Field(description="captures that are revisits")]
Bytes = Annotated[int | None, Field(description="sum of content_length, bytes; null where none is known")]
Domains = Annotated[int, Field(description="different domains")]
Digests = Annotated[int, Field(description="different digests, the empty body's left out")]
First = Annotated[Moment | None, Field(description="first capture, UTC")]
Last = Annotated[Moment | None, Field(description="last capture, UTC")]
Period = Annotated[date, Field(description="first day of the period, UTC")]


class Row(BaseModel):
    """One row of an answer; each field has a description with its unit."""

    model_config = ConfigDict(frozen=True)


class TimelineRow(Row):
    """One period of a domain."""

    period: Period
    captures: Captures
    ok: Ok
    revisits: Revisits
    bytes: Bytes
    first: First
    last: Last


class PerformanceRow(Row):
    """One period of a project."""

    period: Period
    captures: Captures
    domains: Domains
    ok: Ok
    redirects: Redirects
    client_errors: ClientErrors
    server_errors: ServerErrors
    without_status: WithoutStatus
    revisits: Revisits
    bytes: Bytes


class QualityRow(Row):
    """One tenth of the quality scale."""

    band: Annotated[
        int | None,
        Field(description="0 for scores below 0.1, up to 9 for 0.9 to 1; null without a score from 0 to 1"),
    ]
    pages: Annotated[int, Field(description="pages")]
    words: Annotated[int | None, Field(description="sum of word_count, words")]
    median_words: Annotated[int | None, Field(description="word_count that half of the pages do not exceed")]
    entities: Annotated[int | None, Field(description="sum of entity_count")]
    languages: Annotated[int, Field(description="different languages")]


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
    median_bytes: Annotated[int | None, Field(description="content_length of the median capture, bytes")]
    p95_bytes: Annotated[int | None, Field(description="content_length that 95 % do not exceed, bytes")]
    first: First
    last: Last


class SummaryRow(Row):
    """One line of a summary: `section` is total, status, mime_type or month."""

    section: Annotated[str, Field(description="total, status, mime_type or month")]
    label: Annotated[
        str | None,
        Field(description="2xx, a media type, or a month as 2014-06; null for the total and where unknown"),
    ]
    captures: Captures
    urls: Annotated[int | None, Field(description="different URLs, by URL key; the total has it alone")]
    domains: Annotated[int | None, Field(description="different registered domains; the total has it alone")]
    digests: Annotated[
        int | None,
        Field(description="different digests, the empty body's left out; the total has it alone"),
    ]
    revisits: Revisits
    bytes: Bytes
    first: First
    last: Last


class MonthRow(Row):
    """One period of everything in scope."""

    period: Period
    captures: Captures
    bytes: Bytes


class SourceStatusRow(Row):
    """One status of one archive source."""

    archive_source: Annotated[str, Field(description="where captures were collected from")]
    status_code: Annotated[int | None, Field(description="status; null where none was given")]
    captures: Captures
    bytes: Bytes
    p95_bytes: Annotated[int | None, Field(description="content_length that 95 % do not exceed, bytes")]


class DomainRow(Row):
    """One domain."""

    domain: Annotated[str, Field(description="registered domain, else host")]
    captures: Captures
    digests: Digests
    first: First
    last: Last


class ProjectMimeRow(Row):
    """One media type of one project."""

    project_id: Annotated[int, Field(description="the project")]
    mime_type: Annotated[str | None, Field(description="media type as sent; null where none was")]
    captures: Captures
    bytes: Bytes
