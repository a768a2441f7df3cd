"""kill -9 of a worker in the middle of a job: another takes it up within seconds, and nothing is lost or doubled."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from chronolake.capture.session import SessionState
from chronolake.cli.app import app
from chronolake.errors import ExportUnready
from chronolake.ingest import CollectRequest
from chronolake.loop import running
from chronolake.query.export import Format
from chronolake.services import open_services
from chronolake.settings import load
from chronolake.sources.query import Query
from chronolake.testing import INGESTED, differences
from chronolake.testing.archive import Fault, Made, WebArchive

pytestmark = pytest.mark.slow

CAPTURES = [
    Made(f"http://www.example.com/p{n}", f"2020{n % 12 + 1:02d}15{n % 24:02d}0000", digest="ABCD"[n % 4] * 32)
    for n in range(250)
]
STALLED_S = 2
#: Within which a job is taken up whose worker is gone: until it counts as gone, a look, and the queue's turn.
TAKEN_UP_S = STALLED_S + 8


@pytest.fixture
def archive():
    with WebArchive(list(CAPTURES)).serving() as serving:
        yield serving


@pytest.fixture
def environment(tmp_path, database_url, archive):
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "DATABASE_URL": database_url,
        "CHRONOLAKE_HOME": str(tmp_path / "home"),
        "CHRONOLAKE_WAYBACK_URL": f"{archive.base}/cdx",
        "CHRONOLAKE_ARCHIVE_PER_MINUTE": "60000",
        "CHRONOLAKE_ARCHIVE_PAGE_ROWS": "60",
        "CHRONOLAKE_JOBS_STALLED_S": str(STALLED_S),
        "PYTHONFAULTHANDLER": "1",
    }


@contextmanager
def begun(environment, *arguments):
    """A command in a process of its own, which the block's end ends."""
    command = [sys.executable, "-m", "chronolake", *arguments]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def told(environment, *arguments):
    """What a command prints, which is not the worker's process."""
    done = CliRunner(env=environment).invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    # Before the document stands what is logged, for in this process nobody has said where to.
    _, begins, document = done.stdout.partition("{\n")
    return json.loads(begins + document) if begins else None


def test_a_worker_killed_while_it_collects(environment, archive):
    with open_services(load(environment)) as services:
        [undisturbed] = services.jobs.collect.later(CollectRequest("undisturbed", Query.parse("example.com")))
        services.jobs.worker(once=True).step()
        asked = told(environment, "collect", "example.com", "--project", "killed", "--later", "--json")
        [session] = asked["sessions"]
        assert session["state"] == "waiting"
        archive.asked.clear()
        archive.fail(None, None, None, Fault.STALL)
        with begun(environment, "work") as worker:
            while services.jobs.collect.find(session["session_id"]).pages < 3:
                assert worker.poll() is None, worker.communicate()[1].decode()
            worker.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        assert services.jobs.collect.find(session["session_id"]).state == "running"
        archive.asked.clear()
        with running(services.jobs.worker()):
            waited = threading.Event()
            while (now := services.jobs.collect.find(session["session_id"])).state != SessionState.DONE:
                assert time.monotonic() - killed_at < 60, now
                waited.wait(0.05)
        assert archive.asked[0].at - killed_at < TAKEN_UP_S
        # It goes on with the page that is not stored.
        assert len(archive.asked) == 2
        assert "resumeKey" in archive.asked[0].target
        first = services.jobs.collect.find(undisturbed.session_id)
        assert (now.pages, now.read, now.stored) == (first.pages, first.read, first.stored)
        with services.database.connection() as conn:
            sets = [
                conn.execute(
                    "SELECT url, timestamp, digest FROM cdx_records WHERE project_id = %s ORDER BY url, timestamp",
                    [found.project_id],
                ).fetchall()
                for found in (first, now)
            ]
        assert sets[0] == sets[1]
        assert len(sets[0]) == 250
        assert differences(services.database, services.lake, INGESTED) == []


def test_a_worker_killed_while_it_exports(environment, archive):
    with open_services(load(environment)) as services:
        services.collector.collect(CollectRequest("news", Query.parse("example.com")))
        asked = services.jobs.exports.later("captures", {}, Format.CSV)
        armed = environment | {"CHRONOLAKE_FAULT": "export.half_written"}
        with begun(armed, "work", "--once") as worker:
            assert worker.wait(60) == -signal.SIGKILL
        folder = services.settings.exports / str(asked.export_id)
        [half] = folder.iterdir()
        assert half.stat().st_size > 250 * 50
        with pytest.raises(ExportUnready):
            services.jobs.exports.file(asked.export_id)
        with running(services.jobs.worker()):
            waited = threading.Event()
            while (now := services.jobs.exports.find(asked.export_id)).state != "done":
                assert now.state in {"running", "waiting"}
                waited.wait(0.05)
        found, path = services.jobs.exports.file(asked.export_id)
        assert (found.rows, found.run, found.bytes) == (250, 2, path.stat().st_size)
        assert list(folder.iterdir()) == [path]


def test_a_session_is_paused_resumed_and_listed_from_the_command_line(environment, archive):
    environment = environment | {"ANALYTICS_ENABLED": "false"}
    asked = told(environment, "collect", "example.com", "--project", "news", "--later", "--json")
    [session] = asked["sessions"]
    archive.fail(None, Fault.STALL)
    number = str(session["session_id"])
    with begun(environment, "work", "--queues", "collect") as worker:
        while len(archive.asked) < 2:
            assert worker.poll() is None, worker.communicate()[1].decode()
        told(environment, "sessions", "pause", number, "--json")
        waited = threading.Event()
        while not (paused := told(environment, "sessions", "--state", "paused", "--json")["sessions"]):
            waited.wait(0.05)
        assert [(found["session_id"], found["pages"]) for found in paused] == [(session["session_id"], 1)]
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=60)
        assert worker.returncode == 0, err.decode()
    assert told(environment, "sessions", "resume", number, "--json")["state"] == "waiting"
    told(environment, "work", "--once")
    [done] = told(environment, "sessions", "--project", "news", "--json")["sessions"]
    assert (done["state"], done["stored"], done["read"]) == ("done", 250, 254)
