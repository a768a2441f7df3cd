"""Questions about domains."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import Domain, End, Interval, Limit, Params, Project, Start
from chronolake.query.question.base import (
    ActiveDays,
    Bytes,
    Captures,
    ClientErrors,
    Digests,
    ErrorRate,
    Failed,
    First,
    InTime,
    Last,
    MedianBytes,
    Moment,
    OfDomain,
    Ok,
    OneInterval,
    P95Bytes,
    Period,
    Question,
    Redirects,
    Revisits,
    Row,
    ServerErrors,
    SuccessRate,
    Urls,
    WithoutStatus,
)
from chronolake.query.route import QueryType


class TimelineInterval(StrEnum):
    """How long a period of a timeline is: an hour as well, which elsewhere would be too many rows."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Rank(StrEnum):
    """What makes a domain the foremost. Domains alike in it follow by captures, then by name."""

    CAPTURES = "captures"
    URLS = "urls"
    BYTES = "bytes"
    SUCCESS_RATE = "success_rate"


class DomainTimeline(Params):
    """Which domain, cut into which periods."""

    domain: Domain
    interval: Annotated[TimelineInterval, Field(description="hour, day, week, month, quarter or year")] = (
        TimelineInterval.MONTH
    )
    project: Project | None = Field(default=None, description="a project, by name or id; all by default")
    start: Start = EARLIEST
    end: End = LATEST


class Growth(OfDomain):
    """Which domain, cut into which periods."""

    interval: OneInterval = Interval.MONTH


class Coverage(Growth):
    """The same, and how many periods."""

    # Days of 27 years: one capture that bears a wrong year must not fill an answer with empty days.
    limit: Limit = 10_000


class CoverageGaps(OfDomain):
    """Which domain, how long a gap has to be, and how many."""

    min_days: Annotated[
        int, Field(ge=1, le=36_500, description="days that a gap lasts at least, 1 to 36500")
    ] = 30
    limit: Limit = 100


class DomainHosts(OfDomain):
    """Which domain, and how many hosts."""

    limit: Limit = 100


class TopDomains(InTime):
    """How many domains, and what ranks them."""

    limit: Limit = 20
    by: Annotated[
        Rank, Field(description="what ranks domains, the most first: captures, urls, bytes or success_rate")
    ] = Rank.CAPTURES


class TimelineRow(Row):
    """One period of a domain."""

    period: Annotated[Moment, Field(description="first instant of the period, UTC")]
    captures: Captures
    urls: Urls
    ok: Ok
    failed: Failed
    error_rate: ErrorRate
    revisits: Revisits
    bytes: Bytes
    first: First
    last: Last


class DomainStatisticsRow(Row):
    """One domain in all."""

    captures: Captures
    urls: Urls
    hosts: Annotated[int, Field(description="different hosts")]
    digests: Digests
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
    active_days: ActiveDays
    sources: Annotated[int, Field(description="different archive sources")]


class DomainRow(Row):
    """One domain."""

    domain: Annotated[str, Field(description="registered domain, else host")]
    captures: Captures
    urls: Annotated[
        int | None, Field(description="different URLs, by URL key, where they rank domains; else null")
    ]
    digests: Digests
    bytes: Bytes
    success_rate: SuccessRate
    first: First
    last: Last


class HostRow(Row):
    """One host of a domain."""

    host: Annotated[str | None, Field(description="host name or IP address; null where the URL has none")]
    captures: Captures
    urls: Urls
    ok: Ok
    bytes: Bytes
    first: First
    last: Last


class CoverageRow(Row):
    """One period of a domain's calendar, from its first capture to its last."""

    period: Period
    captures: Captures
    active_days: ActiveDays
    gap_periods: Annotated[
        int,
        Field(description="periods of the run of empty ones that this one is of; 0 where it has captures"),
    ]
    longest_gap_periods: Annotated[
        int, Field(description="periods of the longest run of empty ones, the same in each row")
    ]


class GapRow(Row):
    """One time without a capture."""

    last_before: Annotated[Moment, Field(description="last capture before the gap, UTC")]
    first_after: Annotated[Moment, Field(description="first capture after it, UTC")]
    days: Annotated[int, Field(description="whole days between the two; fractions of a second do not count")]


class CadenceRow(Row):
    """How often one domain is captured, whatever the URL."""

    captures: Captures
    instants: Annotated[int, Field(description="different seconds with a capture")]
    mean_hours: Annotated[
        float | None,
        Field(description="mean time from one instant to the next, hours; null below two instants"),
    ]
    median_hours: Annotated[float | None, Field(description="time that half of these do not exceed, hours")]
    p95_hours: Annotated[float | None, Field(description="time that 95 % of these do not exceed, hours")]
    longest_hours: Annotated[float | None, Field(description="the longest of these, hours")]
    first: First
    last: Last
    quiet_days: Annotated[
        float | None,
        Field(
            description="days from the domain's last capture to the last one of any domain in scope and time range"
        ),
    ]


class GrowthRow(Row):
    """One period of a domain with captures."""

    period: Period
    captures: Captures
    urls: Urls
    new_urls: Annotated[
        int, Field(description="of these, ones that had no capture before, be it before `start`")
    ]
    cumulative_urls: Annotated[
        int,
        Field(
            description="different URLs captured up to the end of the period, since the very first capture"
        ),
    ]


QUESTIONS = (
    Question(
        "domain_timeline",
        "How was a domain captured over time?",
        DomainTimeline,
        TimelineRow,
        QueryType.TIME_SERIES,
        path="/domains/{domain}/timeline",
    ),
    Question(
        "domain_statistics",
        "What is there of a domain, in all?",
        OfDomain,
        DomainStatisticsRow,
        QueryType.AGGREGATION,
        path="/domains/{domain}/statistics",
    ),
    Question(
        "domain_hosts",
        "Which hosts does a domain have?",
        DomainHosts,
        HostRow,
        QueryType.AGGREGATION,
        path="/domains/{domain}/hosts",
    ),
    Question(
        "growth",
        "How did a domain grow: which URLs were new in which period?",
        Growth,
        GrowthRow,
        QueryType.TIME_SERIES,
        path="/domains/{domain}/growth",
    ),
    Question(
        "cadence",
        "How often is a domain captured?",
        OfDomain,
        CadenceRow,
        QueryType.AGGREGATION,
        path="/domains/{domain}/cadence",
    ),
    Question(
        "coverage",
        "Which periods of a domain's time have captures, and which have none?",
        Coverage,
        CoverageRow,
        QueryType.TIME_SERIES,
        path="/domains/coverage-analysis",
    ),
    Question(
        "coverage_gaps",
        "When was a domain not captured for long?",
        CoverageGaps,
        GapRow,
        QueryType.AGGREGATION,
        path="/domains/coverage-gaps",
    ),
    Question(
        "top_domains",
        "Which domains have the most captures, URLs or bytes, or the best success rate?",
        TopDomains,
        DomainRow,
        QueryType.AGGREGATION,
        path="/domains/top-domains",
    ),
)
