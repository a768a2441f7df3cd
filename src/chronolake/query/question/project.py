"""Questions about projects."""

from typing import Annotated

from pydantic import Field

from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import End, Interval, Limit, Params, Project, Projects, Start
from chronolake.query.question.base import (
    ByPeriod,
    Bytes,
    Captures,
    ClientErrors,
    Digests,
    Domains,
    Failed,
    First,
    InTime,
    Last,
    MeanQuality,
    MedianWords,
    OfProject,
    Ok,
    OneInterval,
    Pages,
    Period,
    Question,
    Redirects,
    Revisits,
    Row,
    Scored,
    ServerErrors,
    Urls,
    WithoutStatus,
    Words,
)
from chronolake.query.route import QueryType


class OneProject(InTime):
    """Which project, in which time range."""

    project: Project


class ProjectPerformance(OneProject):
    """The same, cut into periods."""

    interval: OneInterval = Interval.MONTH


class Duplicates(OneProject):
    """Which project, and how many digests."""

    limit: Limit = 100


class ProjectsComparison(Params):
    """Which projects, in which time range."""

    projects: Projects
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


class ComparisonRow(Row):
    """One project beside others."""

    project_id: Annotated[int, Field(description="the project")]
    project: Annotated[str, Field(description="its name")]
    captures: Captures
    urls: Urls
    domains: Domains
    digests: Digests
    ok: Ok
    failed: Failed
    revisits: Revisits
    bytes: Bytes
    pages: Pages
    mean_quality: MeanQuality
    first: First
    last: Last


class LanguageQualityRow(Row):
    """One language of a project's pages."""

    language: Annotated[str | None, Field(description="main language, ISO-639-1; null where unknown")]
    pages: Pages
    words: Words
    median_words: MedianWords
    scored: Scored
    mean_quality: MeanQuality
    low_quality_share: Annotated[
        float | None, Field(description="scores below 0.5 to all scores from 0 to 1; null without any")
    ]


class EfficiencyRow(Row):
    """The scrape sessions of one state."""

    state: Annotated[str, Field(description="waiting, running, paused, done, failed or cancelled")]
    sessions: Annotated[int, Field(description="scrape sessions")]
    read: Annotated[int, Field(description="captures that the archives gave")]
    stored: Annotated[int, Field(description="of these, new ones")]
    duplicate: Annotated[int, Field(description="of these, stored before")]
    rejected: Annotated[int, Field(description="of these, ones that could not be stored")]
    stored_share: Annotated[
        float | None, Field(description="stored captures to read ones; null where none was read")
    ]
    ended: Annotated[int, Field(description="sessions that began and ended; times are theirs alone")]
    median_seconds: Annotated[
        int | None, Field(description="seconds from begin to end that half of these do not exceed")
    ]
    p95_seconds: Annotated[
        int | None, Field(description="seconds from begin to end that 95 % of these do not exceed")
    ]
    read_per_second: Annotated[
        float | None,
        Field(description="captures that these read, per second; null where they took no second"),
    ]


class DuplicateRow(Row):
    """One content that was captured more than once, or the empty body."""

    digest: Annotated[str, Field(description="digest of the payload")]
    empty_body: Annotated[
        bool, Field(description="whether it is the empty body's, which comes last and beyond the limit")
    ]
    captures: Captures
    urls: Urls
    revisits: Revisits
    bytes: Bytes
    first: First
    last: Last


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
    Question(
        "projects_comparison",
        "How do projects compare?",
        ProjectsComparison,
        ComparisonRow,
        QueryType.AGGREGATION,
        path="/projects/comparison",
        method="POST",
    ),
    Question(
        "project_content_quality",
        "How good is the content of a project's pages, by language?",
        OneProject,
        LanguageQualityRow,
        QueryType.AGGREGATION,
        path="/projects/{project_id}/content-quality",
    ),
    Question(
        "scraping_efficiency",
        "How much did a project's scrape sessions bring, and how long did they take?",
        OneProject,
        EfficiencyRow,
        QueryType.AGGREGATION,
        path="/projects/{project_id}/scraping-efficiency",
    ),
    Question(
        "duplicates",
        "Which contents of a project were captured most often?",
        Duplicates,
        DuplicateRow,
        QueryType.AGGREGATION,
        path="/projects/{project_id}/duplicates",
    ),
)
