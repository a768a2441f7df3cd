"""Two projects' captures and pages in both stores, as odd as real ones; the same for every test of a module."""

import asyncio
import itertools
import random
import runpy
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from chronolake.capture.attempt import Outcome
from chronolake.capture.columns import (
    ARCHIVE_REQUEST_ATTEMPTS,
    CDX_RECORDS,
    CONTENT_ANALYTICS,
    METRIC_SAMPLES,
    PROJECTS,
    SCRAPE_SESSIONS,
    SEARCH_HISTORY,
)
from chronolake.lake import Lake, StreamCheckpoint
from chronolake.lsn import parse_lsn
from chronolake.oltp import Database, current_lsn, projects, rows
from chronolake.query import HybridQueryRouter, Scope
from chronolake.query.question import SUBJECTS
from chronolake.settings import load

_numbers = itertools.count()

#: Changing it changes the data; a failure is repeated by leaving it as it is.
SEED = 20261124
CAPTURES = 6000
PAGES = 1500
SESSIONS = 200
ATTEMPTS = 3000
SAMPLES = 1500
SEARCHES = 1500
METRICS = [
    "chronolake_cache_bytes",
    "chronolake_lake_files",
    "process_open_fds",
    "chronolake_query_failures_total",
]
EMPTY_BODY = "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
MIMES = [
    "text/html", "text/html", "text/html", "image/jpeg", "warc/revisit", "unk", "no-type", None, "", "Text/HTML",
    "application/http;msgtype=response", "text/html; charset=utf-8", "äöü/x", "zzz/\U0001f600", "a%b", "~tilde",
]  # fmt: skip
RECORD_TYPES = [*["response"] * 12, "resource", "request", "metadata"]
STATUSES = [200, 200, 200, 301, 302, 404, 403, 500, 503, None, None, 226, -1, 0, 999, 100, 299, 300]
SOURCES = ["wayback", "commoncrawl", "local", "Österreich", "arquivo.pt", "A"]
DOMAINS = [
    *(f"host-{number}.example" for number in range(40)),
    "",
    "165.22.100.0",
    "Upper.example",
    "é.example",
    "e.example",
]
#: Letters that only some would make small, types with parameters and spaces, and nothing that is something.
DETECTED = [
    "text/html", "text/html", "TEXT/HTML", " image/jpeg ;q=1", "Ä/x", "äöü/x", "", None, "application/pdf",
]  # fmt: skip
CHARSETS = ["UTF-8", "utf-8", "ISO-8859-1", "Ä", "", None]
METHODS = ["readability", "Boilerplate", None, "äpfel"]
#: Few, so that each domain has several captures of the same URL.
PATHS = [
    "", "a", "a/", "a/b", "a//b", "a/b/c.pdf", "a?", "a?x=1", "a?x=1&y=2", "a/?x=/&y=?&z", "é/ü", "a)/b", "a%20b",
    *(f"page/{number}" for number in range(12)),
]  # fmt: skip
#: Where a redirect may lead from a host; most index formats do not say.
TARGETS = [
    None, "-", "elsewhere.html", "/", "/a", "/a/b", "/?x=1", "//host-1.example/a", "//www.{host}/a", "https://{host}/a",
    "https://{host}/a/", "https://{host}/a/#top", "http://{host}/a", "http://{host}", "http://{host}?x=1", "http://{host}#top",
    "https://www.{host}/a", "http://WWW.{host}:8080/a", "http://user:word@{host}:80/page/1", "http://{host}/page/2",
    "http://{host}/page/3", "http://{host}/page/4", "http://not{host}/", "http://Other.example/a\nb", "ftp://{host}/a",
    "HTTP://{host}/a", "http://É.example/", "http://[2001:db8::1]:80/a", "http://", "http:///a", "https://165.22.100.0/",
]  # fmt: skip
LENGTHS = [None, 0, 1, 2**40, 477, 478, 478]
#: Edges of periods: ends of months, leap days, weeks that cross the year, fractions of a second.
EDGES = [
    datetime(1996, 12, 31, 23, 59, 59, 999_999), datetime(1997, 1, 1), datetime(2000, 2, 29, 12),
    datetime(2012, 1, 1), datetime(2015, 12, 31), datetime(2016, 1, 3, 23, 59, 59), datetime(2016, 1, 4),
    datetime(1970, 1, 1), datetime(2024, 3, 31, 2, 30), datetime(2038, 1, 19, 3, 14, 8),
]  # fmt: skip


def _table(table, columns, count):
    arrays = []
    for field in table.arrow_schema:
        values = columns.get(field.name, [None if field.nullable else "x"] * count)
        if field.type == pa.uuid():
            storage = pa.array([number.to_bytes(16, "big") for number in values], pa.binary(16))
            arrays.append(pa.ExtensionArray.from_storage(field.type, storage))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema)


def _time(chance):
    if chance.random() < 0.1:
        return chance.choice(EDGES)
    return datetime(2009, 1, 1) + timedelta(seconds=chance.randrange(400_000_000))


def _length(chance):
    return chance.choice(LENGTHS) if chance.random() < 0.2 else chance.randrange(100_000)


def _status(chance, mime):
    return chance.choice([None, None, *STATUSES] if mime == "warc/revisit" else STATUSES)


def captures(chance, project_ids):
    """Captures of several projects in no order; one of twelve is another's, stored once more."""
    each = range(CAPTURES)
    others = random.Random(SEED + 1)
    twins = [chance.randrange(CAPTURES) if number % 12 == 0 else number for number in each]
    mimes = [chance.choice(MIMES) for _ in each]
    domains = [chance.choice(DOMAINS) for _ in each]
    paths = [chance.choice(PATHS) for _ in each]
    hosts = [chance.choice(["", "www."]) + domain if domain else "" for domain in domains]
    keys = [f"{domain})/{path}" for domain, path in zip(domains, paths, strict=True)]
    digests = [
        chance.choice([None, EMPTY_BODY, *(f"{key[:28]:_>28}{version:04}" for version in range(4))])
        for key in keys
    ]
    of_pages = {
        "url": [
            f"{chance.choice(['http', 'https'])}://{host}/{path}"
            for host, path in zip(hosts, paths, strict=True)
        ],
        "url_key": keys,
        "host": [host or None for host in hosts],
        "domain": domains,
        "registered_domain": [None if domain in ("", "165.22.100.0") else domain for domain in domains],
        "timestamp": [_time(chance) for _ in each],
        "record_type": [
            "revisit" if mime == "warc/revisit" else chance.choice(RECORD_TYPES) for mime in mimes
        ],
        "status_code": [_status(chance, mime) for mime in mimes],
        "mime_type": mimes,
        "content_length": [_length(chance) for _ in each],
        "digest": digests,
        "digest_algorithm": [digest and chance.choice(["sha1", "sha1", "sha1", "md5"]) for digest in digests],
        "redirect_url": [(chance.choice(TARGETS) or "").format(host=host) or None for host in hosts],
    }
    return _table(
        CDX_RECORDS,
        {
            "id": list(each),
            "project_id": [chance.choice(project_ids) for _ in each],
            "batch_id": [1] * CAPTURES,
            "archive_source": [chance.choice(SOURCES) for _ in each],
            "timestamp_repaired": [False] * CAPTURES,
            **{name: [values[twin] for twin in twins] for name, values in of_pages.items()},
            "mime_detected": [others.choice(DETECTED) for _ in each],
            "charset": [others.choice(CHARSETS) for _ in each],
        },
        CAPTURES,
    )


def pages(chance, project_ids):
    """Pages with scores on, between and off the tenths of the scale."""
    each = range(PAGES)
    others = random.Random(SEED + 2)
    scores = [None, 0.0, 1.0, float("nan"), -0.1, 1.5, *(tenth / 10 for tenth in range(1, 10))]
    times = [_time(chance) for _ in each]
    return _table(
        CONTENT_ANALYTICS,
        {
            "page_id": list(each),
            "project_id": [chance.choice(project_ids) for _ in each],
            "batch_id": [1] * PAGES,
            "word_count": [chance.choice([None, chance.randrange(5000)]) for _ in each],
            "entity_count": [chance.choice([None, chance.randrange(50)]) for _ in each],
            "language": [chance.choice([None, "en", "de", "EN", "pt", "ß"]) for _ in each],
            "quality_score": [chance.choice([chance.choice(scores), chance.random()]) for _ in each],
            "extraction_method": [others.choice(METHODS) for _ in each],
            "extraction_timestamp": times,
            "date_captured": [time.date() for time in times],
        },
        PAGES,
    )


def sessions(chance, project_ids):
    """Scrape sessions in every state; some were never begun, some never ended, some ended at once."""
    each = range(SESSIONS)
    asked = [_time(chance).replace(tzinfo=UTC) for _ in each]
    begun = [
        chance.choice([None, time, time + timedelta(microseconds=chance.randrange(10**9))]) for time in asked
    ]
    ended = [
        time and chance.choice([None, time, time + timedelta(microseconds=chance.randrange(10**10))])
        for time in begun
    ]
    return _table(
        SCRAPE_SESSIONS,
        {
            "id": [number + 1 for number in each],
            "project_id": [chance.choice(project_ids) for _ in each],
            "archive_source": [chance.choice(SOURCES) for _ in each],
            "state": [chance.choice(["waiting", "running", "done", "done", "failed"]) for _ in each],
            "created_at": asked,
            "started_at": begun,
            "finished_at": ended,
            **{
                name: [chance.choice([0, chance.randrange(10**6)]) for _ in each]
                for name in ("read", "stored", "duplicate", "rejected")
            },
        },
        SESSIONS,
    )


def attempts(chance, project_ids):
    """Attempts with every outcome, some for no project."""
    each = range(ATTEMPTS)
    return _table(
        ARCHIVE_REQUEST_ATTEMPTS,
        {
            "id": [number + 1 for number in each],
            "archive_source": [chance.choice(SOURCES) for _ in each],
            "outcome": [chance.choice(["ok", "ok", *Outcome]) for _ in each],
            "latency_ms": [chance.choice([None, 0.0, 12.5, chance.random() * 10_000]) for _ in each],
            "bytes": [_length(chance) for _ in each],
            "requested_at": [_time(chance).replace(tzinfo=UTC) for _ in each],
            "project_id": [chance.choice([*project_ids, None]) for _ in each],
            "rows": [chance.choice([None, chance.randrange(1000)]) for _ in each],
            "retry": [chance.choice([0, 0, 1, 2]) for _ in each],
        },
        ATTEMPTS,
    )


def searches(chance, project_ids):
    """Questions of every kind, some without an answer, some of nobody and about nothing."""
    each = range(SEARCHES)
    failed = [chance.random() < 0.1 for _ in each]
    return _table(
        SEARCH_HISTORY,
        {
            "id": [number + 1 for number in each],
            "project_id": [chance.choice([*project_ids, None]) for _ in each],
            "question": [chance.choice(["domain_timeline", "top_domains", "sql", "Ö"]) for _ in each],
            "engine": [None if fails else chance.choice(["duckdb", "postgres"]) for fails in failed],
            "reason": [
                None if fails else chance.choice(["cached", "rollup", "analytic"]) for fails in failed
            ],
            "error_class": ["QueryTimeout" if fails else None for fails in failed],
            "elapsed_ms": [chance.choice([None, 0.0, 12.5, chance.random() * 1000]) for _ in each],
            "rows": [None if fails else chance.randrange(1000) for fails in failed],
            "searched_at": [_time(chance) for _ in each],
        },
        SEARCHES,
    )


def samples(chance):
    """Samples of some metrics; some of one instant, as two processes' may be."""
    each = range(SAMPLES)
    times = [_time(chance) for _ in each]
    return _table(
        METRIC_SAMPLES,
        {
            "id": [number + 1 for number in each],
            "sampled_at": [times[number // 3] if number % 3 else times[number] for number in each],
            "process": [chance.choice(["one 1", "one 2", "Ö 1"]) for _ in each],
            "metric": [chance.choice(METRICS) for _ in each],
            "labels": [chance.choice(["{}", '{"table": "a"}', '{"table": "B"}']) for _ in each],
            "value": [chance.choice([0.0, -1.5, 1e300, chance.random()]) for _ in each],
        },
        SAMPLES,
    )


@pytest.fixture(scope="session")
def asked():
    """How each question is asked, besides with nothing but what it needs: a module for each subject."""
    ways = Path(__file__).parent / "ways"
    return {
        name: asked
        for subject in SUBJECTS
        for name, asked in runpy.run_path(str(ways / f"{subject.__name__.rpartition('.')[2]}.py"))[
            "ASKED"
        ].items()
    }


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def database_url(server):
    """A database for the tests of one module, which leave it as they find it: opening a lake takes seconds."""
    name = f"module_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE template_chronolake")
        yield server.url.replace("@/postgres?", f"@/{name}?")
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def make_settings(database_url, tmp_path_factory):
    home = {
        "DATABASE_URL": database_url,
        "CHRONOLAKE_HOME": str(tmp_path_factory.mktemp("home")),
        # So few captures as these would all be asked of PostgreSQL: only tests of the choice leave it open.
        "CHRONOLAKE_POSTGRES_CHEAP_ROWS": "0",
    }
    return lambda **variables: load(home, **variables)


@pytest.fixture(scope="module")
def database(make_settings):
    with Database.open(make_settings()) as opened:
        yield opened


@pytest.fixture(scope="module")
def lake(database, make_settings):
    with Lake.open(make_settings(), database.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def project_ids(database):
    with database.connection() as conn:
        return [projects.ensure(conn, name) for name in ("news", "blogs")]


@cache
def small_tables(*project_ids):
    """Rows of the tables that are not imported, made once."""
    chance = random.Random(SEED + 3)
    return (
        (SCRAPE_SESSIONS, sessions(chance, project_ids)),
        (ARCHIVE_REQUEST_ATTEMPTS, attempts(chance, project_ids)),
        (METRIC_SAMPLES, samples(chance)),
        (SEARCH_HISTORY, searches(chance, project_ids)),
    )


@cache
def batches(*project_ids):
    """The same captures and pages each time, made once."""
    chance = random.Random(SEED)
    return (CDX_RECORDS, captures(chance, project_ids)), (CONTENT_ANALYTICS, pages(chance, project_ids))


@pytest.fixture(scope="module")
def filled(database, lake, project_ids):
    """Both stores with the same rows; the projects' ids."""
    for table, batch in batches(*project_ids):
        with database.connection() as conn:
            stored = rows.insert_new(conn, table, batch)
        lake.append(table, stored)
    for table, batch in small_tables(*project_ids):
        names = ", ".join(f'"{name}"' for name in batch.column_names)
        values = ", ".join(["%s"] * batch.num_columns)
        with database.connection() as conn, conn.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table.postgres_table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({values})",
                [list(row.values()) for row in batch.to_pylist()],
            )
        lake.append(table, batch)
    with database.connection() as conn:
        names = conn.execute("SELECT id, name, created_at FROM projects").fetchall()
    columns = dict(zip(("id", "name", "created_at"), zip(*names, strict=True), strict=True))
    lake.append(PROJECTS, _table(PROJECTS, columns, len(names)))
    followed(database, lake)
    return project_ids


@pytest.fixture(scope="module")
def stored(filled):
    """What both stores hold, as plain rows by the name of the table."""
    return {table.name: batch.to_pylist() for table, batch in [*batches(*filled), *small_tables(*filled)]}


@pytest.fixture
def follow(database, lake):
    """Let the lake have followed PostgreSQL up to now, as it has all that PostgreSQL has."""
    return lambda: followed(database, lake)


def followed(database, lake):
    """Let the lake have followed PostgreSQL up to now, as it has all that PostgreSQL has."""
    with database.connection() as conn:
        lsn = parse_lsn(current_lsn(conn))
    now = datetime.now(UTC)
    lake.note_checkpoint(StreamCheckpoint("epoch", 1, lsn, now, now))


@pytest.fixture
def append_again(lake, filled):
    """Bring the captures into the lake once more: it is no longer as the module's other tests have it."""
    return lambda: lake.append(*batches(*filled)[0])


@pytest.fixture
def append_attempts(lake, filled):
    """Bring some attempts into the lake once more; captures stay as they are."""
    table, batch = small_tables(*filled)[1]
    return lambda: lake.append(table, batch.slice(0, 5))


@pytest.fixture
def make_router(database, make_settings):
    opened = []

    def make(lake, **variables):
        router = HybridQueryRouter(database=database, lake=lake, settings=make_settings(**variables))
        opened.append(router)
        return router

    yield make
    for router in opened:
        router.close()


@pytest.fixture
def ask(make_router, lake):
    """Ask a question of both stores, in a loop of its own."""
    router = make_router(lake)

    def _ask(name, engine="auto", scope=None, **params):
        return asyncio.run(router.ask(name, params, scope=scope or Scope.everything(), engine=engine))

    return _ask
