"""Collecting from an archive that fails: everything is stored, nothing twice, no manner broken, each request told.

`chronolake bench collect` does the same with ten thousand captures.
"""

import pytest

from chronolake.bench import collecting, faulty_archive
from chronolake.bench.collect_check import answered, captures_of, ledger, pages_of, told_otherwise
from chronolake.services import open_services
from chronolake.testing.archive_faults import FaultPlan

CAPTURES, SHARE, SEED = 200, 0.25, 1
#: So few that the pace is what holds requests up, and not how long each takes.
PER_MINUTE = 3000


@pytest.fixture
def asked(make_settings):
    with faulty_archive.serving(CAPTURES, FaultPlan(SEED, SHARE)) as archive:
        settings = make_settings(
            **faulty_archive.variables(archive, PER_MINUTE, page_rows=5),
            CHRONOLAKE_EXTRACT_WORKERS=1,
        )
        with open_services(settings) as services:
            yield archive, services


def test_an_archive_that_fails_costs_nothing_but_time(asked):
    archive, services = asked
    found = collecting.measure(services, archive, per_minute=PER_MINUTE, told=print)
    print(f"seed {found.seed}")
    assert found.broken == ()
    assert (
        (found.index.expected, found.index.stored)
        == (found.payloads.expected, found.payloads.stored)
        == (CAPTURES, CAPTURES)
    )
    assert (found.index.runs, found.payloads.runs, found.not_sent) == (1, 1, 0)
    # The faults did happen, each kind of them.
    assert set(found.payloads.kept) == {
        "ok",
        "throttled",
        "server_error",
        "unreachable",
        "truncated",
        "malformed",
    }
    requests = sum(found.index.answered.values()) + sum(found.payloads.answered.values())
    assert requests == found.arrivals.requests > 300
    assert found.arrivals.pauses_asked_for
    assert losses_are_seen(services.database, archive)


def losses_are_seen(database, archive):
    """The check itself: a capture, a page, an attempt that is gone, doubled or changed is told."""
    with database.connection() as conn:
        conn.execute("DELETE FROM cdx_records WHERE url = %s", [faulty_archive.url_of(7)])
        conn.execute("UPDATE pages SET title = 'Story 9' WHERE url = %s", [faulty_archive.url_of(8)])
        conn.execute(
            "UPDATE archive_request_attempts SET outcome = 'ok' WHERE id IN (SELECT min(id) FROM archive_request_attempts WHERE outcome <> 'ok')"
        )
        conn.execute(
            "DELETE FROM archive_request_attempts WHERE id = (SELECT max(id) FROM archive_request_attempts)"
        )
    captures, pages = captures_of(archive, database), pages_of(archive, database)
    assert (captures.stored, captures.missing, captures.doubled) == (CAPTURES - 1, 1, 0)
    # The page that is another one is missing, and another stands where none should.
    assert (pages.stored, pages.missing, pages.doubled) == (CAPTURES, 2, 0)
    assert told_otherwise(ledger(database, archive.base), answered(archive)) == 2
    return True
