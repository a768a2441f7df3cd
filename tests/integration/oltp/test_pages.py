"""The statements that pages are picked and stored by."""

from datetime import datetime
from uuid import UUID

import pytest

from chronolake.oltp import pages
from chronolake.oltp.pages import Pick
from chronolake.oltp.statements import statement

CAPTURES = """
    INSERT INTO cdx_records (domain, timestamp, id, project_id, batch_id, archive_source, url, url_key,
        timestamp_repaired, record_type, digest, digest_algorithm)
    SELECT 'site-' || n % 20, '2020-01-01'::timestamp + n * interval '1 hour', lpad(to_hex(n), 32, '0')::uuid, 1 + n % 2,
        1, CASE WHEN n % 3 = 0 THEN 'wayback' ELSE 'local' END, 'http://x/' || n, 'x)/' || n, false,
        CASE WHEN n % 10 = 0 THEN 'revisit' ELSE 'response' END, 'D' || n / 20, 'sha1'
    FROM generate_series(1, 4000) n
"""
PAGES = """
    INSERT INTO pages (page_id, project_id, batch_id, url, domain, extraction_timestamp, date_captured, payload_digest)
    SELECT id, project_id, 1, url, domain, timestamp, timestamp::date, digest FROM cdx_records WHERE domain = 'site-2'
"""
FAILURES = """
    INSERT INTO page_failures (capture_id, project_id, kind, detail, failed_at)
    SELECT id, project_id, 'empty', '', timestamp FROM cdx_records WHERE domain = 'site-4'
"""
DECISIONS = """
    INSERT INTO extraction_decisions (capture_id, project_id, reason, detail, decided_at, overridden)
    SELECT id, project_id, CASE WHEN domain = 'site-6' THEN 'status' ELSE 'mime' END, '', timestamp, domain = 'site-10'
    FROM cdx_records WHERE domain IN ('site-6', 'site-8', 'site-10')
"""


@pytest.fixture
def conn(database):
    with database.connection() as opened:
        for made in (CAPTURES, PAGES, FAILURES, DECISIONS, "ANALYZE"):
            opened.execute(made)
        yield opened


def picked(conn, what, rows=150, **more):
    after, found = None, []
    while page := pages.pick(conn, what, after=after, rows=rows, **{"passed_over": ()} | more):
        found += page
        after = page[-1]
    return found


def test_all_that_is_to_be_looked_at_comes_once_and_in_order(conn):
    found = picked(conn, Pick(1))
    # Of ten domains of the project one has pages, one failures, two decisions that stand.
    assert {one.domain for one in found} == {f"site-{n}" for n in (0, 10, 12, 14, 16, 18)}
    assert len(found) == len({one.id for one in found}) == 6 * 200
    keys = [(one.domain, one.timestamp, one.id) for one in found]
    assert keys == sorted(keys)
    assert {one.domain for one in picked(conn, Pick(1, included=("mime",)))} - {
        one.domain for one in found
    } == {"site-8"}
    assert [one.decided for one in picked(conn, Pick(1, domain="site-8", included=("mime",)))] == [True] * 200
    assert len(picked(conn, Pick(1, again=True))) == 2000


def test_domain_source_and_time_narrow(conn):
    narrowed = picked(conn, Pick(1, domain="site-0", first=datetime(2020, 2, 1), last=datetime(2020, 3, 1)))
    assert {one.domain for one in narrowed} == {"site-0"}
    assert all(datetime(2020, 2, 1) <= one.timestamp <= datetime(2020, 3, 1) for one in narrowed)
    assert {one.archive_source for one in picked(conn, Pick(1, archive_source="wayback"))} == {"wayback"}
    assert {one.archive_source for one in picked(conn, Pick(1), passed_over=("wayback",))} == {"local"}


def test_the_next_captures_are_found_by_the_index_of_their_order(conn):
    last = picked(conn, Pick(1))[-300]
    values = {
        **vars(Pick(1)), "included": [], "passed_over": [], "rows": 50,
        "after_domain": last.domain, "after_timestamp": last.timestamp, "after_id": last.id,
    }  # fmt: skip
    plan = "\n".join(row[0] for row in conn.execute(b"EXPLAIN " + statement("candidates_pick"), values))
    assert "Index Scan using cdx_records_domain_time_idx" in plan
    assert "Sort" not in plan


def test_who_has_a_payload_is_known_by_its_digest(conn):
    known = pages.by_digest(conn, 1, ["D5", "D6", "nothing"])
    assert set(known) == {"D5", "D6"}
    assert pages.by_digest(conn, 2, ["D5"]) == {}
    originals = pages.originals(conn, 1, {"site-10"}, ["D5", "D7"])
    # Each tenth is a revisit, and so is every capture of this domain.
    assert originals == {}
    [original] = pages.originals(conn, 1, {"site-12"}, ["D7"]).values()
    assert (original.id, original.decided) == (UUID(int=152), False)
    assert pages.present(conn, [UUID(int=2), UUID(int=4)]) == {UUID(int=2)}
    assert pages.of_captures(conn, [UUID(int=2), UUID(int=4)]) == {UUID(int=2)}
