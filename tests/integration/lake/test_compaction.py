"""Small files become sorted ones while changes go on; nobody who reads the lake sees a difference but in speed."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chronolake import faults
from chronolake.capture.columns import CDX_RECORDS
from chronolake.clock import ManualClock
from chronolake.lake.changes import TableChanges
from chronolake.lake.compaction import COMPACTION_LOCK, Kind, Limits
from chronolake.lake.stream_notes import StreamCheckpoint

#: As the real ones, but so small that a test reaches each of them.
SMALL = Limits(rows=4000, files=12, fan_in=3)
ROWS = "SELECT id, domain, timestamp, content_length FROM cdx_records"


@pytest.fixture
def change(captures):
    """Bring changes: captures numbered so are there now, with these lengths; others are gone."""
    lsn = iter(range(1, 1_000_000))

    def _change(lake, upserts=(), gone=(), *, truncated=False):
        rows = pa.concat_tables([captures(0), *(captures(1, first=number) for number in upserts)])
        lengths = pa.array(list(dict(upserts).values()) if upserts else [], pa.int64())
        position = rows.schema.get_field_index("content_length")
        rows = rows.set_column(position, rows.schema.field(position), lengths)
        numbers = np.array([[0, number] for number in [*upserts, *gone]], np.uint64).reshape(-1, 2)
        return lake.apply_changes(
            [TableChanges(CDX_RECORDS, rows, numbers, truncated=truncated)],
            checkpoint=StreamCheckpoint("e", 1, next(lsn), datetime.now(UTC), datetime.now(UTC)),
        )

    return _change


def catalog(ask, lake, sql):
    return ask(lake, sql.replace("meta.", "__ducklake_metadata_lake.chronolake_lake."))


def live_paths(ask, lake):
    found = ask(lake, "SELECT data_file FROM ducklake_list_files('lake', 'cdx_records')")
    return [Path(path) for (path,) in found]


def rows_of(ask, lake, at=""):
    """Each capture by its number, with its length; a row twice would be two."""
    found = ask(lake, f"SELECT id::text, content_length FROM cdx_records {at}")
    rows = {int(str(name).replace("-", ""), 16): length for name, length in found}
    assert len(rows) == len(found)
    return rows


def assert_sorted(paths):
    for path in paths:
        rows = pq.read_table(path, columns=list(CDX_RECORDS.sort)).to_pylist()
        keys = [(row["domain"].encode(), row["timestamp"]) for row in rows]
        assert all(one <= other for one, other in pairwise(keys)), path


def test_hot_files_are_dealt_out_and_merged(lake, captures, ask):
    for n in range(40):
        lake.append(CDX_RECORDS, captures(200, first=n * 200))
    before = sorted(ask(lake, ROWS))
    snapshot = lake.snapshot()
    done = list(lake.compactor(SMALL).compact())
    assert {merged.kind for merged in done} == {Kind.DEAL, Kind.MERGE}
    assert sorted(ask(lake, ROWS)) == before
    assert sorted(ask(lake, ROWS + f" AT (VERSION => {snapshot})")) == before
    assert_sorted(live_paths(ask, lake))
    assert lake.compactor(SMALL).pending() == {}
    assert ask(lake, "SELECT count(*) FROM cdx_records") == [(8000,)]
    assert catalog(
        ask, lake,
        "SELECT record_count, file_size_bytes = (SELECT sum(file_size_bytes) FROM meta.ducklake_data_file"
        " WHERE end_snapshot IS NULL) FROM meta.ducklake_table_stats WHERE record_count > 0",
    ) == [(8000, True)]  # fmt: skip


def test_changes_between_reading_and_swap_are_kept(lake, captures, change, ask):
    for n in range(8):
        lake.append(CDX_RECORDS, captures(100, first=n * 100))
    change(lake, gone=range(40))
    compactor = lake.compactor(SMALL)
    (merge,) = compactor.pending()["cdx_records"]
    prepared = compactor.prepare(CDX_RECORDS, merge)
    change(lake, {number: -number for number in range(30, 90)}, gone=range(700, 730))
    change(lake, {5: 5}, gone=[50, 799])
    expected = rows_of(ask, lake)
    before = lake.snapshot()
    feed = (
        "SELECT snapshot_id, change_type, id FROM"
        f" ducklake_table_changes('lake', 'main', 'cdx_records', 0, {before}) ORDER BY ALL"
    )
    changes = ask(lake, feed)
    merged = compactor.swap(prepared)
    assert ask(lake, feed) == changes
    assert (merged.files_in, merged.rows, merged.snapshot_id) == (8, 760, before + 1)
    assert rows_of(ask, lake) == rows_of(ask, lake, f"AT (VERSION => {before})") == expected
    # Moved rows are found by the changes that come after.
    change(lake, {100: 1, 91: 2}, gone=[92])
    expected |= {100: 1, 91: 2}
    del expected[92]
    assert rows_of(ask, lake) == expected
    assert catalog(
        ask, lake, f"SELECT changes_made FROM meta.ducklake_snapshot_changes WHERE snapshot_id = {before + 1}"
    )[0][0].startswith("rewrite_delete:")


def test_files_that_ended_meanwhile_stop_the_merge(lake, captures, change, ask):
    for n in range(8):
        lake.append(CDX_RECORDS, captures(100, first=n * 100))
    compactor = lake.compactor(SMALL)
    (merge,) = compactor.pending()["cdx_records"]
    prepared = compactor.prepare(CDX_RECORDS, merge)
    change(lake, {1: 1}, truncated=True)
    files = set(Path(lake.info().path).rglob("*.parquet"))
    before = lake.snapshot()
    assert compactor.swap(prepared) is None
    assert (lake.snapshot(), rows_of(ask, lake)) == (before, {1: 1})
    assert files - set(Path(lake.info().path).rglob("*.parquet")) == {
        Path(lake.info().path) / "main" / "cdx_records" / output.path for output in prepared.outputs
    }


def test_rows_that_are_all_gone_leave_no_file(lake, captures, change, ask):
    for n in range(8):
        lake.append(CDX_RECORDS, captures(100, first=n * 100))
    compactor = lake.compactor(SMALL)
    (merge,) = compactor.pending()["cdx_records"]
    prepared = compactor.prepare(CDX_RECORDS, merge)
    change(lake, gone=range(799))
    # Files without a row have ended with the change itself.
    assert compactor.swap(prepared) is None
    assert rows_of(ask, lake) == {799: 2397}


def test_many_deleted_rows_are_left_behind(lake, captures, change, ask):
    lake.append(CDX_RECORDS, captures(11_000, domains=1))
    change(lake, gone=range(6000))
    done = list(lake.compactor().compact())
    assert [(merged.kind, merged.rows, merged.files_in) for merged in done] == [(Kind.REWRITE, 5000, 1)]
    assert rows_of(ask, lake) == {number: number * 3 for number in range(6000, 11_000)}
    assert catalog(ask, lake, "SELECT record_count FROM meta.ducklake_table_stats") == [(5000,)]


def test_one_compactor_a_table(lake, captures):
    for n in range(8):
        lake.append(CDX_RECORDS, captures(100, first=n * 100))
    table_id = lake._commits.tables()["cdx_records"].table_id
    with lake._commits.alone(COMPACTION_LOCK, table_id) as free:
        assert free
        assert list(lake.compactor(SMALL).compact()) == []
    assert len(list(lake.compactor(SMALL).compact())) > 0


@pytest.mark.parametrize("layout", ["none", "year_month", "bucket_year"])
def test_every_layout_is_dealt_out(open_lake, captures, ask, layout):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT=layout)
    for n in range(12):
        lake.append(CDX_RECORDS, captures(200, first=n * 200))
    before = sorted(ask(lake, ROWS))
    list(lake.compactor(SMALL).compact())
    assert sorted(ask(lake, ROWS)) == before
    assert_sorted(live_paths(ask, lake))
    for year in (2016, 2020):
        where = f"WHERE timestamp >= '{year}-01-01' AND timestamp < '{year + 1}-01-01'"
        count = ask(lake, f"SELECT count(*) FROM cdx_records {where}")[0][0]
        assert count == sum(1 for row in before if row[2].year == year)


def test_a_domain_is_found_in_few_files_afterwards(lake, captures, ask):
    for n in range(20):
        lake.append(CDX_RECORDS, captures(300, first=n * 300))
    list(lake.compactor(SMALL).compact())
    plan = ask(lake, "EXPLAIN ANALYZE SELECT count(*) FROM cdx_records WHERE domain = 'host-003.example'")
    files = len(live_paths(ask, lake))
    (read,) = [line for line in plan[0][1].splitlines() if "Total Files Read" in line]
    assert int(read.strip("│ ").rpartition(":")[2]) < files / 4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_changes_and_merges_are_as_a_dictionary(open_lake, captures, change, ask, seed):
    """Random changes, merges with changes inside them, states that expire; rows are as a dictionary's, now and as they were."""
    dice = random.Random(seed)
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT=("bucket", "none", "bucket_year")[seed % 3])
    compactor = lake.compactor(Limits(rows=400, files=8, fan_in=2, deleted_share=0.2))
    model, past, clock = {}, {}, ManualClock(datetime.now(UTC))

    def some_change():
        gone = dice.sample(sorted(model), min(len(model), dice.choice([0, 1, 3, 20])))
        truncated = dice.random() < 0.04
        if truncated:
            model.clear()
        for number in gone:
            model.pop(number, None)
        upserts = {dice.randrange(400): dice.randrange(10**6) for _ in range(dice.choice([0, 1, 5, 30]))}
        model.update(upserts)
        past[change(lake, upserts, gone, truncated=truncated).snapshot_id] = dict(model)

    for _ in range(25):
        some_change()
        for merge in compactor.pending().get("cdx_records", []):
            if dice.random() < 0.7:
                prepared = compactor.prepare(CDX_RECORDS, merge)
                for _ in range(dice.choice([0, 0, 1, 2])):
                    some_change()
                compactor.swap(prepared)
        if dice.random() < 0.3:
            # As if the past were far away: each state goes but the newest, and files that it does not need.
            clock.sleep(86_400 * 30)
            lake.retention(clock).expire()
            past = {lake.snapshot(): dict(model)}
        assert rows_of(ask, lake) == model, seed
    for snapshot_id in dice.sample(sorted(past), min(len(past), 8)):
        assert rows_of(ask, lake, f"AT (VERSION => {snapshot_id})") == past[snapshot_id], seed
    list(compactor.compact())
    assert compactor.pending() == {}
    assert rows_of(ask, lake) == model
    assert_sorted(live_paths(ask, lake))


@pytest.mark.parametrize("point", ["compaction.before_swap", "compaction.after_swap"])
def test_killed_it_leaves_files_that_nobody_knows_at_most(lake, captures, database_url, tmp_path, ask, point):
    for n in range(5):
        lake.append(CDX_RECORDS, captures(50, first=n * 50))
    before, snapshot = sorted(ask(lake, ROWS)), lake.snapshot()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DATABASE_URL": database_url,
        "CHRONOLAKE_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-m", "chronolake", "lake", "compact", "--once", "--json"]
    armed = environment | {"CHRONOLAKE_FAULT": point}
    killed = subprocess.run(command, env=armed, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sorted(ask(lake, ROWS)) == before
    swapped = point == "compaction.after_swap"
    assert lake.snapshot() == snapshot + swapped
    again = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert json.loads(again.stdout)["files_in"] == (0 if swapped else 5)
    assert sorted(ask(lake, ROWS)) == before


def test_an_error_at_the_swap_removes_the_files(lake, captures, monkeypatch, ask):
    for n in range(5):
        lake.append(CDX_RECORDS, captures(50, first=n * 50))
    files = set(Path(lake.info().path).rglob("*.parquet"))
    before = sorted(ask(lake, ROWS))
    monkeypatch.setenv("CHRONOLAKE_FAULT", "compaction.before_swap:error")
    monkeypatch.setattr(faults, "_reached", Counter())
    with pytest.raises(OSError):
        list(lake.compactor().compact())
    assert set(Path(lake.info().path).rglob("*.parquet")) == files
    assert sorted(ask(lake, ROWS)) == before
