"""Questions about projects."""

from typing import Annotated

from pydantic import Field

from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import End, Interval, Params, Project, Start
from chronolake.query.question.base import (
    ByPeriod,
    Bytes,
    Captures,
    ClientErrors,
    Domains,
    First,
    InTime,
    Last,
    OfProject,
    Ok,
    OneInterval,
    Period,
    Question,
    Redirects,
    Revisits,
    Row,
    ServerErrors,
    WithoutStatus,
)
from chronolake.query.route import QueryType


class ProjectPerformance(Params):
    """Which project, cut into which periods."""

    project: Project
    interval: OneInterval = Interval.MONTH
    start: Start = EARLIEST
    end: End = LATEST


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


class ProjectMimeRow(Row):
    """One media type of one project."""

    project_id: Annotated[int, Field(description="the project")]
    mime_type: Annotated[str | None, Field(description="media type as sent; null where none was")]
    captures: Captures
    bytes: Bytes


QUESTIONS = (
    Question(
        "project_performance",
        "How did a project's captures fare over time?",
        ProjectPerformance,
        PerformanceRow,
        QueryType.TIME_SERIES,
        path="/projects/{project_id}/performance",
    ),
    Question(
        "project_summary",
        "What is in a project, in all, by status, by media type and by month?",
        OfProject,
        SummaryRow,
        QueryType.AGGREGATION,
    ),
    Question(
        "captures_by_month",
        "How many captures does each period have?",
        ByPeriod,
        MonthRow,
        QueryType.TIME_SERIES,
    ),
    Question(
        "project_mime",
        "Which media types does each project hold?",
        InTime,
        ProjectMimeRow,
        QueryType.AGGREGATION,
    ),
)
