"""Questions about how the web changed."""

from typing import Annotated

from pydantic import Field

from chronolake.query.params import Domain, End, Interval, Limit, Start
from chronolake.query.question.base import (
    Bytes,
    Captures,
    First,
    InTime,
    Last,
    Moment,
    OfDomain,
    OfProject,
    OneInterval,
    Period,
    Question,
    Row,
    Urls,
)
from chronolake.query.route import QueryType

Compared = Annotated[
    int,
    Field(
        description="captures with content: no redirect, no error, with a digest that is not the empty body's"
    ),
]
Transitions = Annotated[int, Field(description="captures whose digest differs from the URL's capture before")]
UrlKey = Annotated[str, Field(description="URL key (SURT)")]
FirstOk = Annotated[Moment, Field(description="first capture with status 200 to 299, UTC")]
LastOk = Annotated[
    Moment, Field(description="last capture with status 200 to 299, or revisit of such a one, UTC")
]


class TopOfDomain(OfDomain):
    """The same, and how many rows."""

    limit: Limit = 20


class DomainByPeriod(OfDomain):
    """The same, cut into periods."""

    interval: OneInterval = Interval.MONTH


class OfAnyDomain(InTime):
    """Everything or one domain, in a time range."""

    domain: Domain | None = Field(default=None, description="a domain such as example.com; all by default")


class TwoRanges(OfProject):
    """Which domain, in one time range and in another."""

    domain: Domain
    start: Start
    end: End
    other_start: Start = Field(description="from when in the second range, written as start")
    other_end: End = Field(description="until when in the second range, written as end")


class ChangeRateRow(Row):
    """One period of a domain."""

    period: Period
    captures: Compared
    urls: Urls
    comparisons: Annotated[
        int, Field(description="captures with one of the same URL before them in the range")
    ]
    transitions: Transitions
    change_rate: Annotated[
        float | None, Field(description="transitions / comparisons, 0 to 1; null where nothing was compared")
    ]
    median_days: Annotated[
        int | None,
        Field(
            description="days that half of the transitions do not exceed since the URL's transition before"
        ),
    ]


class ChangingUrlRow(Row):
    """One URL."""

    url_key: UrlKey
    captures: Compared
    versions: Annotated[int, Field(description="different digests")]
    transitions: Transitions
    first: First
    last: Last


class LinkRotRow(Row):
    """The URLs first seen alive in one year, as they are so many years later."""

    cohort: Annotated[int, Field(description="year of the URLs' first capture with status 200 to 299")]
    age_years: Annotated[int, Field(description="calendar years since then")]
    urls: Annotated[int, Field(description="URLs of the cohort, the same at each age")]
    alive: Annotated[int, Field(description="URLs seen alive in that year or later, and not dead by its end")]
    dead: Annotated[int, Field(description="URLs dead by the end of that year")]
    unknown: Annotated[int, Field(description="URLs not seen alive any more, nor dead yet")]
    death_rate: Annotated[
        float, Field(description="dead / urls, 0 to 1; at least so many, as unknown ones may be dead as well")
    ]


class SurvivalRow(Row):
    """One age at which URLs died or went out of sight."""

    age_years: Annotated[
        int, Field(description="years of 365.25 days since the URL was first seen alive, whole")
    ]
    at_risk: Annotated[int, Field(description="URLs that reached this age in sight")]
    died: Annotated[int, Field(description="URLs that died at this age")]
    censored: Annotated[
        int, Field(description="URLs last seen alive at this age, of which no death is known")
    ]
    survival: Annotated[
        float, Field(description="share of URLs estimated to outlive this age (Kaplan-Meier), 0 to 1")
    ]


class RottenUrlRow(Row):
    """One URL that died."""

    url_key: UrlKey
    first_ok: FirstOk
    last_ok: LastOk
    dead_from: Annotated[Moment, Field(description="first error after it, UTC")]
    status_code: Annotated[int, Field(description="status of that error")]


class RedirectRow(Row):
    """One kind of redirect."""

    kind: Annotated[
        str,
        Field(
            description="the first that fits: unknown (no target is given, as most formats give none, or not one"
            " that can be read), domain_move (another registered domain), host_move (another host of the domain),"
            " http_to_https (whatever the path), same (but for a slash or question mark at the end, or a fragment),"
            " path_change"
        ),
    ]
    captures: Annotated[int, Field(description="captures with status 300 to 399 but 304")]
    urls: Urls
    first: First
    last: Last


class RedirectTargetRow(Row):
    """One host that redirects lead to."""

    target_host: Annotated[str, Field(description="host, lower case, without port")]
    is_internal: Annotated[bool, Field(description="whether it lies in the domain itself")]
    captures: Annotated[int, Field(description="captures that redirect there")]
    urls: Urls
    first: First
    last: Last


class RedirectChainRow(Row):
    """One URL that redirects, and where that ends."""

    start_url: Annotated[str, Field(description="the URL that redirects")]
    hops: Annotated[int, Field(description="redirects followed, 1 to 5; of a loop, until it closes")]
    final_url: Annotated[str, Field(description="where the chain ends, was cut after 5 hops, or closes")]
    final_status: Annotated[
        int | None, Field(description="status of its last capture; null where the domain has none of it")
    ]
    loops: Annotated[bool, Field(description="whether the chain comes back to one of its own URLs")]


class StatusMimeRow(Row):
    """One status with one media type."""

    status_code: Annotated[
        int | None,
        Field(description="status; null where none is known, as of a revisit of nothing that is here"),
    ]
    mime_type: Annotated[str | None, Field(description="media type as sent; null where none is known")]
    captures: Captures
    resolved: Annotated[
        int, Field(description="of these, revisits that took status or media type from what they repeat")
    ]
    bytes: Bytes


class UrlShapeRow(Row):
    """One shape of URLs."""

    path_depth: Annotated[int, Field(description="parts of the path; 0 for the root")]
    arguments: Annotated[int, Field(description="arguments of the query, divided by &; 0 without a query")]
    captures: Annotated[int, Field(description="captures that are responses, resources or revisits")]
    urls: Urls


class FateRow(Row):
    """What became of URLs."""

    fate: Annotated[
        str,
        Field(
            description="changed, unchanged, only_first (seen in the first range alone), only_second, or undecidable"
            " (seen in both, and no digest to compare in one, or digests of different algorithms)"
        ),
    ]
    urls: Urls
    captures: Annotated[
        int, Field(description="captures in the first range that are no redirect and no error")
    ]
    other_captures: Annotated[int, Field(description="the same in the second range")]


QUESTIONS = (
    Question(
        "change_rate",
        "How often does the content of a domain's URLs change?",
        DomainByPeriod,
        ChangeRateRow,
        QueryType.TIME_SERIES,
        path="/history/change-rate",
        parts=("url_contents",),
    ),
    Question(
        "changing_urls",
        "Which URLs of a domain change most often?",
        TopOfDomain,
        ChangingUrlRow,
        QueryType.AGGREGATION,
        path="/history/changing-urls",
        parts=("url_contents",),
    ),
    Question(
        "compare_periods",
        "What became of a domain's URLs from one time range to another?",
        TwoRanges,
        FateRow,
        QueryType.AGGREGATION,
        path="/history/compare-periods",
    ),
    Question(
        "link_rot",
        "How many of the URLs first seen alive in a year are dead so many years later?",
        OfAnyDomain,
        LinkRotRow,
        QueryType.AGGREGATION,
        path="/history/link-rot",
        parts=("url_evidence", "url_lives"),
    ),
    Question(
        "survival_curve",
        "Which share of URLs outlives each age?",
        OfAnyDomain,
        SurvivalRow,
        QueryType.AGGREGATION,
        path="/history/survival-curve",
        parts=("url_evidence", "url_lives"),
    ),
    Question(
        "rotten_urls",
        "Which URLs of a domain died, and when?",
        TopOfDomain,
        RottenUrlRow,
        QueryType.AGGREGATION,
        path="/history/rotten-urls",
        parts=("url_evidence",),
    ),
    Question(
        "redirects",
        "How far do the redirects of a domain lead?",
        OfDomain,
        RedirectRow,
        QueryType.AGGREGATION,
        path="/history/redirects",
    ),
    Question(
        "redirect_targets",
        "To which hosts does a domain redirect?",
        TopOfDomain,
        RedirectTargetRow,
        QueryType.AGGREGATION,
        path="/history/redirect-targets",
    ),
    Question(
        "redirect_chains",
        "Where do the redirects of a domain end?",
        TopOfDomain,
        RedirectChainRow,
        QueryType.AGGREGATION,
        path="/history/redirect-chains",
    ),
    Question(
        "status_mime",
        "Which statuses come with which media types, revisits counted as what they repeat?",
        OfAnyDomain,
        StatusMimeRow,
        QueryType.AGGREGATION,
        path="/history/status-mime",
    ),
    Question(
        "url_shapes",
        "How deep are the paths of URLs, and how many arguments do their queries have?",
        OfAnyDomain,
        UrlShapeRow,
        QueryType.AGGREGATION,
        path="/history/url-shapes",
    ),
)
