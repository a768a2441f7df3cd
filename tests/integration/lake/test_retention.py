"""Old states go, with their files; the newest is as it was, and what is kept can be asked for."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.clock import ManualClock
from chronolake.errors import SnapshotExpired
from chronolake.lake import LakeMaintenance
from chronolake.lake.retention import RETENTION_LOCK

COUNT = "SELECT count(*) FROM cdx_records"
DAY = timedelta(days=1)


@pytest.fixture
def merged(lake, captures):
    """Ten commits, merged: the files of the commits belong to the past."""
    snapshots = [lake.append(CDX_RECORDS, captures(100, first=n * 100)) for n in range(10)]
    list(lake.compactor().compact())
    return snapshots


def files(lake):
    return {path.name for path in Path(lake.info().path).rglob("*.parquet")}


def count(lake, ask, table):
    return ask(lake, f"SELECT count(*) FROM __ducklake_metadata_lake.chronolake_lake.{table}")[0][0]


def test_nothing_young_goes(lake, merged, ask):
    before = files(lake), lake.info().snapshots
    expired = lake.retention().expire()
    assert (expired.snapshots, expired.data_files, expired.removed_files) == (0, 0, 0)
    assert (files(lake), lake.info().snapshots) == before
    assert ask(lake, f"{COUNT} AT (VERSION => {merged[3]})") == [(400,)]


def test_old_states_leave_the_catalog_and_their_files_the_disk_after_a_grace(lake, merged, ask):
    rows = sorted(ask(lake, "SELECT id, url FROM cdx_records"))
    clock = ManualClock(datetime.now(UTC) + 30 * DAY)
    retention, before = lake.retention(clock), files(lake)
    expired = retention.expire()
    assert (expired.data_files, expired.removed_files) == (10, 0)
    assert expired.snapshots >= 10
    live = lake.info().tables[0].files
    assert (lake.info().snapshots, count(lake, ask, "ducklake_data_file")) == (1, live)
    for table in ("ducklake_file_column_stats", "ducklake_file_partition_value"):
        sql = f"SELECT count(DISTINCT data_file_id) FROM __ducklake_metadata_lake.chronolake_lake.{table}"
        assert ask(lake, sql) == [(live,)]
    clock.sleep(60)
    assert retention.expire().removed_files == 0
    assert files(lake) == before
    clock.sleep(3600)
    again = retention.expire()
    assert (again.snapshots, again.removed_files) == (0, 10)
    assert len(files(lake)) == live
    assert count(lake, ask, "ducklake_files_scheduled_for_deletion") == 0
    assert sorted(ask(lake, "SELECT id, url FROM cdx_records")) == rows


def test_orphans_go_once_they_are_old(lake, merged):
    folder = Path(lake.info().path) / "main" / "cdx_records"
    known = files(lake)
    young, old = folder / "young.parquet", folder / "bucket=3" / "old.parquet"
    old.parent.mkdir(exist_ok=True)
    for path in (young, old):
        path.write_bytes(b"x")
    for path in [old, *folder.rglob("chronolake*.parquet")]:
        os.utime(path, (0, 0))
    assert lake.retention().remove_orphans().orphans == 1
    assert files(lake) == known | {"young.parquet"}


def test_one_at_a_time(lake, merged):
    with lake._commits.alone(RETENTION_LOCK, 0) as held:
        assert held is not None
        assert lake.retention(ManualClock(datetime.now(UTC) + 30 * DAY)).expire().snapshots == 0


def test_a_time_is_answered_by_the_snapshot_that_held(lake, captures):
    first = lake.append(CDX_RECORDS, captures(1))
    between = datetime.now(UTC)
    second = lake.append(CDX_RECORDS, captures(1, first=1))
    assert lake.as_of(between).snapshot_id == first
    assert lake.as_of(datetime.now(UTC)).snapshot_id == second
    with pytest.raises(SnapshotExpired, match="oldest state is of 20"):
        lake.as_of(datetime(2020, 1, 1, tzinfo=UTC))


def test_the_loop_has_files_merged_by_another_process(lake, captures, make_settings, ask):
    for n in range(5):
        lake.append(CDX_RECORDS, captures(50, first=n * 50))
    loop = LakeMaintenance(lake=lake, settings=make_settings())
    done = loop.step()
    assert (done.merged["files_in"], done.merged["rows"]) == (5, 250)
    assert lake.file_counts().files["cdx_records"] == 1
    assert loop.step().merged is None
    assert ask(lake, COUNT) == [(250,)]
    loop.stop()
