"""The questions about change against plain Python over the same rows: parity proves agreement, this proves sense."""

import re
from collections import Counter, defaultdict
from datetime import datetime
from itertools import groupby, pairwise
from math import ceil
from operator import itemgetter
from urllib.parse import urlsplit

import pytest
from psycopg.rows import dict_row

from chronolake.query.moment import EARLIEST, LATEST

EMPTY_BODY = "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
DOMAINS = ["host-3.example", "host-7.example", "host-11.example", "165.22.100.0"]
EVERY = [{}, *({"domain": domain} for domain in DOMAINS)]


@pytest.fixture(scope="module")
def rows(database, filled):
    """Every capture as a mapping."""
    with database.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM cdx_records").fetchall()


def of(rows, domain=None, start=EARLIEST, end=LATEST):
    return [row for row in rows if domain in (None, row["domain"]) and start <= row["timestamp"] <= end]


def is_ok(row):
    return row["status_code"] is not None and 200 <= row["status_code"] <= 299


def is_redirect(row):
    return row["status_code"] is not None and 300 <= row["status_code"] <= 399 and row["status_code"] != 304


def is_content(row):
    """A capture that says what the URL held: no request, no redirect, no error; 304 means what was there before."""
    status = row["status_code"]
    said = status is None or status == 304 or not 300 <= status <= 599
    return said and row["record_type"] in {"response", "resource", "revisit"}


def by_url(rows, key="url_key"):
    found = defaultdict(list)
    for row in rows:
        found[row[key]].append(row)
    return found


def comparisons(rows):
    """Of each capture with content: time, URL, digest, whether it was compared and changed, days since the last change."""
    contents = {
        (row["url_key"], row["digest_algorithm"] or "", row["timestamp"], row["digest"])
        for row in rows
        if is_content(row) and row["digest"] not in (None, EMPTY_BODY)
    }
    found = []
    for (url_key, _), versions in groupby(sorted(contents), itemgetter(0, 1)):
        before, changed_at = None, None
        for _, _, time, digest in versions:
            changed = before is not None and digest != before
            days = (time.date() - changed_at.date()).days if changed and changed_at else None
            found.append((time, url_key, digest, before is not None, changed, days))
            before, changed_at = digest, time if changed else changed_at
    return found


def lives(rows):
    """Of each URL that was ever alive: first and last success, and the errors after it, soonest first."""
    for url_key, captures in by_url(rows).items():
        alive = [row for row in captures if is_ok(row)]
        contents = {row["digest"] for row in alive} - {None, EMPTY_BODY}
        repeats = [
            row
            for row in captures
            if row["record_type"] == "revisit"
            and row["status_code"] in (None, 304)
            and row["digest"] in contents
        ]
        if not alive:
            continue
        last = max(row["timestamp"] for row in [*alive, *repeats])
        errors = sorted(
            (row["timestamp"], row["status_code"])
            for row in captures
            if row["timestamp"] > last
            and 400 <= (row["status_code"] or 0) <= 599
            and row["status_code"] not in {401, 403, 429}
        )
        yield url_key, min(row["timestamp"] for row in alive), last, errors


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_change_is_a_digest_that_differs_from_the_capture_before(ask, rows, domain):
    wanted = []
    found = sorted(comparisons(of(rows, domain)))
    for period, within in groupby(found, lambda row: row[0].date().replace(month=1, day=1)):
        captures = list(within)
        compared, transitions = (sum(row[place] for row in captures) for place in (3, 4))
        days = sorted(row[5] for row in captures if row[5] is not None)
        wanted.append(
            {
                "period": period,
                "captures": len(captures),
                "urls": len({row[1] for row in captures}),
                "comparisons": compared,
                "transitions": transitions,
                "change_rate": transitions / compared if compared else None,
                "median_days": days[ceil(len(days) / 2) - 1] if days else None,
            }
        )
    assert ask("change_rate", domain=domain, interval="year").rows == wanted
    assert any(row["median_days"] for row in wanted)
    assert any(0 < (row["change_rate"] or 0) < 1 for row in wanted)


def test_a_change_belongs_to_the_later_captures_period_and_needs_both_in_the_range(ask, rows):
    domain = DOMAINS[0]
    start, end = datetime(2012, 1, 1), datetime(2015, 12, 31, 23, 59, 59, 999_999)
    found = comparisons(of(rows, domain, start, end))
    given = ask("change_rate", domain=domain, interval="quarter", start="2012", end="2015").rows
    assert sum(row["comparisons"] for row in given) == sum(row[3] for row in found)
    assert sum(row["transitions"] for row in given) == sum(row[4] for row in found)
    assert sum(row["transitions"] for row in given) < sum(row[4] for row in comparisons(of(rows, domain)))


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_urls_that_change_most_come_first(ask, rows, domain):
    urls = defaultdict(list)
    for row in comparisons(of(rows, domain)):
        urls[row[1]].append(row)
    wanted = [
        {
            "url_key": url_key,
            "captures": len(captures),
            "versions": len({row[2] for row in captures}),
            "transitions": sum(row[4] for row in captures),
            "first": min(row[0] for row in captures),
            "last": max(row[0] for row in captures),
        }
        for url_key, captures in urls.items()
    ]
    wanted.sort(key=lambda row: (-row["transitions"], -row["versions"], row["url_key"].encode()))
    assert ask("changing_urls", domain=domain, limit=10).rows == wanted[:10]


@pytest.mark.parametrize("asked", EVERY, ids=str)
def test_each_url_of_a_cohort_is_alive_dead_or_out_of_sight(ask, rows, asked):
    urls = [
        (first.year, last.year, errors[0][0].year if errors else None)
        for _, first, last, errors in lives(of(rows, **asked))
    ]
    latest = max(dead or last for _, last, dead in urls)
    wanted = []
    for cohort in sorted({url[0] for url in urls}):
        own = [url for url in urls if url[0] == cohort]
        for year in range(cohort, latest + 1):
            dead = sum(url[2] is not None and url[2] <= year for url in own)
            alive = sum(url[1] >= year and (url[2] is None or url[2] > year) for url in own)
            counts = {"urls": len(own), "alive": alive, "dead": dead, "unknown": len(own) - alive - dead}
            wanted.append(
                {"cohort": cohort, "age_years": year - cohort, **counts, "death_rate": dead / len(own)}
            )
    assert ask("link_rot", **asked).rows == wanted
    assert {name for row in wanted for name in ("alive", "dead", "unknown") if row[name]} == {
        "alive",
        "dead",
        "unknown",
    }


@pytest.mark.parametrize("asked", EVERY, ids=str)
def test_survival_is_the_product_over_the_ages(ask, rows, asked):
    died, censored = Counter(), Counter()
    for _, first, last, errors in lives(of(rows, **asked)):
        until = errors[0][0] if errors else last
        (died if errors else censored)[int((until.date() - first.date()).days / 365.25)] += 1
    wanted, survival, at_risk = [], 1.0, died.total() + censored.total()
    for age in sorted({*died, *censored}):
        survival *= 1 - died[age] / at_risk
        counts = {"at_risk": at_risk, "died": died[age], "censored": censored[age]}
        wanted.append({"age_years": age, **counts, "survival": survival})
        at_risk -= died[age] + censored[age]
    assert at_risk == 0
    assert ask("survival_curve", **asked).rows == wanted
    assert all(later["survival"] <= sooner["survival"] for sooner, later in pairwise(wanted))


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_url_is_dead_from_its_first_error_after_its_last_success(ask, rows, domain):
    wanted = [
        {
            "url_key": url_key,
            "first_ok": first,
            "last_ok": last,
            "dead_from": errors[0][0],
            "status_code": errors[0][1],
        }
        for url_key, first, last, errors in lives(of(rows, domain))
        if errors
    ]
    wanted.sort(key=lambda row: row["url_key"].encode())
    wanted.sort(key=lambda row: row["dead_from"], reverse=True)
    assert ask("rotten_urls", domain=domain, limit=7).rows == wanted[:7]
    assert wanted


def target_of(row):
    """Where a redirect leads, as an absolute URL; None where the answer does not say it so that it can be followed."""
    given, origin = row["redirect_url"] or "", urlsplit(row["url"])
    if re.match("https?://", given):
        return given
    if given.startswith("//"):
        return f"{origin.scheme}:{given}"
    return f"{origin.scheme}://{origin.netloc}{given}" if given.startswith("/") else None


def host_of(url):
    """The host in ASCII small letters, as PostgreSQL's `lower` would have it; None without one."""
    authority = urlsplit(url).netloc.rpartition("@")[2]
    name = re.fullmatch(r"\[?(.*?)\]?(?::[0-9]*)?", authority).group(1)
    return re.sub("[A-Z]+", lambda found: found.group().lower(), name) or None


def kind_of(row):
    target = target_of(row)
    name = target and host_of(target)
    if not name:
        return "unknown"
    if name != row["domain"] and not name.endswith("." + row["domain"]):
        return "domain_move"
    if name != row["host"]:
        return "host_move"
    url, to = urlsplit(row["url"]), urlsplit(target)
    if (url.scheme, to.scheme) == ("http", "https"):
        return "http_to_https"
    places = [f"{parts.path}?{parts.query}".rstrip("/?") for parts in (url, to)]
    return "same" if places[0] == places[1] else "path_change"


def summed(groups):
    return {
        name: {
            "captures": len(captures),
            "urls": len({row["url_key"] for row in captures}),
            "first": min(row["timestamp"] for row in captures),
            "last": max(row["timestamp"] for row in captures),
        }
        for name, captures in groups.items()
    }


@pytest.mark.parametrize("domain", DOMAINS)
def test_redirects_are_sorted_by_how_far_they_lead(ask, rows, domain):
    groups = defaultdict(list)
    for row in filter(is_redirect, of(rows, domain)):
        groups[kind_of(row)].append(row)
    given = ask("redirects", domain=domain).rows
    assert {row.pop("kind"): row for row in given} == summed(groups)


def test_a_redirect_is_of_each_kind_somewhere(ask, rows):
    kinds = {
        row["kind"] for number in range(40) for row in ask("redirects", domain=f"host-{number}.example").rows
    }
    assert kinds == {"unknown", "domain_move", "host_move", "http_to_https", "same", "path_change"}


@pytest.mark.parametrize("domain", DOMAINS)
def test_targets_are_counted_by_host(ask, rows, domain):
    groups = defaultdict(list)
    for row in filter(is_redirect, of(rows, domain)):
        target = target_of(row)
        if target and host_of(target):
            groups[host_of(target)].append(row)
    wanted = [
        {"target_host": name, "is_internal": name == domain or name.endswith("." + domain), **counts}
        for name, counts in summed(groups).items()
    ]
    wanted.sort(key=lambda row: (-row["captures"], row["target_host"].encode()))
    assert ask("redirect_targets", domain=domain, limit=5).rows == wanted[:5]
    assert wanted


def chain(answers, url):
    """Follow redirects from a URL: how many, where it ends, and whether it comes back."""
    seen = [url]
    while seen[-1] in answers and len(seen) <= 5:
        row = answers[seen[-1]]
        target = target_of(row) if is_redirect(row) else None
        if target is None:
            break
        target = target.partition("#")[0]
        if not urlsplit(target).path and not urlsplit(target).query and urlsplit(target).netloc:
            target += "/"
        if target in seen:
            return len(seen), target, True
        seen.append(target)
    return len(seen) - 1, seen[-1], False


def test_chains_are_followed_until_they_end_or_come_back(ask, rows):
    looping, longest = set(), 0
    for domain in (f"host-{number}.example" for number in range(12)):
        answers = {
            url: max(captures, key=lambda row: (row["timestamp"], row["id"]))
            for url, captures in by_url(
                [row for row in of(rows, domain) if row["status_code"] is not None], "url"
            ).items()
        }
        wanted = []
        for url in answers:
            hops, final, loops = chain(answers, url)
            if hops:
                status = answers[final]["status_code"] if final in answers else None
                wanted.append(
                    {
                        "start_url": url,
                        "hops": hops,
                        "final_url": final,
                        "final_status": status,
                        "loops": loops,
                    }
                )
        wanted.sort(key=lambda row: (-row["hops"], row["start_url"].encode()))
        assert ask("redirect_chains", domain=domain, limit=1000).rows == wanted
        looping |= {row["loops"] for row in wanted}
        longest = max(longest, *(row["hops"] for row in wanted))
    assert looping == {True, False}
    assert longest >= 3


def resolved(row, by_content):
    """Status and media type of a capture, a revisit's from what it repeats, and whether they were taken from there."""
    status = row["status_code"]
    mime = (
        None if row["record_type"] == "revisit" and row["mime_type"] == "warc/revisit" else row["mime_type"]
    )
    if row["record_type"] != "revisit" or (status is not None and mime is not None):
        return status, mime, False
    origins = [
        origin
        for origin in by_content[row["url_key"], row["digest"]]
        if row["digest"] is not None
        and origin["status_code"] is not None
        and origin["mime_type"] not in (None, "warc/revisit")
    ]
    if not origins:
        return status, mime, False
    # The latest at or before the revisit, else the soonest after it; of several at one instant the least.
    before = [origin["timestamp"] for origin in origins if origin["timestamp"] <= row["timestamp"]]
    nearest = max(before) if before else min(origin["timestamp"] for origin in origins)
    origin_status, origin_mime = min(
        (origin["status_code"], origin["mime_type"]) for origin in origins if origin["timestamp"] == nearest
    )
    return status if status is not None else origin_status, mime if mime is not None else origin_mime, True


@pytest.mark.parametrize("asked", [*EVERY, {"start": datetime(2012, 1, 1)}], ids=str)
def test_a_revisit_counts_as_what_it_repeats(ask, rows, asked):
    by_content = defaultdict(list)
    for row in rows:
        by_content[row["url_key"], row["digest"]].append(row)
    wanted = {}
    for row in of(rows, **asked):
        status, mime, taken = resolved(row, by_content)
        counts = wanted.setdefault((status, mime), [0, 0, None])
        counts[0] += 1
        counts[1] += taken
        if row["content_length"] is not None:
            counts[2] = (counts[2] or 0) + row["content_length"]
    given = ask("status_mime", **asked).rows
    assert {
        (row["status_code"], row["mime_type"]): [row["captures"], row["resolved"], row["bytes"]]
        for row in given
    } == wanted
    assert asked or sum(counts[1] for counts in wanted.values()) > 100


@pytest.mark.parametrize("asked", EVERY, ids=str)
def test_the_shape_of_a_url_is_its_depth_and_its_arguments(ask, rows, asked):
    captures, urls = Counter(), Counter()
    kept = [row for row in of(rows, **asked) if row["record_type"] in {"response", "resource", "revisit"}]
    for url_key, own in by_url(kept).items():
        path, _, query = url_key.partition("?")
        shape = path.rstrip("/").count("/"), len(query.split("&")) if query else 0
        captures[shape] += len(own)
        urls[shape] += 1
    wanted = [
        {"path_depth": shape[0], "arguments": shape[1], "captures": captures[shape], "urls": urls[shape]}
        for shape in sorted(urls)
    ]
    assert ask("url_shapes", **asked).rows == wanted
    assert {shape[1] for shape in urls} >= {0, 1, 2, 3}


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize(
    ("years", "other_years"),
    [((1970, 2013), (2014, 2038)), ((2010, 2012), (2012, 2014)), ((2018, 2020), (2010, 2011))],
)
def test_two_ranges_tell_what_became_of_each_url(ask, rows, domain, years, other_years):
    wanted = {}
    contents = [row for row in of(rows, domain) if is_content(row)]
    for captures in by_url(contents).values():
        ranges = [
            [row for row in captures if first <= row["timestamp"].year <= last]
            for first, last in (years, other_years)
        ]
        if any(ranges):
            counts = wanted.setdefault(fate(*ranges), [0, 0, 0])
            for place, count in enumerate([1, *map(len, ranges)]):
                counts[place] += count
    named = dict(
        zip(("start", "end", "other_start", "other_end"), map(str, (*years, *other_years)), strict=True)
    )
    given = ask("compare_periods", domain=domain, **named).rows
    assert given == [
        {"fate": name, "urls": counts[0], "captures": counts[1], "other_captures": counts[2]}
        for name, counts in sorted(wanted.items())
    ]


def fate(first, second):
    if not first or not second:
        return "only_first" if first else "only_second"
    lasts = []
    for captures in (first, second):
        said = [row for row in captures if row["digest"] not in (None, EMPTY_BODY)]
        lasts.append(
            min(
                ((-row["timestamp"].timestamp(), row["digest"], row["digest_algorithm"]) for row in said),
                default=None,
            )
        )
    if None in lasts or lasts[0][2] != lasts[1][2]:
        return "undecidable"
    return "unchanged" if lasts[0][1] == lasts[1][1] else "changed"


def test_every_fate_occurs(ask, filled):
    ranges = {"start": "2009", "end": "2014", "other_start": "2015", "other_end": "2021"}
    given = [
        row["fate"]
        for number in range(40)
        for row in ask("compare_periods", domain=f"host-{number}.example", **ranges).rows
    ]
    assert set(given) == {"changed", "unchanged", "only_first", "only_second", "undecidable"}
