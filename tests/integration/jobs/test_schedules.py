"""Schedules: a worker's clock queues what is due, once; a run asks only for what is new, and leaves no gap."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from typer.testing import CliRunner

from chronolake.api import create_app
from chronolake.api.schedules import PATH
from chronolake.capture.session import SessionEvent
from chronolake.cli.app import app
from chronolake.clock import ManualClock
from chronolake.errors import ScheduleInvalid
from chronolake.ingest import CollectRequest
from chronolake.jobs import Queue, Schedules
from chronolake.loop import running
from chronolake.sources.query import Query
from chronolake.testing.archive import Fault, Made

REQUEST = CollectRequest("news", Query.parse("example.com"), since_last=True)


def listed(services):
    """Sessions, oldest first."""
    return services.jobs.collect.listed()[::-1]


def work(services):
    """Collect what is queued, in this thread; the clock's own jobs are left, for these tests have a clock of theirs."""
    services.jobs.worker(queues=[Queue.COLLECT], once=True).step()


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def schedules(services, clock):
    return Schedules(database=services.database, queue=services.jobs.collect, clock=clock)


def test_a_worker_collects_what_is_due(services):
    made = services.jobs.schedules.add(REQUEST, "1d")
    with running(services.jobs.worker()):
        waited = threading.Event()
        while not (found := listed(services)) or found[0].state != "done":
            waited.wait(0.05)
    after = services.jobs.schedules.find(made.schedule_id)
    assert (after.last_session_id, after.error) == (found[0].session_id, None)
    assert after.next_at == made.next_at + timedelta(days=1)


def test_what_was_missed_is_made_up_for_once(services, schedules, clock):
    made = schedules.add(REQUEST, "6h")
    assert schedules.tick() == 1
    assert schedules.tick() == 0
    work(services)
    # Nobody was there for a week.
    clock.sleep(7 * 86_400 + 60)
    assert schedules.tick() == 1
    assert schedules.tick() == 0
    assert schedules.find(made.schedule_id).next_at == made.next_at + timedelta(days=7, hours=6)
    assert len(listed(services)) == 2
    schedules.pause(made.schedule_id)
    clock.sleep(86_400)
    assert schedules.tick() == 0
    schedules.pause(made.schedule_id, paused=False)
    assert schedules.tick() == 1
    schedules.remove(made.schedule_id)
    assert schedules.listed() == []
    assert len(listed(services)) >= 2


def test_a_run_asks_for_what_is_new_and_for_what_an_earlier_one_left(services, schedules, clock, archive):
    schedules.add(REQUEST, "1d")
    # The first one fails in the middle, for good.
    archive.fail(None, None, Fault.BLOCKED)
    schedules.tick()
    work(services)
    [first] = listed(services)
    assert (first.state, first.pages) == ("failed", 2)
    # The next tick fills the gap.
    clock.sleep(86_400)
    schedules.tick()
    work(services)
    [first] = listed(services)
    assert (first.state, first.pages, first.stored) == ("done", 5, 250)
    assert first.newest == datetime(2020, 12, 15, 23)
    # And then there is something new: only that is asked for, and a week before it.
    archive.captures.append(Made("http://www.example.com/new", "20210101000000"))
    clock.sleep(86_400)
    archive.asked.clear()
    schedules.tick()
    work(services)
    _, second = listed(services)
    assert (second.query["start"], second.state, second.stored) == ("20201208230000", "done", 1)
    assert second.read < 30
    assert all("from=20201208230000" in asked.target for asked in archive.asked)
    assert second.newest == datetime(2021, 1, 1)


def test_in_the_foreground_a_gap_is_filled_before_what_is_new_is_asked_for(services, archive):
    def reports(**more):
        asked = CollectRequest("news", Query.parse("example.com", **more), since_last=True)
        return services.collector.collect(asked)

    archive.fail(None, Fault.BLOCKED)
    [early] = reports(end="2020-06")
    assert early.session.state == "failed"
    filled, new = reports()
    assert (filled.session.session_id, filled.session.state) == (early.session.session_id, "done")
    assert filled.session.newest == datetime(2020, 6, 15, 17)
    assert (new.session.query["start"], new.session.query["end"]) == ("20200623235959", None)
    assert filled.session.stored + new.session.stored == 250


def test_what_a_person_paused_no_schedule_resumes(services, schedules, clock):
    made = schedules.add(REQUEST, "1d")
    schedules.tick()
    [session] = listed(services)
    services.jobs.collect.ask(session.session_id, SessionEvent.PAUSED)
    clock.sleep(86_400)
    assert schedules.tick() == 1
    assert [found.state for found in listed(services)] == ["paused"]
    told = schedules.find(made.schedule_id)
    assert told.error["type"] == "SessionEnded"
    assert "chronolake sessions resume" in told.error["hint"]
    assert told.next_at > clock.now()


def test_a_tick_that_dies_before_it_is_noted_comes_again_and_asks_for_the_same(
    services, schedules, monkeypatch
):
    made = schedules.add(REQUEST, "1d")
    monkeypatch.setenv("CHRONOLAKE_FAULT", "schedule.queued:error")
    with pytest.raises(OSError, match=r"schedule\.queued"):
        schedules.tick()
    assert schedules.find(made.schedule_id).next_at == made.next_at
    monkeypatch.delenv("CHRONOLAKE_FAULT")
    assert schedules.tick() == 1
    [session] = listed(services)
    work(services)
    assert services.jobs.collect.find(session.session_id).stored == 250


def test_from_the_command_line(services, database_url, tmp_path):
    runner = CliRunner(env={"DATABASE_URL": database_url, "CHRONOLAKE_HOME": str(tmp_path / "home")})

    def told(*words):
        done = runner.invoke(app, [*words, "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)["schedules"]

    [made] = told("collect", "example.com", "--project", "news", "--every", "1d")
    assert (made["every"], made["incremental"], made["paused"]) == ("1d", True, False)
    number = str(made["schedule_id"])
    [whole] = told("collect", "example.com", "--project", "news", "--every", "0 4 * * *", "--whole")
    assert not whole["incremental"]
    assert told("schedules", "pause", number)[0]["paused"]
    assert not told("schedules", "resume", number)[0]["paused"]
    assert runner.invoke(app, ["schedules", "remove", number]).exit_code == 0
    assert told("schedules", "list") == told("schedules") == [whole]


def test_how_often_has_to_be_said(schedules):
    with pytest.raises(ScheduleInvalid, match="'daily' says no time"):
        schedules.add(REQUEST, "daily")
    assert schedules.listed() == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_over_http(services):
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        body = {"project": "news", "domain": "example.com", "every": "30 4 * * *"}
        made = await client.post(PATH, json=body)
        assert made.status_code == 201, made.text
        assert made.json()["incremental"]
        assert made.json()["next_at"].endswith("T04:30:00Z")
        assert (await client.get(PATH)).json()["data"] == [made.json()]
        where = made.headers["location"]
        assert (await client.post(f"{where}/pause")).json()["paused"]
        assert not (await client.post(f"{where}/resume")).json()["paused"]
        refused = await client.post(PATH, json=body | {"every": "often"})
        assert (refused.status_code, refused.json()["parameter"]) == (422, "every")
        assert (await client.delete(where)).status_code == 204
        assert (await client.get(where)).status_code == 404
        assert (await asyncio.to_thread(services.jobs.schedules.listed)) == []
