"""What breaks is named, hides its secrets, and leaves the lake usable."""

import uuid
from pathlib import Path

import psycopg
import pytest

from chronolake.errors import LakeBusy, LakeError, LakeUnavailable, StorageFull
from chronolake.lake import Lake
from chronolake.lake.place import SETUP_LOCK

COUNT = "SELECT count(*) FROM cdx_records"


@pytest.fixture
def cut(database):
    """Terminate every connection that the lake has to its catalog; returns how many."""

    def _cut():
        with psycopg.connect(database.url, autocommit=True) as conn:
            return len(
                conn.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                    " WHERE application_name = 'chronolake lake' AND datname = current_database()"
                ).fetchall()
            )

    return _cut


def test_a_query_after_the_catalog_was_lost_works(lake, staged, ask, cut):
    lake.apply([staged(1)])
    assert cut() > 0
    assert ask(lake, COUNT) == [(100,)]
    assert lake.checkpoint().message_lsn == "0/10"


def test_an_apply_after_the_catalog_was_lost_works(lake, staged, ask, cut):
    lake.apply([staged(1)])
    assert cut() > 0
    lake.apply([staged(2)])
    assert ask(lake, COUNT) == [(200,)]


def test_a_catalog_lost_within_the_transaction_leaves_nothing(lake, staged, ask, cut, monkeypatch):
    lake.apply([staged(1)])
    monkeypatch.setattr("chronolake.lake.lake.faults.reach", lambda point: cut())
    with pytest.raises(LakeUnavailable):
        lake.apply([staged(2)])
    monkeypatch.undo()
    assert lake.applied([1, 2]) == {1}
    lake.apply([staged(2)])
    assert ask(lake, COUNT) == [(200,)]


def test_a_catalog_that_cannot_be_reached_is_named_without_its_password(make_settings):
    with pytest.raises(LakeUnavailable) as caught:
        Lake.open(make_settings(), "postgresql://me:s3cr3t@127.0.0.1:1/archive")
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_read_only_attach_hides_the_password_too(make_settings):
    with pytest.raises(LakeUnavailable) as caught:
        Lake.open(make_settings(), "postgresql://me:s3cr3t@127.0.0.1:1/archive", read_only=True)
    assert "s3cr3t" not in str(caught.value)


def test_an_address_that_is_none_is_named(make_settings):
    with pytest.raises(LakeUnavailable):
        Lake.open(make_settings(), "postgresql://[", read_only=True)


def test_a_lake_that_lies_elsewhere_is_named(open_lake, tmp_path):
    home = open_lake().info().path
    with pytest.raises(LakeUnavailable, match=home):
        open_lake(CHRONOLAKE_LAKE_PATH=str(tmp_path / "elsewhere"))


def test_a_folder_that_cannot_be_made_is_named(open_lake, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeUnavailable) as caught:
        open_lake(CHRONOLAKE_LAKE_PATH=str(tmp_path / "file" / "lake"))
    assert "CHRONOLAKE_LAKE_PATH" in caught.value.hint


def test_s3_needs_its_setting(open_lake):
    with pytest.raises(LakeUnavailable, match="DUCKDB_ENABLE_S3"):
        open_lake(CHRONOLAKE_LAKE_PATH="s3://bucket/lake", DUCKDB_ENABLE_S3=False)


def test_a_process_that_makes_the_lake_for_too_long_is_not_waited_for(open_lake, database):
    with psycopg.connect(database.url, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [SETUP_LOCK])
        with pytest.raises(LakeBusy):
            open_lake(CHRONOLAKE_LAKE_LOCK_TIMEOUT_S=0.1)
    assert open_lake().snapshot() > 0


def test_a_full_disk_is_named_and_nothing_is_applied(open_lake, staged, ask, monkeypatch):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="none")
    lake.apply([staged(1)])
    folder = Path(lake.info().path) / "main" / "cdx_records"
    before = sorted(folder.iterdir())
    # Every write to this device fails as on a full disk, and the next file is to be that device.
    name = uuid.uuid4()
    (folder / f"chronolake-{name}.parquet").symlink_to("/dev/full")
    monkeypatch.setattr("chronolake.lake.files.uuid.uuid4", lambda: name)
    with pytest.raises(StorageFull):
        lake.apply([staged(2)])
    monkeypatch.undo()
    assert sorted(folder.iterdir()) == before
    assert lake.applied([2]) == set()
    lake.apply([staged(2)])
    assert ask(lake, COUNT) == [(200,)]


def test_a_full_disk_under_duckdb_is_named_too(lake):
    with pytest.raises(StorageFull), lake.errors_translated(), lake.cursor() as cursor:
        cursor.execute("COPY (SELECT * FROM range(1000000)) TO '/dev/full' (FORMAT csv, USE_TMP_FILE false)")


def test_memory_that_runs_out_names_its_setting(open_lake):
    lake = open_lake(DUCKDB_MEMORY_LIMIT="100MiB")
    with pytest.raises(LakeError) as caught, lake.errors_translated(), lake.cursor() as cursor:
        cursor.execute("SELECT list(i) FROM range(100000000) t(i)").fetchall()
    assert "DUCKDB_MEMORY_LIMIT" in caught.value.hint


def test_closing_twice_is_safe_and_removes_what_was_spilled(open_lake, make_settings, staged):
    lake = open_lake()
    lake.apply([staged(1)])
    lake.sandbox().close()
    lake.close()
    lake.close()
    scratch = make_settings().duckdb_scratch
    assert list(scratch.with_name(scratch.name + ".tmp").iterdir()) == []


def test_a_home_that_was_moved_is_told_where_its_lake_was(open_lake, tmp_path):
    before = open_lake().path
    with pytest.raises(LakeUnavailable, match=before) as caught:
        open_lake(CHRONOLAKE_HOME=str(tmp_path / "moved"))
    assert f"CHRONOLAKE_LAKE_PATH={before}" in caught.value.hint
