"""The catalogue: every question there is."""

from typing import Annotated

from pydantic import Field

from chronolake.query import row
from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import Domain, End, Interval, Limit, Params, Project, Start
from chronolake.query.question import Question
from chronolake.query.route import QueryType

_Interval = Annotated[Interval, Field(description="day, week, month, quarter or year")]


class DomainTimeline(Params):
    """Which domain, cut into which periods."""

    domain: Domain
    interval: _Interval = Interval.MONTH
    project: Project | None = Field(default=None, description="a project, by name or id; all by default")
    start: Start = EARLIEST
    end: End = LATEST


class ProjectPerformance(Params):
    """Which project, cut into which periods."""

    project: Project
    interval: _Interval = Interval.MONTH
    start: Start = EARLIEST
    end: End = LATEST


class OfProject(Params):
    """All that is in scope, or one project of it."""

    project: Project | None = Field(default=None, description="a project, by name or id; all by default")


class InTime(OfProject):
    """All that is in scope or one project of it, in a time range."""

    start: Start = EARLIEST
    end: End = LATEST


class ByPeriod(InTime):
    """The same, cut into periods."""

    interval: _Interval = Interval.MONTH


class TopDomains(InTime):
    """How many domains."""

    limit: Limit = 20


_ALL = (
    Question(
        "domain_timeline",
        "How was a domain captured over time?",
        DomainTimeline,
        row.TimelineRow,
        QueryType.TIME_SERIES,
    ),
    Question(
        "project_performance",
        "How did a project's captures fare over time?",
        ProjectPerformance,
        row.PerformanceRow,
        QueryType.TIME_SERIES,
    ),
    Question(
        "content_quality_distribution",
        "How good is the content of the pages?",
        InTime,
        row.QualityRow,
        QueryType.AGGREGATION,
    ),
    Question(
        "archive_sources_comparison",
        "How do the archive sources compare?",
        InTime,
        row.SourceRow,
        QueryType.AGGREGATION,
    ),
    Question(
        "project_summary",
        "What is in a project, in all, by status, by media type and by month?",
        OfProject,
        row.SummaryRow,
        QueryType.AGGREGATION,
    ),
    Question(
        "captures_by_month",
        "How many captures does each period have?",
        ByPeriod,
        row.MonthRow,
        QueryType.TIME_SERIES,
    ),
    Question(
        "source_status",
        "Which statuses does each archive source give, and how large are the answers?",
        InTime,
        row.SourceStatusRow,
        QueryType.AGGREGATION,
    ),
    Question(
        "top_domains",
        "Which domains have the most captures?",
        TopDomains,
        row.DomainRow,
        QueryType.AGGREGATION,
    ),
    Question(
        "project_mime",
        "Which media types does each project hold?",
        InTime,
        row.ProjectMimeRow,
        QueryType.AGGREGATION,
    ),
)

#: Every question by its name.
QUESTIONS: dict[str, Question] = {question.name: question for question in _ALL}
