"""kill -9 at each named point of dual write, then the same command again: equal, nothing lost or doubled."""

import json
import os
import signal
import subprocess
import sys

import pytest

from chronolake import faults
from chronolake.services import open_services
from chronolake.settings import load
from chronolake.testing import INGESTED, differences

pytestmark = pytest.mark.slow

ROWS = 3000
BATCH_ROWS = 1000


def write_cdx(path, name):
    """Three batches of captures that no other file has."""
    lines = [
        f"com,{name}-{row % 97})/p{row} 2020{row % 12 + 1:02d}15{row % 24:02d}0000"
        f" http://{name}-{row % 97}.com/p{row} text/html 200 {'A' * 32} - - {row} {row * 99} {name}.gz\n"
        for row in range(ROWS)
    ]
    path.write_text(" CDX N b a m s k r M S V g\n" + "".join(lines))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all points, so that what one crash leaves behind meets the next."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def environment(home):
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CHRONOLAKE_HOME": str(home),
        "CHRONOLAKE_INGEST_BATCH_ROWS": str(BATCH_ROWS),
    }


def ingest(path, environment, *, fault=None):
    command = [sys.executable, "-m", "chronolake", "ingest", str(path), "--project", path.stem, "--json"]
    armed = environment | ({"CHRONOLAKE_FAULT": fault} if fault else {})
    return subprocess.run(command, env=armed, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "point",
    [
        point
        for point in faults.POINTS
        if not point.startswith(("compaction.", "sync.", "collect.", "pages.", "schedule.", "export."))
    ],
)
def test_killed_and_run_again(point, environment, tmp_path):
    path = write_cdx(tmp_path / f"{point.replace('.', '-').replace('_', '-')}.cdx", point.split(".")[1][:6])
    # The second batch's crash finds a first one that was stored, and a third that never was.
    fault = f"{point}@2" if point.startswith("ingest.") else point
    crashed = ingest(path, environment, fault=fault)
    assert crashed.returncode == -signal.SIGKILL, crashed.stderr

    again = ingest(path, environment)
    assert again.returncode == 0, again.stderr
    account = json.loads(again.stdout)
    assert account["read"] == ROWS
    assert account["stored"] + account["duplicate"] == ROWS

    settings = load(environment)
    with open_services(settings) as services:
        assert differences(services.database, services.lake, INGESTED) == []
        with services.database.connection() as conn:
            stored = conn.execute(
                "SELECT count(*) FROM cdx_records JOIN projects ON projects.id = project_id WHERE name = %s",
                [path.stem],
            ).fetchone()
        assert stored == (ROWS,)
        staging = settings.staging(services.database.instance)
    assert list(staging.glob("*")) == []


@pytest.mark.timeout(300)
def test_an_error_in_the_lakes_commit_leaves_the_batches_in_the_ledger(environment, tmp_path):
    path = write_cdx(tmp_path / "failing-commit.cdx", "failin")
    failed = ingest(path, environment, fault="lake.before_commit:error")
    assert failed.returncode == 1, failed.stderr
    error = json.loads(failed.stdout)["error"]
    assert error["hint"]
    assert "Traceback" not in failed.stderr
    again = ingest(path, environment)
    assert json.loads(again.stdout)["duplicate"] == ROWS
    with open_services(load(environment)) as services:
        assert differences(services.database, services.lake, INGESTED) == []
