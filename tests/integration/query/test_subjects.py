"""The questions' answers against plain Python over the same rows: that two engines agree proves neither right."""

import itertools
from collections import defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil, floor

import pytest

from chronolake.errors import ParameterInvalid
from chronolake.query import Scope

EMPTY_BODY = "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
DOMAIN = "host-3.example"


def at(kind, rank):
    """The least of the values that `rank` in a hundred of them do not exceed; nulls do not count."""
    values = sorted(value for value in kind if value is not None)
    return values[ceil(Fraction(rank, 100) * len(values)) - 1] if values else None


def total(values):
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def ratio(part, whole):
    return part / whole if whole else None


def count(rows, low, high):
    return sum(row["status_code"] is not None and low <= row["status_code"] <= high for row in rows)


def with_status(rows):
    return sum(row["status_code"] is not None for row in rows)


def digests(rows):
    return len({row["digest"] for row in rows} - {None, EMPTY_BODY})


def different(rows, name):
    return len({row[name] for row in rows} - {None})


def revisits(rows):
    return sum(row["record_type"] == "revisit" for row in rows)


def scores(rows):
    """Scores on the scale, as whole millionths."""
    known = [row["quality_score"] for row in rows if row["quality_score"] is not None]
    return [floor(Fraction(score) * 10**6 + Fraction(1, 2)) for score in known if 0 <= score <= 1]


def mean_quality(rows):
    found = scores(rows)
    return sum(found) / len(found) / 10**6 if found else None


def grouped(rows, key):
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def times(rows, name="timestamp"):
    return [row[name] for row in rows]


def seconds(moment):
    return (moment.replace(microsecond=0) - datetime(1970, 1, 1)) // timedelta(seconds=1)


def period_of(interval, moment):
    """The first instant of the period in which a moment lies."""
    day = datetime(moment.year, moment.month, moment.day)
    match interval:
        case "hour":
            return day.replace(hour=moment.hour)
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)


def following(interval, period):
    """The period after one."""
    days = {"day": 1, "week": 7, "month": 31, "quarter": 93, "year": 366}[interval]
    return period_of(interval, period + timedelta(days=days))


@pytest.fixture
def captures(stored):
    """Captures of one domain and project, or of all; in one time range, or ever."""

    def _captures(domain=None, start=datetime(1, 1, 1), end=datetime(9999, 12, 31), project_id=None):
        return [
            row
            for row in stored["cdx_records"]
            if domain in (None, row["domain"])
            and project_id in (None, row["project_id"])
            and start <= row["timestamp"] <= end
        ]

    return _captures


@pytest.mark.parametrize("interval", ["hour", "week", "year"])
def test_domain_timeline(ask, captures, interval):
    groups = grouped(captures(DOMAIN), lambda row: period_of(interval, row["timestamp"]))
    assert ask("domain_timeline", domain=DOMAIN, interval=interval).rows == [
        {
            "period": period,
            "captures": len(rows),
            "urls": different(rows, "url_key"),
            "ok": count(rows, 200, 299),
            "failed": count(rows, 400, 599),
            "error_rate": ratio(count(rows, 400, 599), with_status(rows)),
            "revisits": revisits(rows),
            "bytes": total(times(rows, "content_length")),
            "first": min(times(rows)),
            "last": max(times(rows)),
        }
        for period, rows in sorted(groups.items())
    ]


def test_domain_statistics(ask, captures):
    rows = captures(DOMAIN, end=datetime(2014, 1, 1))
    sizes = times(rows, "content_length")
    assert ask("domain_statistics", domain=DOMAIN, end="20140101000000").rows == [
        {
            "captures": len(rows),
            "urls": different(rows, "url_key"),
            "hosts": different(rows, "host"),
            "digests": digests(rows),
            "ok": count(rows, 200, 299),
            "redirects": count(rows, 300, 399),
            "client_errors": count(rows, 400, 499),
            "server_errors": count(rows, 500, 599),
            "without_status": len(rows) - with_status(rows),
            "revisits": revisits(rows),
            "bytes": total(sizes),
            "median_bytes": at(sizes, 50),
            "p95_bytes": at(sizes, 95),
            "first": min(times(rows)),
            "last": max(times(rows)),
            "active_days": len({moment.date() for moment in times(rows)}),
            "sources": different(rows, "archive_source"),
        }
    ]


def test_statistics_of_a_domain_that_nobody_captured_are_one_row_of_nothing(ask, filled):
    (row,) = ask("domain_statistics", domain="nowhere.example").rows
    assert {value for value in row.values() if value} == set()
    assert row["captures"] == 0
    assert row["bytes"] is row["first"] is row["median_bytes"] is None


@pytest.mark.parametrize("by", ["captures", "urls", "bytes", "success_rate"])
def test_top_domains(ask, captures, by):
    found = [
        {
            "domain": domain,
            "captures": len(rows),
            "urls": different(rows, "url_key") if by == "urls" else None,
            "digests": digests(rows),
            "bytes": total(times(rows, "content_length")),
            "success_rate": ratio(count(rows, 200, 299), with_status(rows)),
            "first": min(times(rows)),
            "last": max(times(rows)),
        }
        for domain, rows in grouped(captures(start=datetime(2015, 12, 25)), lambda row: row["domain"]).items()
    ]
    found.sort(key=lambda row: (row[by] is None, -(row[by] or 0), -row["captures"], row["domain"].encode()))
    assert ask("top_domains", by=by, start="20151225", limit="10000").rows == found
    assert ask("top_domains", by=by, start="20151225", limit="7").rows == found[:7]


def test_domain_hosts(ask, captures):
    found = [
        {
            "host": host,
            "captures": len(rows),
            "urls": different(rows, "url_key"),
            "ok": count(rows, 200, 299),
            "bytes": total(times(rows, "content_length")),
            "first": min(times(rows)),
            "last": max(times(rows)),
        }
        for host, rows in grouped(captures(DOMAIN), lambda row: row["host"]).items()
    ]
    found.sort(key=lambda row: (-row["captures"], row["host"]))
    assert {DOMAIN, f"www.{DOMAIN}"} == {row["host"] for row in found}
    assert ask("domain_hosts", domain=DOMAIN).rows == found
    assert ask("domain_hosts", domain=DOMAIN, limit="1").rows == found[:1]


@pytest.mark.parametrize("interval", ["week", "month", "year"])
@pytest.mark.parametrize("start", [datetime(1, 1, 1), datetime(2013, 6, 15)])
def test_growth(ask, captures, interval, start):
    firsts = {}
    for row in sorted(captures(DOMAIN), key=lambda row: row["timestamp"]):
        firsts.setdefault(row["url_key"], row["timestamp"])
    groups = grouped(captures(DOMAIN, start), lambda row: period_of(interval, row["timestamp"]))
    wanted = [
        {
            "period": period.date(),
            "captures": len(rows),
            "urls": different(rows, "url_key"),
            "new_urls": sum(
                first >= start and period_of(interval, first) == period for first in firsts.values()
            ),
            "cumulative_urls": sum(period_of(interval, first) <= period for first in firsts.values()),
        }
        for period, rows in sorted(groups.items())
    ]
    assert ask("growth", domain=DOMAIN, interval=interval, start=start).rows == wanted
    assert wanted[-1]["cumulative_urls"] == len(firsts)


def test_cadence(ask, captures):
    rows = captures(DOMAIN, end=datetime(2015, 1, 1))
    instants = sorted({seconds(moment) for moment in times(rows)})
    steps = [later - earlier for earlier, later in itertools.pairwise(instants)]
    newest = max(times(captures(end=datetime(2015, 1, 1))))
    assert ask("cadence", domain=DOMAIN, end="20150101000000").rows == [
        {
            "captures": len(rows),
            "instants": len(instants),
            "mean_hours": (instants[-1] - instants[0]) / len(steps) / 3600,
            "median_hours": at(steps, 50) / 3600,
            "p95_hours": at(steps, 95) / 3600,
            "longest_hours": max(steps) / 3600,
            "first": min(times(rows)),
            "last": max(times(rows)),
            "quiet_days": (seconds(newest) - instants[-1]) / 86400,
        }
    ]


def test_a_domain_that_was_captured_once_has_no_cadence(ask, captures):
    last = max(times(captures("é.example")))
    (row,) = ask("cadence", domain="xn--9ca.example", start=last).rows
    assert row["captures"] == 0
    last = max(times(captures(DOMAIN)))
    (row,) = ask("cadence", domain=DOMAIN, start=last).rows
    assert (row["instants"], row["first"], row["mean_hours"], row["p95_hours"]) == (1, last, None, None)


@pytest.mark.parametrize("interval", ["day", "week", "month", "quarter", "year"])
def test_coverage(ask, captures, interval):
    groups = grouped(captures(DOMAIN), lambda row: period_of(interval, row["timestamp"]))
    periods = [min(groups)]
    while periods[-1] < max(groups):
        periods.append(following(interval, periods[-1]))
    runs = {}
    for empty, run in itertools.groupby(periods, key=lambda period: period not in groups):
        members = list(run)
        runs |= {period: len(members) if empty else 0 for period in members}
    wanted = [
        {
            "period": period.date(),
            "captures": len(groups.get(period, [])),
            "active_days": len({moment.date() for moment in times(groups.get(period, []))}),
            "gap_periods": runs[period],
            "longest_gap_periods": max(runs.values()),
        }
        for period in periods
    ]
    assert ask("coverage", domain=DOMAIN, interval=interval).rows == wanted[:10_000]
    assert max(runs.values()) > 1


def test_coverage_gaps(ask, captures):
    moments = sorted(times(captures(DOMAIN)))
    wanted = [
        {
            "last_before": earlier,
            "first_after": later,
            "days": (seconds(later) - seconds(earlier)) // 86400,
            "seconds": seconds(later) - seconds(earlier),
        }
        for earlier, later in itertools.pairwise(moments)
    ]
    wanted.sort(key=lambda row: (-row["seconds"], row["last_before"]))
    wanted = [row for row in wanted if row.pop("seconds") >= 20 * 86400]
    assert len(wanted) > 10
    assert ask("coverage_gaps", domain=DOMAIN, min_days="20").rows == wanted[:100]
    assert ask("coverage_gaps", domain=DOMAIN, min_days="20", limit="3").rows == wanted[:3]


@pytest.mark.parametrize("start", [datetime(1, 1, 1), datetime(2014, 1, 1)])
def test_projects_comparison(ask, captures, stored, filled, start):
    wanted = []
    for name, project_id in zip(("news", "blogs"), filled, strict=True):
        rows = captures(start=start, project_id=project_id)
        pages = [
            page
            for page in stored["content_analytics"]
            if page["project_id"] == project_id and page["extraction_timestamp"] >= start
        ]
        wanted.append(
            {
                "project_id": project_id,
                "project": name,
                "captures": len(rows),
                "urls": different(rows, "url_key"),
                "domains": different(rows, "domain"),
                "digests": digests(rows),
                "ok": count(rows, 200, 299),
                "failed": count(rows, 400, 599),
                "revisits": revisits(rows),
                "bytes": total(times(rows, "content_length")),
                "pages": len(pages),
                "mean_quality": mean_quality(pages),
                "first": min(times(rows)),
                "last": max(times(rows)),
            }
        )
    wanted.sort(key=lambda row: (-row["captures"], row["project_id"]))
    assert ask("projects_comparison", projects="news,blogs", start=start).rows == wanted
    only = [row for row in wanted if row["project"] == "blogs"]
    assert ask("projects_comparison", projects=["blogs", str(filled[1])], start=start).rows == only


def test_a_project_without_captures_is_compared_as_one(ask, filled):
    for row in ask("projects_comparison", projects="news,blogs", end="1960").rows:
        assert (row["captures"], row["digests"], row["pages"]) == (0, 0, 0)
        assert row["bytes"] is row["mean_quality"] is row["first"] is None


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
@pytest.mark.parametrize("unknown", ["blogs", "sports", "999999"])
def test_a_project_out_of_scope_is_none_among_several_too(ask, filled, engine, unknown):
    scope = Scope(frozenset(filled[:1]))
    with pytest.raises(ParameterInvalid, match=f"there is no project '{unknown}'") as caught:
        ask("projects_comparison", engine, scope, projects=f"news,{unknown}")
    assert caught.value.facts["parameter"] == "projects"


def test_project_content_quality(ask, stored, filled):
    pages = [page for page in stored["content_analytics"] if page["project_id"] == filled[1]]
    wanted = [
        {
            "language": language,
            "pages": len(rows),
            "words": total(times(rows, "word_count")),
            "median_words": at(times(rows, "word_count"), 50),
            "scored": len(scores(rows)),
            "mean_quality": mean_quality(rows),
            "low_quality_share": ratio(
                sum(row["quality_score"] is not None and 0 <= row["quality_score"] < 0.5 for row in rows),
                len(scores(rows)),
            ),
        }
        for language, rows in grouped(pages, lambda page: page["language"]).items()
    ]
    wanted.sort(key=lambda row: (-row["pages"], row["language"] is None, (row["language"] or "").encode()))
    assert ask("project_content_quality", project="blogs").rows == wanted


def test_scraping_efficiency(ask, stored, filled):
    sessions = [row for row in stored["scrape_sessions"] if row["project_id"] == filled[0]]
    wanted = []
    for state, rows in grouped(sessions, lambda row: row["state"]).items():
        ended = [row for row in rows if row["started_at"] and row["finished_at"]]
        durations = [
            seconds(row["finished_at"].replace(tzinfo=None)) - seconds(row["started_at"].replace(tzinfo=None))
            for row in ended
        ]
        sums = {name: sum(times(rows, name)) for name in ("read", "stored", "duplicate", "rejected")}
        wanted.append(
            {
                "state": state,
                "sessions": len(rows),
                **sums,
                "stored_share": ratio(sums["stored"], sums["read"]),
                "ended": len(ended),
                "median_seconds": at(durations, 50),
                "p95_seconds": at(durations, 95),
                "read_per_second": ratio(sum(times(ended, "read")), sum(durations)),
            }
        )
    wanted.sort(key=lambda row: (-row["sessions"], row["state"]))
    assert len(wanted) == 4
    assert ask("scraping_efficiency", project="news").rows == wanted
    # Bounds are UTC, whatever the zones of the engines.
    asked = min(row["created_at"] for row in sessions).replace(tzinfo=None)
    for engine in ("duckdb", "postgres"):
        answer = ask("scraping_efficiency", engine, project="news", start=asked, end=asked)
        assert sum(row["sessions"] for row in answer.rows) >= 1


def test_duplicates(ask, captures, filled):
    found = [
        {
            "digest": digest,
            "empty_body": digest == EMPTY_BODY,
            "captures": len(rows),
            "urls": different(rows, "url_key"),
            "revisits": revisits(rows),
            "bytes": total(times(rows, "content_length")),
            "first": min(times(rows)),
            "last": max(times(rows)),
        }
        for digest, rows in grouped(captures(project_id=filled[0]), lambda row: row["digest"]).items()
        if digest == EMPTY_BODY or (digest is not None and len(rows) > 1)
    ]
    found.sort(key=lambda row: (row["empty_body"], -row["captures"], row["digest"]))
    assert found[-1]["empty_body"]
    assert ask("duplicates", project="news", limit="10000").rows == found
    assert ask("duplicates", project="news", limit="3").rows == [*found[:3], found[-1]]


@pytest.fixture
def attempts(stored):
    """Attempts from some time on."""

    def _attempts(start=datetime(1, 1, 1)):
        found = stored["archive_request_attempts"]
        return [row for row in found if row["requested_at"].replace(tzinfo=None) >= start]

    return _attempts


@pytest.mark.parametrize("start", [datetime(1, 1, 1), datetime(2015, 12, 31)])
def test_source_attempts(ask, attempts, start):
    of_source = grouped(attempts(start), lambda row: row["archive_source"])
    wanted = [
        {
            "archive_source": source,
            "outcome": outcome,
            "attempts": len(rows),
            "share": len(rows) / len(of_source[source]),
            "retries": sum(row["retry"] > 0 for row in rows),
            "median_ms": at(times(rows, "latency_ms"), 50),
            "p95_ms": at(times(rows, "latency_ms"), 95),
            "bytes": total(times(rows, "bytes")),
            "rows": total(times(rows, "rows")),
        }
        for (source, outcome), rows in grouped(
            attempts(start), lambda row: (row["archive_source"], row["outcome"])
        ).items()
    ]
    wanted.sort(key=lambda row: (row["archive_source"].encode(), -row["attempts"], row["outcome"]))
    assert ask("source_attempts", start=start).rows == wanted


def test_attempts_of_no_project_show_to_who_may_see_everything(ask, attempts, filled):
    everything = sum(row["attempts"] for row in ask("source_attempts").rows)
    both = sum(row["attempts"] for row in ask("source_attempts", scope=Scope(frozenset(filled))).rows)
    assert everything == len(attempts())
    assert both == sum(row["project_id"] is not None for row in attempts()) < everything


def test_source_errors(ask, attempts):
    def place(row):
        return period_of("quarter", row["requested_at"].replace(tzinfo=None)).date(), row["archive_source"]

    whole = grouped(attempts(), place)
    wanted = [
        {
            "period": period,
            "archive_source": source,
            "outcome": outcome,
            "failures": len(rows),
            "share": len(rows) / len(whole[period, source]),
        }
        for (period, source, outcome), rows in grouped(
            attempts(), lambda row: (*place(row), row["outcome"])
        ).items()
        if outcome not in {"ok", "empty"}
    ]
    wanted.sort(
        key=lambda row: (row["period"], row["archive_source"].encode(), -row["failures"], row["outcome"])
    )
    assert ask("source_errors", interval="quarter").rows == wanted


@pytest.mark.parametrize("start", [datetime(1, 1, 1), datetime(2021, 6, 1)])
def test_source_overlap(ask, captures, start):
    sources = grouped(captures(start=start), lambda row: row["archive_source"])
    urls = {source: {row["url_key"] for row in rows} for source, rows in sources.items()}
    contents = {
        source: {(row["url_key"], row["digest"]) for row in rows if row["digest"] not in (None, EMPTY_BODY)}
        for source, rows in sources.items()
    }

    def alone(held, source):
        return len(held[source].difference(*(others for other, others in held.items() if other != source)))

    wanted = [
        {
            "archive_source": source,
            "captures": len(rows),
            "urls": len(urls[source]),
            "only_urls": alone(urls, source),
            "shared_urls": len(urls[source]) - alone(urls, source),
            "contents": len(contents[source]),
            "only_contents": alone(contents, source),
            "shared_contents": len(contents[source]) - alone(contents, source),
        }
        for source, rows in sources.items()
    ]
    wanted.sort(key=lambda row: (-row["captures"], row["archive_source"].encode()))
    assert any(row["only_urls"] for row in wanted)
    assert any(row["shared_urls"] for row in wanted)
    assert ask("source_overlap", start=start).rows == wanted


def test_source_trend(ask, captures):
    groups = grouped(
        captures(), lambda row: (period_of("week", row["timestamp"]).date(), row["archive_source"])
    )
    assert ask("source_trend", interval="week").rows == [
        {
            "period": period,
            "archive_source": source,
            "captures": len(rows),
            "ok": count(rows, 200, 299),
            "bytes": total(times(rows, "content_length")),
        }
        for (period, source), rows in sorted(
            groups.items(), key=lambda item: (item[0][0], item[0][1].encode())
        )
    ]


def most_common(rows, *names):
    """Rows with the most first, then by their texts' bytes, nulls last."""
    first = "pages" if "pages" in rows[0] else "captures"
    return sorted(
        rows,
        key=lambda row: (-row[first], *((row[name] is None, (row[name] or "").encode()) for name in names)),
    )


def small(text):
    """A name without what follows its semicolon, its ASCII letters small; null where nothing is left."""
    name = (text or "").partition(";")[0].strip(" ")
    return "".join(letter.lower() if letter.isascii() else letter for letter in name) or None


def test_languages(ask, stored):
    pages = stored["content_analytics"]
    wanted = most_common(
        [
            {
                "language": language,
                "pages": len(rows),
                "share": len(rows) / len(pages),
                "words": total(times(rows, "word_count")),
                "median_words": at(times(rows, "word_count"), 50),
                "domains": different(rows, "domain"),
            }
            for language, rows in grouped(pages, lambda row: row["language"]).items()
        ],
        "language",
    )
    assert ask("languages").rows == wanted
    assert ask("languages", limit="2").rows == wanted[:2]


def test_charsets(ask, captures):
    wanted = most_common(
        [
            {
                "charset": charset,
                "captures": len(rows),
                "share": len(rows) / len(captures()),
                "domains": different(rows, "domain"),
                "bytes": total(times(rows, "content_length")),
            }
            for charset, rows in grouped(captures(), lambda row: small(row["charset"])).items()
        ],
        "charset",
    )
    assert {"utf-8", "Ä", None} < {row["charset"] for row in wanted}
    assert ask("charsets").rows == wanted


def test_mime_mismatch(ask, captures):
    looked_at = [row for row in captures() if small(row["mime_detected"])]
    pairs = grouped(looked_at, lambda row: (small(row["mime_type"]), small(row["mime_detected"])))
    wanted = most_common(
        [
            {
                "mime_type": sent,
                "mime_detected": detected,
                "agrees": sent == detected,
                "captures": len(rows),
                "share": len(rows) / len(looked_at),
                "bytes": total(times(rows, "content_length")),
            }
            for (sent, detected), rows in pairs.items()
        ],
        "mime_type",
        "mime_detected",
    )
    assert ask("mime_mismatch", limit="10000").rows == wanted
    assert ask("mime_mismatch", limit="5").rows == wanted[:5]
    agreeing = {row["mime_type"] for row in wanted if row["agrees"]}
    assert agreeing == {"text/html", "image/jpeg", "äöü/x"}


def test_extraction_performance(ask, stored):
    wanted = most_common(
        [
            {
                "extraction_method": method,
                "pages": len(rows),
                "with_text": sum((row["word_count"] or 0) > 0 for row in rows),
                "text_share": sum((row["word_count"] or 0) > 0 for row in rows) / len(rows),
                "words": total(times(rows, "word_count")),
                "median_words": at(times(rows, "word_count"), 50),
                "p95_words": at(times(rows, "word_count"), 95),
                "entities": total(times(rows, "entity_count")),
                "with_language": sum(row["language"] is not None for row in rows),
                "scored": len(scores(rows)),
                "mean_quality": mean_quality(rows),
                "first": min(times(rows, "extraction_timestamp")),
                "last": max(times(rows, "extraction_timestamp")),
            }
            for method, rows in grouped(
                stored["content_analytics"], lambda row: row["extraction_method"]
            ).items()
        ],
        "extraction_method",
    )
    assert ask("extraction_performance").rows == wanted


def test_word_counts(ask, stored):
    groups = grouped(
        stored["content_analytics"], lambda row: period_of("month", row["extraction_timestamp"]).date()
    )
    assert ask("word_counts", interval="month").rows == [
        {
            "period": period,
            "pages": len(rows),
            "words": total(times(rows, "word_count")),
            "median_words": at(times(rows, "word_count"), 50),
            "p95_words": at(times(rows, "word_count"), 95),
        }
        for period, rows in sorted(groups.items())
    ]
