"""A random workload for the synced tables: from a generator of random numbers to transactions of SQL.

Keys and values come from small sets, so that changes of the same rows meet each other all the time. Pure: no server.
"""

from collections.abc import Callable
from random import Random

#: Keys of captures and pages that inserts choose from.
KEYS = 60
#: More than 8 kB that no compression makes small, so that PostgreSQL keeps it outside the row.
LARGE = "(SELECT string_agg(md5(random()::text || n), '') FROM generate_series(1, 300) n)"
#: What is emptied before each workload.
EVERYTHING = (
    "TRUNCATE projects, domains, scrape_sessions, archive_request_attempts, cdx_records, pages, page_entities,"
    " search_history, metric_samples RESTART IDENTITY CASCADE"
)
#: Captures in the pool that files are cut from, so that they overlap.
POOL = 300
_HEADER = " CDX N b a m s k r M S V g\n"

Maker = Callable[[Random], list[str]]


def transaction(random: Random) -> list[str]:
    """The statements of one transaction; it may end in ROLLBACK, and then leaves nothing."""
    statements: list[str] = []
    for _ in range(random.choice((1, 1, 2, 4))):
        (make,) = random.choices(list(_MAKERS), weights=list(_MAKERS.values()))
        made = make(random)
        if random.random() < 0.2:
            end = "ROLLBACK TO here" if random.random() < 0.6 else "RELEASE here"
            made = ["SAVEPOINT here", *made, end]
        statements += made
    if random.random() < 0.1:
        statements.append("ROLLBACK")
    return statements


def cdx_text(random: Random) -> str:
    """A small CDX file, cut from a pool at random."""
    first = random.randrange(POOL - 40)
    last = first + random.randrange(20, 120)
    return _HEADER + "".join(
        f"com,host-{n % 7})/{n} 20200102{n % 24:02d}0405 http://host-{n % 7}.com/{n} text/html 200 {'B' * 32}"
        f" - - 123 {n} crawl.warc.gz\n"
        for n in range(first, min(last, POOL))
    )


def _key(random: Random) -> str:
    return f"md5('{random.randrange(KEYS)}')::uuid"


def _free(key: str, table: str, column: str, then: str) -> str:
    return f"{then} AND NOT EXISTS (SELECT FROM {table} WHERE {column} = {key})"


def _some(random: Random, column: str = "id") -> str:
    """A condition that holds for about one row in so many, the same ones at each call with the same numbers."""
    share = random.choice((2, 5, 20))
    return f"abs(hashtext({column}::text)) % {share} = {random.randrange(share)}"


def _insert_captures(random: Random) -> list[str]:
    first = random.randrange(KEYS)
    url = LARGE if random.random() < 0.3 else "'http://host/' || n"
    raw = f"{LARGE}::bytea" if random.random() < 0.2 else "NULL"
    return [_captures(first, first + random.randrange(1, 12), url, raw)]


def _captures(first: int, last: int, url: str, raw: str = "NULL") -> str:
    return (
        "INSERT INTO cdx_records (id, project_id, batch_id, archive_source, url, url_key, domain, timestamp,"
        f" timestamp_repaired, record_type, raw_line) SELECT md5(n::text)::uuid, 1, 0, 'local', {url}, 'k',"
        f" 'host-' || n % 4, timestamp '2020-01-01' + n * interval '1 hour', false, 'response', {raw}"
        f" FROM generate_series({first}, {last}) n ON CONFLICT DO NOTHING"
    )


def _many_captures(random: Random) -> list[str]:
    first = random.randrange(1000, 3000)
    return [_captures(first, first + random.randrange(500, 2500), "'http://host/' || n")]


def _update_captures(random: Random) -> list[str]:
    value = random.choice(
        (
            f"status_code = {random.randrange(600)}",
            f"url = {LARGE}",
            "raw_line = NULL",
            f"domain = 'host-{random.randrange(9)}'",
            "timestamp = timestamp + interval '1 day', mime_type = 'x'",
        )
    )
    return [f"UPDATE cdx_records SET {value} WHERE {_some(random)}"]


def _move_captures(random: Random) -> list[str]:
    key, other = _key(random), _key(random)
    more = random.choice(
        ("", f", status_code = {random.randrange(600)}", ", domain = 'moved'", f", url = {LARGE}")
    )
    return [_free(other, "cdx_records", "id", f"UPDATE cdx_records SET id = {other}{more} WHERE id = {key}")]


def _swap_captures(random: Random) -> list[str]:
    one, two, aside = _key(random), _key(random), "md5('aside')::uuid"
    if one == two:
        return []
    return [
        f"UPDATE cdx_records SET id = {aside} WHERE id = {one}",
        f"UPDATE cdx_records SET id = {one} WHERE id = {two}",
        f"UPDATE cdx_records SET id = {two} WHERE id = {aside}",
    ]


def _delete_captures(random: Random) -> list[str]:
    return [f"DELETE FROM cdx_records WHERE {_some(random)}"]


def _replace_captures(random: Random) -> list[str]:
    return [
        f"CREATE TEMPORARY TABLE aside ON COMMIT DROP AS SELECT * FROM cdx_records WHERE {_some(random)}",
        "DELETE FROM cdx_records WHERE id IN (SELECT id FROM aside)",
        "INSERT INTO cdx_records SELECT * FROM aside",
        "DROP TABLE aside",
    ]


def _truncate(random: Random) -> list[str]:
    return [
        "TRUNCATE "
        + random.choice(("cdx_records", "pages, page_entities", "cdx_records, domains", "projects CASCADE"))
    ]


def _pages(random: Random) -> list[str]:
    first = random.randrange(KEYS)
    return [
        (
            "INSERT INTO pages (page_id, project_id, batch_id, url, domain, quality_score, extraction_timestamp,"
            f" date_captured, text) SELECT md5(n::text)::uuid, 1, 0, {LARGE}, 'host', 0.3, '2021-02-03', '2020-02-03',"
            f" {LARGE} FROM generate_series({first}, {first + 2}) n ON CONFLICT DO NOTHING"
        ),
        f"UPDATE pages SET word_count = {random.randrange(99)} WHERE {_some(random, 'page_id')}",
    ]


def _change_pages(random: Random) -> list[str]:
    key, other = _key(random), _key(random)
    return [
        _free(
            other,
            "pages",
            "page_id",
            f"UPDATE pages SET page_id = {other}, title = 't' WHERE page_id = {key}",
        ),
        f"DELETE FROM pages WHERE {_some(random, 'page_id')}",
        f"UPDATE pages SET text = {LARGE} WHERE {_some(random, 'page_id')}",
    ]


def _small_tables(random: Random) -> list[str]:
    name, other = (f"'d{random.randrange(9)}'" for _ in range(2))
    return random.sample(
        [
            f"INSERT INTO domains (domain, tld) VALUES ({name}, 'x') ON CONFLICT DO NOTHING",
            _free(other, "domains", "domain", f"UPDATE domains SET domain = {other} WHERE domain = {name}"),
            f"UPDATE domains SET tld = '{random.randrange(9)}' WHERE domain <> {name}",
            f"DELETE FROM domains WHERE domain = {other}",
            f"INSERT INTO projects (name) VALUES ({name}) ON CONFLICT DO NOTHING",
            "INSERT INTO scrape_sessions (project_id, archive_source) SELECT id, 'wayback' FROM projects LIMIT 2",
            f"UPDATE scrape_sessions SET read = {random.randrange(99)} WHERE {_some(random)}",
            "INSERT INTO archive_request_attempts (archive_source, outcome, bytes) VALUES ('wayback', 'ok', 7)",
            f"DELETE FROM archive_request_attempts WHERE {_some(random)}",
            "INSERT INTO search_history (question, query_text) SELECT 'sql', q FROM (VALUES ('a'), (NULL)) v (q)",
            f"DELETE FROM search_history WHERE {_some(random)}",
            (
                "INSERT INTO metric_samples (sampled_at, process, metric, labels, value)"
                " VALUES (now() AT TIME ZONE 'UTC', 'p', 'm', '{}', 'Infinity'), ('epoch', 'p', 'm', '{}', -1e-300)"
            ),
            (
                "INSERT INTO page_entities (page_id, project_id, domain, kind, value, extractor, extraction_timestamp,"
                " date_captured) SELECT md5(n::text)::uuid, 1, 'host', 'person', 'p' || n, 'x', '2021-02-03', now()"
                " FROM generate_series(1, 5) n"
            ),
            f"UPDATE page_entities SET confidence = 0.1, count = 3 WHERE {_some(random)}",
            f"DELETE FROM page_entities WHERE {_some(random)}",
        ],
        k=4,
    )


_MAKERS: dict[Maker, float] = {
    _insert_captures: 6,
    _many_captures: 0.7,
    _update_captures: 5,
    _move_captures: 3,
    _swap_captures: 2,
    _delete_captures: 2,
    _replace_captures: 1.5,
    _truncate: 0.6,
    _pages: 1.5,
    _change_pages: 1,
    _small_tables: 3,
}
