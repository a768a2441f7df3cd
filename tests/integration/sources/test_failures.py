"""An archive that fails: each request is told, nothing is lost, and an outage is never an archive that has nothing."""

import fcntl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from chronolake.capture.session import SessionEvent
from chronolake.clock import ManualClock, SystemClock
from chronolake.errors import SessionBusy, SourceBlocked, SourceHeldBack, SourceRefused, SourceUnavailable
from chronolake.ingest import Collector, CollectRequest
from chronolake.oltp import Database, imports, sessions
from chronolake.services import open_services
from chronolake.sources.breaker import FAILURES, FIRST_PAUSE_S
from chronolake.sources.catalogue import Kind, asker_of, states_folder
from chronolake.sources.catalogue import archive as archive_of
from chronolake.sources.query import Query
from chronolake.sources.router import Policy
from chronolake.sources.turn import file_of, look
from chronolake.sources.wayback import Wayback
from chronolake.testing import INGESTED, differences
from chronolake.testing.archive import Fault, Made, WebArchive

LAKELESS = {"ANALYTICS_ENABLED": False}
QUERY = Query.parse("example.com")


@pytest.fixture
def lakeless(database, fast):
    """The same without a lake, for what does not depend on there being one."""
    with open_services(fast(**LAKELESS)) as opened:
        yield opened


def request(project, policy=Policy.WAYBACK):
    return CollectRequest(project, QUERY, policy=policy)


def collect(services, project, policy=Policy.WAYBACK):
    return services.collector.collect(request(project, policy))


def urls(services, project):
    with services.database.connection() as conn:
        return conn.execute(
            "SELECT count(*) FROM cdx_records JOIN projects ON projects.id = project_id WHERE name = %s",
            [project],
        ).fetchone()[0]


def attempts(services, session_id):
    with services.database.connection() as conn:
        return conn.execute(
            "SELECT outcome, retry, status_code, rows, latency_ms > 0, bytes > 0 FROM archive_request_attempts"
            " WHERE session_id = %s ORDER BY id",
            [session_id],
        ).fetchall()


PASSING = {
    Fault.THROTTLED: ("throttled", 429),
    Fault.UNAVAILABLE: ("server_error", 503),
    Fault.RESET: ("unreachable", None),
    Fault.CUT: ("truncated", 200),
    Fault.SHORT_LENGTH: ("truncated", 200),
    Fault.GZIP_CUT: ("truncated", 200),
    Fault.HTML: ("malformed", 200),
    Fault.NOTHING: ("malformed", 200),
}


def test_what_passes_is_tried_again_and_costs_nothing_but_time(lakeless, archive):
    services = lakeless
    for fault, (outcome, status) in PASSING.items():
        archive.fail(None, fault)
        [report] = collect(services, project=fault.value)
        assert report.failure is None, fault
        assert report.session.state == "done"
        assert urls(services, fault.value) == 250
        told = attempts(services, report.session.session_id)
        assert [(name, retry) for name, retry, *_ in told] == [
            ("ok", 0), (outcome, 0), ("ok", 1), ("ok", 0), ("ok", 0), ("ok", 0),
        ]  # fmt: skip
        _, _, found, rows, took, _ = told[1]
        assert (found, rows, took) == (status, None, True)
        assert sum(rows or 0 for *_, rows, _, _ in told) == report.session.read
        assert all(sent for *_, name_rows, _, sent in told if name_rows)


def test_an_empty_body_is_believed_the_second_time_and_never_of_a_first_page(lakeless, archive):
    services = lakeless
    archive.fail(None, Fault.NOTHING, Fault.NOTHING)
    [report] = collect(services, "later")
    assert (report.failure, report.session.pages, report.attempts) == (
        None,
        2,
        {"ok": 1, "malformed": 1, "empty": 1},
    )
    archive.fail(*[Fault.NOTHING] * 6)
    [report] = collect(services, "first")
    assert isinstance(report.failure, SourceUnavailable)
    assert (report.session.state, report.attempts) == ("failed", {"malformed": 6})


def test_an_outage_is_an_error_and_the_breaker_leaves_the_archive_alone(services, archive):
    archive.fail(None, *[Fault.UNAVAILABLE] * 6)
    [report] = collect(services, "news")
    assert isinstance(report.failure, SourceUnavailable)
    assert "503" in report.failure.message
    assert (report.session.state, report.session.read) == ("failed", 60)
    assert report.attempts == {"ok": 1, "server_error": 6}
    assert report.ingest.in_lake
    asked = len(archive.asked)
    [again] = collect(services, "news")
    assert isinstance(again.failure, SourceHeldBack)
    assert again.session.session_id == report.session.session_id
    assert again.attempts == {"ok": 1, "server_error": 6, "not_sent": 1}
    assert len(archive.asked) == asked
    assert differences(services.database, services.lake, INGESTED) == []


def test_a_no_is_final_and_a_long_pause_is_not_sat_out(lakeless, archive):
    services = lakeless
    archive.fail(Fault.BLOCKED)
    [report] = collect(services, "blocked")
    assert isinstance(report.failure, SourceBlocked)
    assert "Blocked Site" in report.failure.message
    assert (report.session.state, report.attempts) == ("failed", {"blocked": 1})
    # The same again goes on: somebody may have asked the archive's operators.
    [report] = collect(services, "blocked")
    assert (report.failure, report.attempts) == (None, {"blocked": 1, "ok": 5})
    archive.fail(Fault.LONG_PAUSE)
    [report] = collect(services, "pause")
    assert (report.session.state, report.attempts) == ("failed", {"throttled": 1})
    [report] = collect(services, "pause")
    assert isinstance(report.failure, SourceHeldBack)
    assert report.attempts == {"throttled": 1, "not_sent": 1}


def test_a_wrong_address_is_no_empty_archive(database, fast, archive):
    with open_services(fast(**LAKELESS, CHRONOLAKE_WAYBACK_URL=f"{archive.base}/nowhere")) as services:
        [report] = collect(services, "news")
        assert isinstance(report.failure, SourceRefused)
        assert report.attempts == {"not_found": 1}
    small = {"CHRONOLAKE_ARCHIVE_MAX_BYTES": "4096", "CHRONOLAKE_ARCHIVE_TRIES": 2}
    with open_services(fast(**LAKELESS, **small)) as services:
        [report] = collect(services, "large")
        assert "CHRONOLAKE_ARCHIVE_MAX_BYTES" in report.failure.message
        assert report.attempts == {"malformed": 2}
    with open_services(
        fast(**LAKELESS, CHRONOLAKE_ARCHIVE_TIMEOUT_S=0.3, CHRONOLAKE_ARCHIVE_TRIES=1)
    ) as services:
        archive.fail(Fault.STALL)
        [report] = collect(services, "slow")
        assert (report.session.state, report.attempts) == ("failed", {"timeout": 1})


def test_a_hybrid_project_goes_on_to_the_next_archive(database, fast, archive):
    with (
        WebArchive(archive.captures).serving() as other,
        open_services(fast(**LAKELESS, CHRONOLAKE_COMMONCRAWL_URL=other.base)) as services,
    ):
        archive.fail(*[Fault.UNAVAILABLE] * 6)
        first, second = collect(services, "news", Policy.HYBRID)
        assert (first.session.archive_source, first.session.state) == ("wayback", "failed")
        assert (second.session.archive_source, second.session.state) == ("commoncrawl", "done")
        assert "wayback comes first" in first.reason
        assert second.reason.startswith("wayback failed: wayback answered 503")
        assert urls(services, "news") == 250
        # The project keeps what it was told, and an open breaker is gone around at once.
        [again] = services.collector.collect(CollectRequest("news", QUERY))
        assert again.session.archive_source == "commoncrawl"
        assert "wayback is left alone" in again.reason
        assert (again.session.stored, again.session.read) == (0, 252)


def test_fallback_comes_within_the_deadline_of_the_first_request_that_fails(database, fast, archive):
    """All tries together have the time of one, where there is another archive to go to; else each has its own."""
    deadline_s = 2.0
    settings = {"CHRONOLAKE_ARCHIVE_TIMEOUT_S": deadline_s, "CHRONOLAKE_ARCHIVE_BACKOFF_S": 0.15}
    downs = {
        "stalls": ([Fault.STALL] * 6, {"timeout"}),
        "refuses": ([Fault.UNAVAILABLE] * 6, {"server_error"}),
        # Each try would wait a second: the second of them could not come to its end in time.
        "pauses": ([Fault.SHORT_PAUSE] * 6, {"throttled"}),
    }
    for name, (down, outcomes) in downs.items():
        with (
            WebArchive(archive.captures).serving() as one,
            WebArchive(archive.captures).serving() as other,
            open_services(
                fast(
                    **LAKELESS,
                    **settings,
                    CHRONOLAKE_WAYBACK_URL=f"{one.base}/cdx",
                    CHRONOLAKE_COMMONCRAWL_URL=other.base,
                )
            ) as services,
        ):
            one.fail(*down)
            first, second = collect(services, name, Policy.HYBRID)
            assert (first.session.state, second.session.state, second.session.stored) == (
                "failed",
                "done",
                250,
            )
            assert set(first.attempts) == outcomes
            assert 1 <= sum(first.attempts.values()) == len(one.asked) < 6
            # Half a second is for the two sessions' own rows in PostgreSQL.
            assert other.asked[0].at - one.asked[0].at < deadline_s + 0.5, name
    with open_services(fast(**LAKELESS, **settings | {"CHRONOLAKE_ARCHIVE_TIMEOUT_S": 0.3})) as services:
        archive.fail(Fault.STALL, Fault.STALL)
        [report] = collect(services, "alone")
        assert (report.failure, report.attempts) == (None, {"timeout": 2, "ok": 5})


class InMemory(list):
    """Attempts in memory."""

    record = list.append


def test_a_turn_that_comes_too_late_says_nothing_of_the_archive(fast, archive):
    """Another process has the host meanwhile; whoever has somewhere else to go does not send what would be cut short."""
    settings = fast(CHRONOLAKE_ARCHIVE_TIMEOUT_S=1.0, CHRONOLAKE_ARCHIVE_BACKOFF_S=0.05)
    asked = archive_of(Kind.WAYBACK, f"{archive.base}/cdx", settings.archives)
    attempts = InMemory()
    asker = asker_of(asked, settings, attempts, SystemClock())
    asker.hasty = True
    file = file_of(states_folder(settings), asked.host)

    def in_between():
        while not archive.asked:
            time.sleep(0.005)
        with file.open("r+b") as held:
            # Waits for the first try's end, as any other process would.
            fcntl.flock(held, fcntl.LOCK_EX)
            time.sleep(0.8)

    archive.fail(Fault.UNAVAILABLE)
    other = threading.Thread(target=in_between)
    other.start()
    with pytest.raises(SourceUnavailable, match="its turn came"):
        next(Wayback(asker=asker, base=asked.base, page_rows=50).pages(QUERY, None))
    other.join()
    assert [attempt.outcome.value for attempt in attempts] == ["server_error", "not_sent"]
    assert len(archive.asked) == 1
    assert look(file).breaker.failures == 1


def test_the_breaker_opens_tries_and_closes_as_its_table_says(lakeless, archive):
    """The rows of `tests/unit/sources/test_manners.py`, by real requests: what the server saw is what was let through."""
    clock = ManualClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    collector = Collector(
        database=lakeless.database, pipeline=lakeless.pipeline, settings=lakeless.settings, clock=clock
    )

    def asked_after(seconds, *faults):
        clock.sleep(seconds)
        archive.fail(*faults)
        before = len(archive.asked)
        [report] = collector.collect(request("news"))
        return len(archive.asked) - before, report.attempts.get("not_sent", 0), report.session.state

    assert asked_after(0, *[Fault.UNAVAILABLE] * FAILURES) == (6, 0, "failed")
    assert asked_after(FIRST_PAUSE_S - 1) == (0, 1, "failed")
    # Half open, it lets one request through; that fails, so that the pause doubles and nothing follows.
    assert asked_after(1, Fault.UNAVAILABLE) == (1, 2, "failed")
    assert asked_after(2 * FIRST_PAUSE_S - 1) == (0, 3, "failed")
    # The next trial is answered: closed, and the archive may fail five times more.
    assert asked_after(1, None, *[Fault.UNAVAILABLE] * (FAILURES - 1)) == (10, 3, "done")


def test_what_is_stopped_goes_on_where_it_stood(lakeless, archive):
    services = lakeless
    archive.fail(None, None, Fault.STALL)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(collect, services, "news")
        while len(archive.asked) < 3:
            assert not running.done()
        services.collector.stop()
        [report] = running.result(timeout=20)
    assert report.stopped
    session = report.session
    assert (session.state, session.pages, session.read) == ("waiting", 2, 121)
    assert report.attempts == {"ok": 2, "cancelled": 1}
    other = Collector(database=services.database, pipeline=services.pipeline, settings=services.settings)
    [report] = other.collect(request("news"))
    assert report.session.session_id == session.session_id
    assert (report.session.state, report.session.stored, report.session.read) == ("done", 250, 256)
    assert report.attempts == {"ok": 5, "cancelled": 1}
    # A key is sent back encoded once more than it was given.
    assert "resumeKey=com%252Cexample" in archive.asked[-1].target
    assert other.resume(session.session_id).session.read == 256
    assert len(archive.asked) == 6


def test_the_manners(fast, archive):
    """Two who collect at once are one client: one request at a time, evenly spaced, and they say who they are."""
    # An answer takes less than the pace, so that whoever did not wait for their turn would be seen.
    settings = fast(**LAKELESS, CHRONOLAKE_ARCHIVE_PER_MINUTE=1200, CHRONOLAKE_CONTACT="ops@example.org")
    with open_services(settings) as one, open_services(settings) as two, ThreadPoolExecutor() as pool:
        list(pool.map(lambda pair: collect(*pair), [(one, "a"), (two, "b")]))
    assert archive.most_at_once == 1
    assert len(archive.asked) == 10
    with Database.open(settings) as database, database.connection() as conn:
        sent = [at for (at,) in conn.execute("SELECT requested_at FROM archive_request_attempts ORDER BY 1")]
    assert min((after - before).total_seconds() for before, after in pairwise(sent)) > 0.049
    assert {asked.user_agent for asked in archive.asked} == {"chronolake/0.1.0 (+ops@example.org)"}


def test_one_import_has_a_session_and_no_other_moves_it(lakeless, archive):
    services = lakeless
    [report] = collect(services, "news")
    session_id = report.session.session_id
    step = sessions.Step(1, 1, 0, 0, 0, page_ends=True, place="other")
    with services.database.connection() as conn:
        conn.execute("UPDATE scrape_progress SET ended = false")
        conn.execute("UPDATE scrape_sessions SET state = 'running'")
        stands = sessions.find(conn, session_id)
        assert sessions.claim(conn, stands, 77)
        assert not sessions.claim(conn, stands, 78)
        assert not sessions.advance(conn, session_id, stands.import_id, step)
        sessions.over(
            conn,
            session_id,
            stands.import_id,
            SourceUnavailable("gone"),
            event=SessionEvent.FAILED,
            again_s=None,
        )
        assert sessions.find(conn, session_id).place is None
        assert sessions.find(conn, session_id).state == "running"
    with services.database.connection() as held, imports.hold(held, 77), pytest.raises(SessionBusy):
        services.collector.resume(session_id)
    done = services.collector.resume(session_id)
    assert (done.session.state, done.session.duplicate) == ("done", 256 + 256 - 250)
    assert threading.active_count() < 20


def test_what_an_archive_says_does_not_become_a_command(lakeless, archive):
    """Rows that cannot be captures go to the quarantine, under the request that gave them."""
    services = lakeless
    archive.captures.append(Made("http://example.com/odd", "20209999999999"))
    [report] = collect(services, "news")
    assert (report.session.state, report.session.rejected, report.session.stored) == ("done", 1, 250)
    with services.database.connection() as conn:
        [(file, reason)] = conn.execute("SELECT file, reason FROM quarantine").fetchall()
    assert file.startswith(f"{archive.base}/cdx?url=example.com")
    assert reason == "timestamp"
