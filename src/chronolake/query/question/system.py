"""Questions about the system itself."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import End, MetricName, Params, Start
from chronolake.query.question.base import Moment, Question, Row
from chronolake.query.question.domain import TimelineInterval
from chronolake.query.route import QueryType

Process = Annotated[str, Field(description="the process, as host and number")]
Labels = Annotated[str, Field(description="labels as a JSON object")]


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


class SeriesRow(Row):
    """One period of a metric in one process."""

    period: Annotated[datetime, Field(description="first instant of the period, UTC")]
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
