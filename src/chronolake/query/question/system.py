"""Questions about the system itself."""

from typing import Annotated

from pydantic import Field

from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import End, MetricName, Params, Start
from chronolake.query.question.base import ByPeriod, InTime, Moment, Period, Question, Row
from chronolake.query.question.domain import TimelineInterval
from chronolake.query.route import QueryType

Process = Annotated[str, Field(description="the process, as host and number")]
Labels = Annotated[str, Field(description="labels as a JSON object")]
AskedQuestion = Annotated[str, Field(description="name of the question, `sql` for SQL")]
Asked = Annotated[int, Field(description="times that it was asked")]
Unanswered = Annotated[int, Field(description="of these, ones that got no answer")]
MedianMs = Annotated[
    float | None, Field(description="milliseconds that half did not exceed; null if unknown")
]


class MetricSeries(Params):
    """One metric, cut into periods."""

    metric: MetricName
    interval: Annotated[TimelineInterval, Field(description="hour, day, week, month, quarter or year")] = (
        TimelineInterval.HOUR
    )
    start: Start = EARLIEST
    end: End = LATEST


class Sampled(Params):
    """Samples of a time range."""

    start: Start = EARLIEST
    end: End = LATEST


class PerformanceRow(Row):
    """Answers to one question by one engine, for one reason; without an engine, those that failed."""

    question: AskedQuestion
    engine: Annotated[str | None, Field(description="what answered; null where nothing did")]
    reason: Annotated[
        str | None, Field(description="why it did, as the metric's label says; null where nothing did")
    ]
    asked: Asked
    failed: Unanswered
    median_ms: MedianMs
    p95_ms: Annotated[float | None, Field(description="milliseconds that 95 % did not exceed")]
    slowest_ms: Annotated[float | None, Field(description="milliseconds of the slowest")]
    rows: Annotated[int | None, Field(description="rows of all answers; null without any")]


class UsageRow(Row):
    """One question in one period."""

    period: Period
    question: AskedQuestion
    asked: Asked
    failed: Unanswered
    cached: Annotated[int, Field(description="of these, answered from the result cache")]
    rolled_up: Annotated[int, Field(description="of these, answered from rollups")]
    people: Annotated[int, Field(description="different people who asked, those not signed in left out")]
    median_ms: MedianMs


class SeriesRow(Row):
    """One period of a metric in one process."""

    period: Annotated[Moment, Field(description="first instant of the period, UTC")]
    process: Process
    labels: Labels
    samples: Annotated[int, Field(description="values that were written down, which are those that changed")]
    least: Annotated[float, Field(description="least of them, in the metric's unit")]
    greatest: Annotated[float, Field(description="greatest of them, in the metric's unit")]
    last: Annotated[float, Field(description="last of them, in the metric's unit")]


class UtilizationRow(Row):
    """The newest value of one metric in one process."""

    process: Process
    metric: Annotated[str, Field(description="the metric's name")]
    labels: Labels
    value: Annotated[float, Field(description="its value, in the metric's unit")]
    since: Annotated[Moment, Field(description="when it was first read to be so, UTC")]


QUESTIONS = (
    Question(
        "performance_overview",
        "How fast are questions answered, by which engine, and why by that one?",
        InTime,
        PerformanceRow,
        QueryType.AGGREGATION,
        path="/system/performance-overview",
    ),
    Question(
        "question_usage",
        "What is asked, how often, and by how many?",
        ByPeriod,
        UsageRow,
        QueryType.TIME_SERIES,
        path="/system/usage",
    ),
    Question(
        "metric_series",
        "How did a metric change over time, in each process?",
        MetricSeries,
        SeriesRow,
        QueryType.TIME_SERIES,
        path="/time-series/{metric}",
    ),
    Question(
        "resource_utilization",
        "What do processes use, and what do the stores hold, as of late?",
        Sampled,
        UtilizationRow,
        QueryType.AGGREGATION,
        path="/system/resource-utilization",
    ),
)
