"""Sessions as jobs: queued, run, paused, resumed, cancelled, tried again, each as its row says."""

import threading

import pytest

from chronolake.capture.session import SessionEvent, SessionState
from chronolake.errors import SessionEnded, SessionUnknown
from chronolake.ingest import CollectRequest
from chronolake.loop import running
from chronolake.oltp import queued
from chronolake.services import open_services
from chronolake.sources.query import Query
from chronolake.sources.router import Policy
from chronolake.testing.archive import Fault, WebArchive

#: A test that waits longer than this hangs; seconds.
PATIENCE_S = 30


def later(services, project="news", **more):
    [session] = services.jobs.collect.later(CollectRequest(project, Query.parse("example.com"), **more))
    return session


def work(services):
    """Do what is due, in this thread."""
    services.jobs.worker(once=True).step()


def stands(services, session):
    return services.jobs.collect.find(session.session_id)


def until(services, session, *states):
    """Wait until the session is in one of these states; the session."""
    waited = threading.Event()
    for _ in range(PATIENCE_S * 20):
        found = stands(services, session)
        if found.state in states:
            return found
        waited.wait(0.05)
    pytest.fail(f"{found.state} after {PATIENCE_S} s")


def jobs(services):
    with services.database.connection() as conn:
        # The clock's own jobs come and go.
        return [
            (found.queue, found.state, found.jobs) for found in queued.counts(conn) if found.queue != "upkeep"
        ]


def test_what_is_queued_is_collected_by_a_worker_and_once_only(services, archive):
    session = later(services)
    assert (session.state, session.domain, archive.asked) == ("waiting", "example.com", [])
    # The same again is the same session and the same job.
    assert later(services).session_id == session.session_id
    assert jobs(services) == [("collect", "todo", 1)]
    work(services)
    done = stands(services, session)
    assert (done.state, done.pages, done.stored, done.error) == ("done", 5, 250, None)
    # What ended well leaves no job; what is asked for again is a new session.
    assert jobs(services) == []
    assert later(services).session_id != session.session_id


def test_a_session_is_paused_while_it_runs_and_goes_on_exactly_where_it_stood(services, fast, archive):
    session = later(services)
    archive.fail(None, None, Fault.STALL)
    # Other services on the same database, as another process has them.
    with open_services(fast()) as other, running(services.jobs.worker()):
        until(services, session, SessionState.RUNNING)
        while len(archive.asked) < 3:
            assert stands(other, session).state == "running"
        [listed] = other.jobs.collect.listed(project="news", state=SessionState.RUNNING)
        assert listed.alive
        other.jobs.collect.ask(session.session_id, SessionEvent.PAUSED)
        paused = until(other, session, SessionState.PAUSED)
        assert (paused.pages, paused.read, paused.error) == (2, 121, None)
        archive.asked.clear()
        other.jobs.collect.resume(session.session_id)
        done = until(other, session, SessionState.DONE)
    assert (done.pages, done.read, done.stored) == (5, 254, 250)
    assert len(archive.asked) == 3
    assert "resumeKey" in archive.asked[0].target


def test_what_is_paused_before_it_began_is_not_run_and_what_is_cancelled_never(services, archive):
    ask = services.jobs.collect.ask
    session = later(services)
    assert ask(session.session_id, SessionEvent.PAUSED).state == "paused"
    work(services)
    assert archive.asked == []
    assert services.jobs.collect.resume(session.session_id).state == "waiting"
    assert ask(session.session_id, SessionEvent.CANCELLED).state == "cancelled"
    work(services)
    assert archive.asked == []
    with pytest.raises(SessionEnded, match="cancelled"):
        services.jobs.collect.resume(session.session_id)
    with pytest.raises(SessionUnknown):
        ask(4711, SessionEvent.PAUSED)
    # Whoever asks for the same again gets a new one.
    assert later(services).session_id != session.session_id


def test_a_failure_that_passes_is_tried_again_and_one_that_does_not_is_told(services, archive):
    passing = later(services)
    archive.fail(None, Fault.UNAVAILABLE)
    with running(services.jobs.worker()):
        done = until(services, passing, SessionState.DONE)
        assert (done.pages, done.failures, done.error) == (5, 0, None)
        blocked = later(services, "blocked")
        archive.fail(Fault.BLOCKED)
        failed = until(services, blocked, SessionState.FAILED)
    assert (failed.error["type"], failed.failures, failed.next_at) == ("SourceBlocked", 1, None)
    assert "Blocked Site" in failed.error["message"]
    assert "CHRONOLAKE_CONTACT" in failed.error["hint"]
    assert jobs(services) == [("collect", "failed", 1)]
    # Somebody may have asked the archive's operators.
    services.jobs.collect.resume(blocked.session_id)
    work(services)
    assert (stands(services, blocked).state, stands(services, blocked).error) == ("done", None)


def test_tries_have_an_end(fast, archive):
    with open_services(fast(CHRONOLAKE_JOBS_TRIES=2, CHRONOLAKE_JOBS_BACKOFF_S=600)) as services:
        session = later(services)
        archive.fail(Fault.UNAVAILABLE, Fault.UNAVAILABLE)
        work(services)
        waits = stands(services, session)
        assert (waits.state, waits.failures) == ("waiting", 1)
        assert waits.error["retry"] == "later"
        assert waits.next_at is not None
        # Resumed, it does not wait for its time.
        with services.database.connection() as conn:
            conn.execute("UPDATE scrape_progress SET failures = 1")
            queued.hasten(conn, f"session {session.session_id}")
        work(services)
        assert (stands(services, session).state, stands(services, session).failures) == ("failed", 2)


def test_a_hybrid_project_goes_on_to_the_next_archive(fast, archive):
    with (
        WebArchive(archive.captures).serving() as other,
        open_services(fast(CHRONOLAKE_COMMONCRAWL_URL=other.base)) as services,
    ):
        first = later(services, policy=Policy.HYBRID)
        archive.fail(Fault.UNAVAILABLE)
        work(services)
        second, _ = services.jobs.collect.listed()
        assert (stands(services, first).state, stands(services, first).archive_source) == (
            "failed",
            "wayback",
        )
        assert (second.state, second.archive_source, second.stored) == ("done", "commoncrawl", 250)


def test_a_worker_leaves_an_archive_that_stalls_within_the_deadline_of_one_request(fast, archive):
    with (
        WebArchive(archive.captures).serving() as other,
        open_services(
            fast(
                CHRONOLAKE_COMMONCRAWL_URL=other.base,
                CHRONOLAKE_ARCHIVE_TRIES=6,
                CHRONOLAKE_ARCHIVE_TIMEOUT_S=0.5,
            )
        ) as services,
    ):
        first = later(services, policy=Policy.HYBRID)
        archive.fail(*[Fault.STALL] * 6)
        work(services)
        second, _ = services.jobs.collect.listed()
        assert (stands(services, first).state, second.state, second.stored) == ("failed", "done", 250)
        assert len(archive.asked) == 1


def test_a_worker_that_is_stopped_gives_its_session_back(services, archive):
    session = later(services)
    archive.fail(None, Fault.STALL)
    with running(services.jobs.worker()):
        while len(archive.asked) < 2:
            assert stands(services, session).state in {"waiting", "running"}
    assert (stands(services, session).state, stands(services, session).pages) == ("waiting", 1)
    assert jobs(services) == [("collect", "todo", 1)]
    work(services)
    assert (stands(services, session).state, stands(services, session).read) == ("done", 254)


def test_a_worker_that_loses_postgresql_begins_anew(services, archive):
    worker = services.jobs.worker()
    with running(worker):
        session = later(services)
        until(services, session, SessionState.DONE)
        with services.database.connection() as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        until(services, later(services, "after"), SessionState.DONE)
