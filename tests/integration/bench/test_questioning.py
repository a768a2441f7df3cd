"""The benchmark of the questions, whole and small: every figure is of a real server over real stores."""

import json
import tempfile
from pathlib import Path

import pytest

from chronolake.bench import question_home, questioning, refresh_trials
from chronolake.clock import SystemClock
from chronolake.errors import InputError
from chronolake.services import open_services
from chronolake.settings import load

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
def test_a_whole_run_measures_everything_over_a_real_server(tmp_path):
    out, phases = tmp_path / "out", []
    # Outside pytest's own folder, which is closed to the user that the run's server runs as.
    with tempfile.TemporaryDirectory(prefix="chronolake-test-") as home:
        report = questioning.run(
            rows=ROWS,
            out=out,
            settings=load({"CHRONOLAKE_HOME": home}),
            clients=4,
            seconds=2,
            repeat=5,
            changes=200,
            told=phases.append,
        )
        assert list(Path(home).iterdir()) == []
    assert phases[0] == "filling the home"
    assert len(report.floor.timing.runs_s) == 5
    assert report.timeline_plain.came_from == {"duckdb": 5}
    assert report.timeline_rolled.came_from == {"rollup": 5}
    assert report.content.came_from == report.cross_project.came_from == {"rollup": 5}
    assert report.cached_in_process.came_from == report.cached_over_http.came_from == {"cache": 5}
    assert [case.of("lake").error for case in report.scans] == [None] * 5
    assert [one.question for one in report.catalogue if one.ratio is None] == []
    assert [timing.error for case in (report.parquet, report.csv) for timing in case.timings] == [None] * 6
    assert report.parquet.fingerprint == report.csv.fingerprint == (ROWS,)
    load_ = report.load
    assert (load_.errors, load_.ingested.error) == ({}, None)
    assert load_.answered > 0
    assert load_.ingested.stored > 0
    assert load_.server_peak_mb > 50
    assert load_.server_cpu_s > 0
    assert [one.equal for one in report.refreshes] == [True, True]
    document = json.loads((out / f"questions-{ROWS}.json").read_text())
    assert len(document["verdicts"]) == len(report.verdicts())
    assert "--clients 4 --seconds 2 --repeat 5" in (out / f"questions-{ROWS}.md").read_text()
