"""Batches enter the lake whole and once, with the record that they did."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import ipc

from chronolake.capture.columns import CDX_RECORDS, CONTENT_ANALYTICS, TABLES
from chronolake.errors import LakeUnavailable, SchemaMismatch
from chronolake.lake import StagedBatch, StagedFile, stage
from chronolake.lake.staging import read_staged

COUNT = "SELECT count(*), count(DISTINCT id) FROM cdx_records"
#: Where the catalog notes which batches the lake holds.
BATCHES = "__ducklake_metadata_lake.chronolake_lake.chronolake_batches"


def test_an_empty_lake_says_so(lake):
    checkpoint = lake.checkpoint()
    assert (checkpoint.message_lsn, checkpoint.committed_at) == (None, None)
    assert checkpoint.snapshot_id == lake.snapshot()
    assert lake.applied([]) == lake.applied([1, 2]) == set()
    assert [(table.name, table.rows, table.files) for table in lake.info().tables] == [
        (name, 0, 0) for name in TABLES
    ]


def test_rows_come_back_as_they_were_staged(lake, staged, captures, ask):
    batch = staged(1, 500)
    lake.apply([batch])
    names = ", ".join(f'"{name}"' for name in CDX_RECORDS.arrow_schema.names)
    with lake.cursor() as cursor:
        # Else a UUID comes as text.
        cursor.execute("SET arrow_lossless_conversion = true")
        back = cursor.execute(f"SELECT {names} FROM cdx_records ORDER BY url").to_arrow_table()
    expected = captures(500, first=100_000).sort_by("url")
    assert back.to_pylist() == expected.to_pylist()
    years = ask(lake, "SELECT DISTINCT partition_year = year(timestamp) FROM cdx_records")
    months = ask(lake, "SELECT DISTINCT partition_month = month(timestamp) FROM cdx_records")
    assert years == months == [(True,)]


def test_one_snapshot_holds_rows_and_record(lake, staged, ask):
    before = lake.snapshot()
    started = datetime.now(UTC)
    snapshot = lake.apply([staged(1), staged(2), staged(3)])
    assert snapshot == lake.snapshot() == before + 1
    assert lake.applied([1, 2, 3, 4]) == {1, 2, 3}
    assert ask(lake, COUNT) == [(300, 300)]
    assert ask(lake, f"SELECT count(*) FROM cdx_records AT (VERSION => {before})") == [(0,)]
    assert ask(lake, f"SELECT batch_id, table_name, message_lsn, rows FROM {BATCHES} ORDER BY 1") == [
        (1, "cdx_records", "0/10", 100),
        (2, "cdx_records", "0/20", 100),
        (3, "cdx_records", "0/30", 100),
    ]
    checkpoint = lake.checkpoint()
    assert (checkpoint.snapshot_id, checkpoint.message_lsn) == (snapshot, "0/30")
    assert started <= checkpoint.committed_at <= datetime.now(UTC)


def test_a_batch_that_comes_again_is_left_out(lake, staged, ask):
    first, second = staged(1), staged(2)
    lake.apply([first])
    lake.apply([first, second])
    assert ask(lake, COUNT) == [(200, 200)]
    assert ask(lake, f"SELECT count(*) FROM {BATCHES}") == [(2,)]


def test_positions_are_compared_as_numbers(lake, staged):
    lake.apply(
        [staged(1, message_lsn="0/FFFFFFF0"), staged(2, message_lsn="1/10"), staged(3, message_lsn="0/9")]
    )
    assert lake.checkpoint().message_lsn == "1/10"


def test_pages_and_captures_enter_together(lake, staged, make_settings, tmp_path, ask):
    page = {
        "page_id": (7).to_bytes(16, "big"),
        "project_id": 1,
        "batch_id": 9,
        "url": "http://host/7",
        "domain": "host-1.example",
        "word_count": 12,
        "quality_score": 0.5,
        "extraction_timestamp": datetime(2024, 5, 6),
        "date_captured": date(2024, 5, 5),
    }
    rows = pa.Table.from_pylist([page], schema=CONTENT_ANALYTICS.arrow_schema)
    file = stage(CONTENT_ANALYTICS, rows, tmp_path / "pages.arrow")
    before = lake.snapshot()
    lake.apply([staged(1), StagedBatch(9, CONTENT_ANALYTICS, file, None)])
    assert lake.snapshot() == before + 1
    assert ask(lake, "SELECT word_count, quality_score, date_captured FROM content_analytics") == [
        (12, 0.5, date(2024, 5, 5))
    ]
    assert lake.applied([1, 9]) == {1, 9}
    assert lake.checkpoint().message_lsn == "0/10"


def test_broken_before_the_commit_nothing_is_in(lake, staged, ask, monkeypatch):
    before = lake.snapshot()
    monkeypatch.setenv("CHRONOLAKE_FAULT", "lake.before_commit:error")
    with pytest.raises(LakeUnavailable, match="fault armed"):
        lake.apply([staged(1)])
    monkeypatch.delenv("CHRONOLAKE_FAULT")
    assert lake.applied([1]) == set()
    assert lake.snapshot() == before
    assert list(Path(lake.info().path).rglob("*.parquet")) == []
    lake.apply([staged(1)])
    assert ask(lake, COUNT) == [(100, 100)]


def test_broken_after_the_commit_all_is_in(lake, staged, ask, monkeypatch):
    monkeypatch.setenv("CHRONOLAKE_FAULT", "lake.after_commit:error")
    with pytest.raises(LakeUnavailable, match="fault armed"):
        lake.apply([staged(1)])
    monkeypatch.delenv("CHRONOLAKE_FAULT")
    assert lake.applied([1]) == {1}
    lake.apply([staged(1)])
    assert ask(lake, COUNT) == [(100, 100)]


def write_arrow(rows, path):
    with ipc.new_file(path, rows.schema) as writer:
        writer.write_table(rows)


@pytest.mark.parametrize("harm", ["missing", "not_arrow", "too_few_rows", "undeclared"])
def test_a_file_that_is_not_what_it_should_be_is_refused_whole(lake, staged, ask, harm):
    good, bad = staged(1), staged(2)
    if harm == "missing":
        bad.file.path.unlink()
    elif harm == "not_arrow":
        bad.file.path.write_bytes(b"JFIF")
    elif harm == "too_few_rows":
        write_arrow(read_staged(bad.file.path).slice(1), bad.file.path)
    else:
        rows = read_staged(bad.file.path)
        write_arrow(rows.append_column("colour", pa.nulls(rows.num_rows)), bad.file.path)
    with pytest.raises(SchemaMismatch):
        lake.apply([good, bad])
    assert lake.applied([1, 2]) == set()
    assert ask(lake, COUNT) == [(0, 0)]
    lake.apply([good])
    assert ask(lake, COUNT) == [(100, 100)]


def test_a_path_with_a_quote_is_a_path(lake, staged, ask, tmp_path):
    batch = staged(1)
    odd = batch.file.path.rename(tmp_path / "it's.arrow")
    file = StagedFile(odd, batch.file.rows, batch.file.bytes, batch.file.checksum)
    lake.apply([StagedBatch(1, CDX_RECORDS, file, None)])
    assert ask(lake, COUNT) == [(100, 100)]


def test_append_goes_past_the_ledger(lake, captures, ask):
    before = lake.snapshot()
    assert lake.append(CDX_RECORDS, captures(1000)) == before + 1
    assert ask(lake, COUNT) == [(1000, 1000)]
    assert lake.checkpoint().message_lsn is None
    with pytest.raises(SchemaMismatch, match="domain is missing"):
        lake.append(CDX_RECORDS, captures(3).drop_columns(["domain"]))


def test_info_counts_what_lies_there(lake, staged):
    lake.apply([staged(1, 2000)])
    snapshot = lake.apply([staged(2, 500)])
    info = lake.info()
    document = info.document()
    assert (info.snapshot_id, info.applied_batches, info.message_lsn) == (snapshot, 2, "0/20")
    assert info.snapshots == snapshot + 1
    captures_table = document["tables"][0]
    files = list(Path(info.path).rglob("*.parquet"))
    assert captures_table["name"] == "cdx_records"
    assert captures_table["rows"] == 2500
    assert captures_table["files"] == len([path for path in files if "cdx_records" in path.parts])
    assert captures_table["bytes"] == sum(path.stat().st_size for path in files)
    assert captures_table["layout"] == "bucket"
