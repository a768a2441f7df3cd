"""What is read by a list of files is what DuckLake reads, in each snapshot; where it would not be, there is no list."""

import random
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS, PROJECTS
from chronolake.lake import Wanted, resident, scan
from chronolake.lake.changes import TableChanges
from chronolake.lake.compaction import Limits
from chronolake.lake.scan import unnoted
from chronolake.lake.stream_notes import StreamCheckpoint
from chronolake.query.freshness import of_lake

COLUMNS = ("id", "domain", "timestamp", "content_length")
SMALL = Limits(rows=4000, files=12, fan_in=3)


@pytest.fixture
def change(captures):
    lsn = iter(range(1, 1_000_000))

    def _change(lake, upserts=(), gone=()):
        rows = pa.concat_tables([captures(0), *(captures(1, first=number) for number in upserts)])
        numbers = np.array([[0, number] for number in [*upserts, *gone]], np.uint64).reshape(-1, 2)
        lake.apply_changes(
            [TableChanges(CDX_RECORDS, rows, numbers)],
            checkpoint=StreamCheckpoint("e", 1, next(lsn), datetime.now(UTC), datetime.now(UTC)),
        )

    return _change


def projects_of(count):
    columns = {
        "id": list(range(count)),
        "name": [f"p{n}" for n in range(count)],
        "created_at": [datetime.now(UTC)] * count,
    }
    return pa.table(columns, schema=PROJECTS.arrow_schema)


@pytest.fixture
def rows_by_files():
    """The rows of a domain, or all, by the list of files; null where there is none."""

    def _rows(lake, snapshot_id, domain=None, laid=unnoted):
        files = lake.files_of([Wanted("cdx_records", COLUMNS, domain)], snapshot_id, laid)
        if files is None:
            return None
        where = "" if domain is None else " WHERE domain = ?"
        with lake.file_cursor() as cursor:
            found = cursor.execute(
                f"SELECT {', '.join(COLUMNS)} FROM {files[0]} AS cdx_records{where}",
                [domain] if domain else [],
            )
            return sorted(found.fetchall())

    return _rows


@pytest.mark.parametrize("layout", ["bucket", "bucket_year", "year_month", "none"])
def test_lists_of_files_hold_what_the_lake_holds(
    open_lake, captures, change, ask, rows_by_files, database, layout
):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT=layout)
    lake.note_checkpoint(StreamCheckpoint("e", 1, 1, datetime.now(UTC), datetime.now(UTC)))
    chance = random.Random(layout)
    known, read = 0, 0
    for _ in range(18):
        match chance.choice(["append", "append", "change", "compact"]):
            case "append":
                count = chance.choice([1, 200, 11_000])
                lake.append(CDX_RECORDS, captures(count, first=known))
                known += count
            case "change":
                change(lake, chance.sample(range(known), min(known, 3)), range(known // 2, known // 2 + 2))
            case "compact":
                list(lake.compactor(SMALL).compact())
        with database.glance() as conn:
            fresh = of_lake(conn)
        snapshot_id = lake.snapshot()
        for domain in (None, "host-003.example", "no.example"):
            found = rows_by_files(lake, snapshot_id, domain, fresh.laid)
            if found is not None:
                read += 1
                where = "" if domain is None else f" WHERE domain = '{domain}'"
                assert found == sorted(ask(lake, f"SELECT {', '.join(COLUMNS)} FROM cdx_records{where}"))
    assert read > 12


def test_an_older_snapshot_has_its_own_list(lake, captures, rows_by_files, ask):
    lake.append(CDX_RECORDS, captures(100))
    before = lake.snapshot()
    lake.append(CDX_RECORDS, captures(100, first=100))
    assert len(rows_by_files(lake, lake.snapshot())) == 200
    assert len(rows_by_files(lake, before)) == 100


def test_the_catalog_is_asked_once_for_files_that_stay(lake, captures, database, monkeypatch):
    lake.note_checkpoint(StreamCheckpoint("e", 1, 1, datetime.now(UTC), datetime.now(UTC)))
    asked = []
    listed = scan._listed
    monkeypatch.setattr(scan, "_listed", lambda *given: asked.append(given[1]) or listed(*given))

    def files():
        with database.glance() as conn:
            fresh = of_lake(conn)
        (found,) = lake.files_of([Wanted("cdx_records", ("domain",))], fresh.snapshot_id, fresh.laid)
        return found

    for n in range(4):
        lake.append(CDX_RECORDS, captures(100, first=n * 100))
    before = files()
    lake.append(PROJECTS, projects_of(1))
    assert files() == before
    assert asked == ["cdx_records"]
    # The same rows in other files: the old ones will go.
    assert list(lake.compactor(Limits(fan_in=2)).compact())
    assert files() != before
    lake.append(CDX_RECORDS, captures(10, first=1000))
    assert files().count(".parquet") == 2
    assert asked == ["cdx_records"] * 3


def test_a_catalog_of_an_older_version_is_asked_for_each_snapshot(open_lake, captures, database):
    lake = open_lake()
    lake.note_checkpoint(StreamCheckpoint("e", 1, 1, datetime.now(UTC), datetime.now(UTC)))
    lake.append(CDX_RECORDS, captures(10))
    with database.connection() as conn:
        conn.execute("ALTER TABLE chronolake_lake.chronolake_changed DROP COLUMN laid_in")
        assert of_lake(conn).laid("cdx_records") is None
        assert of_lake(conn).of_tables(["cdx_records"]) is not None
    open_lake()
    with database.connection() as conn:
        assert of_lake(conn).laid("cdx_records") is not None


def test_a_domain_is_read_from_its_buckets_files_alone(lake, captures):
    lake.append(CDX_RECORDS, captures(20_000))
    (all_files,) = lake.files_of([Wanted("cdx_records", ("domain",))], lake.snapshot())
    (one,) = lake.files_of([Wanted("cdx_records", ("domain",), "host-003.example")], lake.snapshot())
    assert all_files.count(".parquet") == 16
    assert one.count(".parquet") == 1


def test_files_with_many_rows_of_which_some_are_deleted_are_left_to_ducklake(
    lake, captures, change, rows_by_files, monkeypatch
):
    for n in range(4):
        lake.append(CDX_RECORDS, captures(10, first=n * 10))
    change(lake, gone=[0, 1, 10])
    change(lake, gone=[12, 13, 29])
    assert len(rows_by_files(lake, lake.snapshot())) == 8 + 7 + 9 + 10
    monkeypatch.setattr(scan, "PATCHED_ROWS", 29)
    assert rows_by_files(lake, lake.snapshot()) is None


def test_files_older_than_a_column_are_left_to_ducklake(lake, captures):
    lake.append(CDX_RECORDS, captures(10))
    lake.evolve(["ALTER TABLE cdx_records ADD COLUMN more INTEGER"])
    snapshot_id = lake.snapshot()
    assert lake.files_of([Wanted("cdx_records", ("domain",))], snapshot_id)
    assert lake.files_of([Wanted("cdx_records", ("domain", "more"))], snapshot_id) is None
    assert lake.files_of([Wanted("cdx_records", ("domain", "never"))], snapshot_id) is None
    assert lake.files_of([Wanted("pages", ("url",))], snapshot_id) is None


def test_what_is_kept_in_memory_is_what_the_lake_holds(lake, captures, change, ask, database, monkeypatch):
    monkeypatch.setattr(resident, "LEAST_ASKED", 1)
    monkeypatch.setattr(resident, "LEAST_AGE_S", 0)
    lake.note_checkpoint(StreamCheckpoint("e", 1, 1, datetime.now(UTC), datetime.now(UTC)))
    chance = random.Random(1)
    known, in_memory = 0, 0
    for _ in range(20):
        match chance.choice(["append", "change", "compact"]):
            case "change" if known:
                change(lake, chance.sample(range(known), 3), range(known // 2, known // 2 + 2))
            case "compact":
                list(lake.compactor(SMALL).compact())
            case _:
                lake.append(CDX_RECORDS, captures(200, first=known))
                known += 200
        with database.glance() as conn:
            fresh = of_lake(conn)
        for _ in range(2):
            wanted = [Wanted("cdx_records", COLUMNS, "host-003.example")]
            with lake.lent(wanted, fresh.snapshot_id, fresh.laid) as relations:
                if relations is None:
                    continue
                with lake.file_cursor() as cursor:
                    found = cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {relations[0]}").fetchall()
                in_memory += "resident_" in relations[0]
            mine = sorted(row for row in found if row[1] == "host-003.example")
            where = "WHERE domain = 'host-003.example'"
            assert mine == sorted(ask(lake, f"SELECT {', '.join(COLUMNS)} FROM cdx_records {where}"))
            lake._residents.wait()
    assert in_memory > 8
