"""Questions about domains."""

from typing import Annotated

from pydantic import Field

from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import Domain, End, Interval, Limit, Params, Project, Start
from chronolake.query.question.base import (
    Bytes,
    Captures,
    Digests,
    First,
    InTime,
    Last,
    Ok,
    OneInterval,
    Period,
    Question,
    Revisits,
    Row,
)
from chronolake.query.route import QueryType


class DomainTimeline(Params):
    """Which domain, cut into which periods."""

    domain: Domain
    interval: OneInterval = Interval.MONTH
    project: Project | None = Field(default=None, description="a project, by name or id; all by default")
    start: Start = EARLIEST
    end: End = LATEST


class TopDomains(InTime):
    """How many domains."""

    limit: Limit = 20


class TimelineRow(Row):
    """One period of a domain."""

    period: Period
    captures: Captures
    ok: Ok
    revisits: Revisits
    bytes: Bytes
    first: First
    last: Last


class DomainRow(Row):
    """One domain."""

    domain: Annotated[str, Field(description="registered domain, else host")]
    captures: Captures
    digests: Digests
    first: First
    last: Last


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
        "top_domains",
        "Which domains have the most captures?",
        TopDomains,
        DomainRow,
        QueryType.AGGREGATION,
        path="/domains/top-domains",
    ),
)
