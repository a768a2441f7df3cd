"""kill -9 between pages and within one, then the same command again: the same captures, each counted once."""

import json
import os
import signal
import subprocess
import sys

import pytest

from chronolake.services import open_services
from chronolake.settings import load
from chronolake.testing import INGESTED, differences
from chronolake.testing.archive import Fault, Made, WebArchive

pytestmark = pytest.mark.slow

CAPTURES = [
    Made(f"http://www.example.com/p{n}", f"2020{n % 12 + 1:02d}15{n % 24:02d}0000", digest="ABCD"[n % 4] * 32)
    for n in range(250)
]
#: One more for the capture that comes again at each of four seams.
READ = 254


@pytest.fixture(scope="module")
def archive():
    with WebArchive(CAPTURES).serving() as serving:
        yield serving


@pytest.fixture(scope="module")
def environment(tmp_path_factory, archive):
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CHRONOLAKE_HOME": str(tmp_path_factory.mktemp("home")),
        "CHRONOLAKE_WAYBACK_URL": f"{archive.base}/cdx",
        "CHRONOLAKE_COMMONCRAWL_URL": archive.base,
        "CHRONOLAKE_COMMONCRAWL_DATA_URL": archive.base,
        "CHRONOLAKE_ARCHIVE_PER_MINUTE": "60000",
        "CHRONOLAKE_ARCHIVE_BACKOFF_S": "0.01",
        "CHRONOLAKE_ARCHIVE_PAGE_ROWS": "60",
        # One that hangs is asked where it is.
        "PYTHONFAULTHANDLER": "1",
    }


def begun(environment, *arguments, **more):
    command = [sys.executable, "-m", "chronolake", "collect", *arguments, "--json"]
    return subprocess.Popen(command, env=environment | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def told(process):
    try:
        return process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        pytest.fail(process.communicate()[1].decode())


def collect(environment, *arguments, code=0, **more):
    with begun(environment, *arguments, **more) as process:
        out, err = told(process)
    assert process.returncode == code, err.decode()
    return json.loads(out)["sessions"] if out else None


POINTS = [
    "collect.page_whole@4",
    "ingest.after_insert@3",
    "ingest.before_commit@3",
    "ingest.after_postgres@3",
]


@pytest.mark.timeout(300)
def test_killed_and_run_again(environment, archive):
    for point in POINTS:
        project = point.partition("@")[0]
        collect(
            environment, "example.com", "--project", project, code=-signal.SIGKILL, CHRONOLAKE_FAULT=point
        )
        archive.asked.clear()
        [session] = collect(environment, "example.com", "--project", project)
        assert (session["state"], session["read"], session["stored"]) == ("done", READ, 250), point
        assert (session["pages"], session["rejected"]) == (5, 0)
        if point.startswith("ingest."):
            # What was stored is not asked for again. (Answers are whole before any of them need be stored.)
            assert len(archive.asked) <= 4
            assert "resumeKey" in archive.asked[0].target
    with open_services(load(environment)) as services:
        assert differences(services.database, services.lake, INGESTED) == []
        with services.database.connection() as conn:
            accounts = conn.execute(
                "SELECT s.read, s.stored, s.duplicate, s.state, sum(i.read), sum(i.stored), sum(i.duplicate), 'done'"
                " FROM scrape_sessions s JOIN imports i USING (project_id) GROUP BY s.id"
            ).fetchall()
            stored = conn.execute(
                "SELECT project_id, count(DISTINCT url) FROM cdx_records GROUP BY 1"
            ).fetchall()
    # One session each, and its account is that of both its imports, also of the one that was killed.
    assert len(accounts) == len(POINTS)
    assert all(account[:4] == account[4:] for account in accounts)
    assert [count for _, count in stored] == [250] * len(POINTS)


@pytest.mark.parametrize("point", ["collect.page_whole@8", "ingest.after_postgres@5"])
def test_a_row_group_of_the_columnar_index_is_a_page(environment, archive, point):
    arguments = ["example.com", "--project", f"columnar {point}", "--source", "commoncrawl-columnar"]
    collect(environment, *arguments, code=-signal.SIGKILL, CHRONOLAKE_FAULT=point)
    archive.asked.clear()
    [session] = collect(environment, *arguments)
    assert (session["state"], session["archive_source"]) == ("done", "commoncrawl")
    assert (session["read"], session["stored"], session["duplicate"]) == (250, 250, 0)
    if point.startswith("ingest."):
        # The newer crawl, of whose four files none has captures, was over before the process died.
        assert not [asked for asked in archive.asked if "CC-MAIN-2021-31" in asked.target]


def test_an_archive_without_pages_is_asked_for_everything_again(environment, archive):
    server = ["--source", "cdx-server", "--url", f"{archive.base}/index"]
    batches = {"CHRONOLAKE_INGEST_BATCH_ROWS": "100"}
    arguments = ["example.com", "--project", "whole", *server]
    armed = batches | {"CHRONOLAKE_FAULT": "ingest.after_postgres@2"}
    collect(environment, *arguments, code=-signal.SIGKILL, **armed)
    [session] = collect(environment, *arguments, **batches)
    assert (session["state"], session["stored"], session["duplicate"]) == ("done", 250, 200)


def test_ctrl_c_keeps_what_has_come_and_says_how_to_go_on(environment, archive):
    archive.asked.clear()
    archive.fail(None, None, Fault.STALL)
    with begun(environment, "example.com", "--project", "stopped") as process:
        while len(archive.asked) < 3:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = told(process)
    assert process.returncode == 130, err.decode()
    [session] = json.loads(out)["sessions"]
    assert (session["state"], session["pages"], session["attempts"]) == (
        "waiting",
        2,
        {"cancelled": 1, "ok": 2},
    )
    assert session["failure"]["type"] == "CollectStopped"
    [session] = collect(environment, "--resume", str(session["session_id"]))
    assert (session["state"], session["stored"], session["read"]) == ("done", 250, READ)
