"""The benchmark of the questions, whole and small: every figure is of a real server over real stores."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from chronolake.bench import question_home, refresh_trials
from chronolake.clock import SystemClock
from chronolake.errors import InputError
from chronolake.query import QUESTIONS
from chronolake.services import open_services

ROWS = 3000
MADE = ("domain_timeline", "archive_sources_comparison")


@pytest.fixture
def services(make_settings):
    with open_services(make_settings()) as opened:
        yield opened


def ready(services, **given):
    folder = services.settings.home.root
    folder.mkdir(exist_ok=True)
    return question_home.ready(
        services, folder, **({"rows": ROWS, "seed": 1, "clock": SystemClock()} | given)
    )


def held(services):
    """What both stores have: PostgreSQL's count and the lake's, and a sum over the lake's rows."""
    with services.database.connection() as conn:
        count = conn.execute("SELECT count(*) FROM cdx_records").fetchone()
    with services.lake.cursor() as cursor:
        rows = cursor.execute("SELECT count(*), sum(hash(id, content_length)) FROM cdx_records").fetchone()
    return count, rows


def test_a_home_is_filled_once_and_put_back_for_another_run(services):
    home = ready(services)
    assert home.filled.postgres_s is not None
    before = held(services)
    assert before[0] == (ROWS,)
    with services.lake.cursor() as cursor:
        for table in ("content_analytics", "archive_request_attempts", "metric_samples"):
            assert cursor.execute(f"SELECT count(*) > 0 FROM {table}").fetchone() == (True,), table
    assert home.domains[0][1] >= home.domains[-1][1] > 0
    for name in MADE:
        services.optimizer.make(services.optimizer.rollups_for(name, {}, by_project=False))
    found = refresh_trials.run(home, MADE, changes=200, seed=1)
    assert [(one.question, one.equal) for one in found] == [(name, True) for name in MADE]
    assert all(0 < one.touched_cells <= one.cells for one in found)
    assert held(services) != before
    again = ready(services)
    assert again.filled.postgres_s is None
    assert held(services) == before
    assert services.optimizer.rollups() == []
    with pytest.raises(InputError, match="filled with 3000 captures of seed 1, not 3000 of 2"):
        ready(services, seed=2)


def test_a_cell_that_is_wrong_is_seen(services):
    home = ready(services)
    [wanted] = services.optimizer.rollups_for(MADE[0], {}, by_project=False)
    services.optimizer.make([wanted])
    name = wanted.rollup.name
    right = refresh_trials._fingerprint(home.lake, name)
    measure = wanted.rollup.measures[0].name
    with home.lake.cursor() as cursor:
        cursor.execute(f"UPDATE {name} SET {measure} = 1_000_000 WHERE cell = (SELECT min(cell) FROM {name})")
    wrong = refresh_trials._fingerprint(home.lake, name)
    assert right[0] == wrong[0] > 1
    assert right != wrong


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_command_measures_everything_over_a_real_server(tmp_path):
    out, rows = tmp_path / "out", 10_000
    words = f"bench questions --rows {rows} --clients 4 --seconds 2 --repeat 5 --json --out {out}"
    # Outside pytest's own folder, which is closed to the user that the run's server runs as.
    with tempfile.TemporaryDirectory(prefix="chronolake-test-") as home:
        done = subprocess.run(
            [sys.executable, "-m", "chronolake", *words.split()],
            env=os.environ | {"CHRONOLAKE_HOME": home},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert list(Path(home).iterdir()) == []
    found = json.loads(done.stdout)
    assert found == json.loads((out / f"questions-{rows}.json").read_text())
    assert "--clients 4 --seconds 2 --repeat 5" in (out / f"questions-{rows}.md").read_text()
    assert "filling the home" in done.stderr
    parts = {name: part for name, part in found.items() if isinstance(part, dict)}
    places = {name: part["came_from"] for name, part in parts.items() if "came_from" in part}
    assert places.pop("load").keys() <= {"cache", "rollup", "duckdb"}
    assert places == {
        "floor": {},
        "timeline_plain": {"duckdb": 5},
        "timeline_bare": {"duckdb_file": 5},
        "timeline_rolled": {"rollup": 5},
        "content": {"rollup": 5},
        "cross_project": {"rollup": 5},
        "cached_in_process": {"cache": 5},
        "cached_over_http": {"cache": 5},
    }
    cases = [*found["scans"], found["parquet"], found["csv"]]
    timings = [timing for case in cases for timing in case["timings"]]
    assert {timing["engine"] for timing in timings} >= {"lake", "duckdb_file", "exporter", "postgres"}
    assert [timing for timing in timings if timing["error"]] == []
    assert found["parquet"]["fingerprint"] == found["csv"]["fingerprint"] == [rows]
    assert [one["question"] for one in found["catalogue"]] == list(QUESTIONS)
    assert [one["question"] for one in found["catalogue"] if one["ratio"] is None] == []
    load = found["load"]
    assert (load["errors"], load["ingested"]["error"]) == ({}, None)
    assert min(load["answered"], load["ingested"]["stored"], load["server_cpu_s"], load["client_cpu_s"]) > 0
    assert load["server_peak_mb"] > 50
    assert [one["equal"] for one in found["refreshes"]] == [True, True]
    assert len(found["verdicts"]) == 20
