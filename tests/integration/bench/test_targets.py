"""The plan's targets on a lake that grows: measured at their own scale, or told why not."""

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from chronolake.bench import runner, stores
from chronolake.bench.targets import TARGETS, measure_all
from chronolake.clock import SystemClock
from chronolake.errors import LakeBusy, StorageFull
from chronolake.lake import Lake
from chronolake.services import open_services
from chronolake.settings import load

#: The plan's targets at scales that a test has time for.
SMALL = tuple(
    replace(target, rows=rows, limit_s=60.0)
    for target, rows in zip(TARGETS, (2000, 5000, 8000, 9000), strict=True)
)


@pytest.fixture
def services(make_settings):
    with open_services(make_settings()) as opened:
        yield opened


def measured(services, folder, **given):
    asked = {"plan": SMALL, "up_to": 8000, "repeat": 5, "seed": 1, "folder": folder, "clock": SystemClock()}
    return measure_all(services, services.lake, **(asked | given))


def test_each_target_runs_as_its_scale_is_reached_and_none_beyond_the_bound(services, tmp_path):
    found = measured(services, tmp_path)
    assert [(result.target, result.rows) for result in found[:3]] == [(t, t.rows) for t in SMALL[:3]]
    assert [result.met for result in found] == [True, True, True, None]
    assert [len(result.timing.runs_s) for result in found] == [5, 5, 5, 0]
    assert "--targets-up-to 8000" in found[3].verdict
    with services.lake.cursor() as cursor:
        assert cursor.execute("SELECT count(*), count(DISTINCT id) FROM cdx_records").fetchone() == (
            8000,
            8000,
        )
    with services.database.connection() as conn:
        assert conn.execute("SELECT count(*) FROM cdx_records").fetchone() == (0,)


def test_the_export_writes_every_capture(services, tmp_path):
    export = measured(services, tmp_path, plan=SMALL[3:], up_to=9000)[0]
    assert (export.rows, export.met) == (9000, True)
    assert (tmp_path / "export-lake.parquet").stat().st_size > 9000


def test_a_target_that_is_too_slow_is_not_met(services, tmp_path):
    [result] = measured(services, tmp_path, plan=[replace(SMALL[0], limit_s=0.0)])
    assert (result.met, result.verdict) == (False, "not met")


def test_a_target_that_fails_keeps_no_other_from_running(services, tmp_path, monkeypatch):
    append = Lake.append
    calls = []

    def fails_once(lake, table, rows):
        calls.append(rows.num_rows)
        if len(calls) == 1:
            raise LakeBusy("another process committed")
        return append(lake, table, rows)

    monkeypatch.setattr(Lake, "append", fails_once)
    found = measured(services, tmp_path)
    assert found[0].verdict == "not measured: it failed: another process committed"
    assert [result.met for result in found[1:3]] == [True, True]
    # What was not filled is filled by the next step.
    assert calls == [2000, 5000, 3000]
    assert stores.held(services.lake).rows == 8000


def test_too_little_room_is_told_before_anything_is_begun(make_settings, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000_000))
    asked = {"rows": 1000, "out": tmp_path / "out", "repeat": 5, "settings": make_settings()}
    with pytest.raises(StorageFull, match=r"8\.0 GB") as caught:
        runner.run(**asked, targets_up_to=50_000_000)
    assert "--targets-up-to" in caught.value.hint
    assert list(make_settings().home.root.glob("bench-*")) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_whole_run_reports_them_and_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    # Outside pytest's own folder, which is closed to the user that the run's server runs as.
    with tempfile.TemporaryDirectory(prefix="chronolake-test-") as home:
        report = runner.run(
            rows=3000,
            out=out,
            repeat=5,
            settings=load({"CHRONOLAKE_HOME": home}),
            targets_up_to=5000,
            plan=SMALL,
        )
        assert list(Path(home).iterdir()) == []
    assert [result.met for result in report.targets] == [True, True, None, None]
    document = json.loads((out / "benchmark-3000.json").read_text())
    assert [target["rows_ran"] for target in document["targets"]] == [2000, 5000, 0, 0]
    assert "--targets-up-to 5000" in (out / "benchmark-3000.md").read_text()
