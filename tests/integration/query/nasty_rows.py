"""Rows that are rare and legal, in which engines would differ first."""

import math
import uuid
from datetime import UTC, datetime, timedelta

from chronolake.capture.columns import (
    ARCHIVE_REQUEST_ATTEMPTS,
    CDX_RECORDS,
    CONTENT_ANALYTICS,
    METRIC_SAMPLES,
    SCRAPE_SESSIONS,
    SEARCH_HISTORY,
)

from .conftest import EMPTY_BODY, _table

COUNT = 600
DOMAINS = ["host-3.example", "host-6.example", "host-9.example", "165.22.100.0", "e.example"]
#: Years before four digits and at the end, the instants around the epoch, leap seconds that are none, halves of days.
TIMES = [
    datetime(1, 1, 1),
    datetime(1, 1, 2, 3, 4, 5, 6),
    datetime(999, 12, 31, 23, 59, 59, 999_999),
    datetime(1000, 1, 1),
    datetime(1582, 10, 10),
    datetime(1899, 12, 31, 23, 59, 59, 500_000),
    datetime(1969, 12, 31, 23, 59, 59, 999_999),
    datetime(1969, 12, 31, 23, 59, 58, 1),
    datetime(1970, 1, 1, 0, 0, 0, 1),
    datetime(2000, 2, 29, 23, 59, 59, 999_999),
    datetime(2012, 12, 31, 23, 59, 59, 999_999),
    datetime(2013, 3, 31, 1, 59, 59, 999_999),
    datetime(9999, 12, 31, 23, 59, 59, 999_999),
]
TEXTS = [
    "",
    " ",
    "  both ends  ",
    "\ttab\n",
    "\u0130i \u0131I \u00df \u1e9e",
    "e\u0301 \u00e9",
    "\U0001f600\U0001f468\u200d\U0001f469",
    "'quote\"",
    "back\\slash",
    "100%s %(x)s %%",
    "$start $1",
    "\u00a0nbsp\u00a0",
    "\x01\x7f",
    "Ω Ω",
    "zzz" * 200,
    ";;",
    " ; charset=x",
    "TEXT/HTML;q",
    "text/html ",
    "a;b;c",
]
PATHS = [
    "?",
    "??",
    "?&&",
    "?a&b=?",
    "/",
    "//",
    "a//",
    "a/?",
    "%2f",
    "#x",
    "a#b?c",
    "é/\U0001f600?ß&ẞ",
    "a\nb",
    "a b?c d",
    "a?b/c/",
    ")",
]
TARGETS = [
    None,
    "",
    "/",
    "//",
    "///",
    "/\n",
    "http://",
    "https://",
    "https:///x",
    "http://@/",
    "http://a@b@c/",
    "http://host:",
    "http://HOST-3.example:80:80/",
    "http://host-3.example#",
    "http://host-3.example/a#b#c",
    "http://host-3.example?",
    "https://www.host-3.example/",
    "http://[::1]/",
    "http://[::1",
    "http://é.example/\U0001f600",
    "http://host-3.example/a\nb",
    "http://host-3.example\n/a",
    "javascript:alert(1)",
    "//host-3.example/a?x#y",
    "/a?x=/&y#z",
    "http://xhost-3.example/",
    "http://.host-3.example/",
    "http://host-3.example/%s$1\\1",
]
NUMBERS = [0, 1, -1, 2**31 - 1, 2**40, None]
FLOATS = [0.0, -0.0, 1e-320, 5e-324, 1e308, 0.1, 0.2, 0.30000000000000004, None]
UNREAL = [math.nan, math.inf, -math.inf]
SCORES = [
    0.0,
    -0.0,
    1.0,
    0.1,
    0.29999998,
    0.3,
    0.5,
    0.49999997,
    1e-45,
    1.0000001,
    math.nan,
    math.inf,
    -math.inf,
    None,
]


def nasty_batches(chance, project_ids):
    """Rows of six tables, with the tables that they are of."""
    each = range(COUNT)

    def some(values):
        return [chance.choice(values) for _ in each]

    def times():
        return [
            chance.choice(TIMES)
            if chance.random() < 0.5
            else datetime(2012, 1, 1) + timedelta(microseconds=chance.randrange(10**13) * 10)
            for _ in each
        ]

    def zoned(values):
        return [value and value.replace(tzinfo=UTC) for value in values]

    first_id = 10_000_000
    numbers = [first_id + number for number in each]
    domains, paths = some(DOMAINS), some(PATHS)
    keys = [f"{domain})/{path}" for domain, path in zip(domains, paths, strict=True)]
    captures = {
        "id": [uuid.UUID(int=chance.getrandbits(128)).int for _ in each],
        "project_id": some(project_ids),
        "batch_id": [1] * COUNT,
        "archive_source": some(["wayback", "", " ", "Wayback", "ω", "zzz"]),
        "url": [
            f"{chance.choice(['http://', 'https://', '', 'HTTP://', 'http:/'])}{domain}/{path}"
            for domain, path in zip(domains, paths, strict=True)
        ],
        "url_key": keys,
        "host": [chance.choice([None, "", domain, "www." + domain]) for domain in domains],
        "domain": domains,
        "registered_domain": [chance.choice([None, domain]) for domain in domains],
        "timestamp": times(),
        "timestamp_repaired": [False] * COUNT,
        "record_type": some(["response", "revisit", "resource", "request", "Revisit", ""]),
        "status_code": some([200, 200, 301, 302, 304, 307, 399, 404, 410, 500, 599, 600, None, 0, -1]),
        "mime_type": some([*TEXTS, None, "warc/revisit", "text/html"]),
        "mime_detected": some([*TEXTS, None]),
        "charset": some([*TEXTS, None]),
        "content_length": some(NUMBERS),
        "digest": some([None, EMPTY_BODY, "", "A", "a", "\U0001f600", "B"]),
        "digest_algorithm": some([None, "sha1", "md5", "SHA1", ""]),
        "redirect_url": some(TARGETS),
    }
    pages = {
        "page_id": [uuid.UUID(int=chance.getrandbits(128)).int for _ in each],
        "project_id": some(project_ids),
        "batch_id": [1] * COUNT,
        "domain": some(DOMAINS),
        "word_count": some([0, 1, -1, 2**31 - 1, None]),
        "entity_count": some([0, 1, None, 2**31 - 1]),
        "language": some([None, "", "en", "EN", " en", "ß", "\U0001f600"]),
        "quality_score": some(SCORES),
        "extraction_method": some([None, "", *TEXTS[:8]]),
        "extraction_timestamp": times(),
        "date_captured": [moment.date() for moment in times()],
    }
    begun = [chance.choice([None, moment]) for moment in times()]
    sessions = {
        "id": numbers,
        "project_id": some(project_ids),
        "archive_source": some(["wayback", "", "ω"]),
        "state": some(["waiting", "running", "done", "failed"]),
        "created_at": zoned(times()),
        "started_at": zoned(begun),
        "finished_at": zoned([moment and chance.choice([None, moment, *TIMES]) for moment in begun]),
        **{name: some([0, 1, 10**12]) for name in ("read", "stored", "duplicate", "rejected")},
    }
    attempts = {
        "id": numbers,
        "archive_source": some(["wayback", "", " ", "ω"]),
        "outcome": some(["ok", "empty", "timeout", "throttled"]),
        "latency_ms": some(FLOATS),
        "bytes": some(NUMBERS),
        "requested_at": zoned(times()),
        "project_id": some([*project_ids, None]),
        "rows": some(NUMBERS),
        "retry": some([0, 1, 5]),
    }
    searches = {
        "id": numbers,
        "project_id": some([*project_ids, None]),
        "question": some(["domain_timeline", "", "Ö", "o\u0308", "sql"]),
        "engine": some([None, "duckdb", "postgres", ""]),
        "reason": some([None, "cached", "rollup", "Cached"]),
        "error_class": some([None, "QueryTimeout", ""]),
        "elapsed_ms": some(FLOATS),
        "rows": some([None, 0, 2**40]),
        "searched_at": times(),
    }
    samples = {
        "id": numbers,
        "sampled_at": times(),
        "process": some(["one 1", "", "ω", "One 1"]),
        "metric": some(["chronolake_cache_bytes", "process_open_fds", "chronolake_lake_files"]),
        "labels": some(["{}", '{"table": "a"}', ""]),
        "value": some([value for value in [*FLOATS, *UNREAL] if value is not None]),
    }
    return [
        (table, _table(table, columns, COUNT))
        for table, columns in (
            (CDX_RECORDS, captures),
            (CONTENT_ANALYTICS, pages),
            (SCRAPE_SESSIONS, sessions),
            (ARCHIVE_REQUEST_ATTEMPTS, attempts),
            (SEARCH_HISTORY, searches),
            (METRIC_SAMPLES, samples),
        )
    ]
