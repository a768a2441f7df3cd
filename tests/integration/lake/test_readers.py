"""Several cursors, several processes, and SQL that others wrote."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from chronolake.errors import LakeUnavailable

COUNT = "SELECT count(*) FROM cdx_records"

#: A process that reads the lake each time it is told to.
READER = """
import sys
from chronolake.lake import Lake
from chronolake.settings import load

with Lake.open(load({"CHRONOLAKE_HOME": sys.argv[1]}), sys.argv[2], read_only=True) as lake:
    for _ in sys.stdin:
        with lake.cursor() as cursor:
            print(cursor.execute("SELECT count(*) FROM cdx_records").fetchone()[0], flush=True)
"""


@pytest.fixture
def reader(make_settings, database):
    """Another process with the lake open for reading; calling it counts the captures there."""
    command = [sys.executable, "-c", READER, str(make_settings().home.root), database.url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def count():
        process.stdin.write("\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    yield count
    process.communicate()
    assert process.returncode == 0


def test_another_process_sees_each_commit_and_nothing_else(lake, staged, reader, monkeypatch):
    lake.apply([staged(1)])
    assert reader() == 100
    seen = []
    # Within the open transaction, just before it commits.
    monkeypatch.setattr("chronolake.lake.lake.faults.reach", lambda point: seen.append((point, reader())))
    lake.apply([staged(2), staged(3)])
    assert seen == [
        ("lake.files_written", 100),
        ("lake.before_commit", 100),
        ("lake.after_commit", 300),
    ]


def test_a_read_only_lake_writes_nothing(open_lake, lake, staged, ask):
    readonly = open_lake(read_only=True)
    with pytest.raises(LakeUnavailable, match="reading only"):
        readonly.apply([staged(1)])
    lake.apply([staged(1)])
    assert ask(readonly, COUNT) == [(100,)]
    assert readonly.snapshot() == lake.snapshot()
    assert readonly.info().tables == lake.info().tables


def test_a_read_only_lake_is_not_made(open_lake):
    with pytest.raises(LakeUnavailable):
        open_lake(read_only=True)


def test_two_openers_make_one_lake(open_lake, staged, ask):
    with ThreadPoolExecutor(4) as pool:
        lakes = list(pool.map(lambda _: open_lake(), range(4)))
    lakes[0].apply([staged(1)])
    assert [ask(lake, COUNT) for lake in lakes] == [[(100,)]] * 4


def test_threads_query_and_write_at_the_same_time(lake, staged, ask):
    batches = [staged(number) for number in range(1, 5)]
    with ThreadPoolExecutor(6) as pool:
        writes = [pool.submit(lake.apply, [batch]) for batch in batches]
        reads = [pool.submit(ask, lake, COUNT) for _ in range(8)]
        assert all(read.result()[0][0] % 100 == 0 for read in reads)
        assert len({write.result() for write in writes}) <= 4
    assert ask(lake, COUNT) == [(400,)]


def test_the_sandbox_answers_what_the_lake_answers(lake, staged):
    with lake.sandbox() as cursor:
        assert cursor.execute(COUNT).fetchone() == (0,)
    lake.apply([staged(1)])
    with lake.sandbox() as one, lake.sandbox() as other:
        assert one.execute(COUNT).fetchone() == other.execute(COUNT).fetchone() == (100,)
        assert one.execute("SELECT count(*) FROM content_analytics").fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '/tmp/chronolake-sandbox.csv'",
        "ATTACH '/tmp/chronolake-sandbox.db'",
        "ATTACH ':memory:' AS more (TYPE nowhere)",
        "INSTALL spatial",
        "LOAD spatial",
        "INSERT INTO cdx_records (url) VALUES ('x')",
        "DELETE FROM cdx_records",
        "DROP TABLE cdx_records",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET threads = 64",
        "SET memory_limit = '64GB'",
    ],
)
def test_the_sandbox_refuses(lake, staged, ask, statement):
    lake.apply([staged(1)])
    with lake.sandbox() as cursor, pytest.raises(duckdb.Error):
        cursor.execute(statement)
    assert ask(lake, COUNT) == [(100,)]


def test_the_sandbox_has_a_share_of_the_memory(open_lake):
    lake = open_lake(DUCKDB_MEMORY_LIMIT="400MiB")
    with lake.sandbox() as cursor:
        assert cursor.execute("SELECT current_setting('memory_limit')").fetchone() == ("100.0 MiB",)
        assert cursor.execute("SELECT current_setting('max_temp_directory_size')").fetchone() == ("9.3 GiB",)
