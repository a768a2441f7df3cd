"""The engine: every DUCKDB_* setting has its effect, and nothing is downloaded or left behind."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from chronolake import priority
from chronolake.errors import LakeUnavailable
from chronolake.lake.engine import Engine, extension_path
from chronolake.settings import load


def settings_in(folder, **variables):
    return load({"CHRONOLAKE_HOME": str(folder), **{name: str(value) for name, value in variables.items()}})


@pytest.fixture
def ask(tmp_path):
    """Start an engine with settings, ask one question, close it."""

    def _ask(sql, **variables):
        engine = Engine.open(settings_in(tmp_path, **variables))
        try:
            with engine.cursor() as cursor:
                return cursor.execute(sql).fetchone()[0]
        finally:
            engine.close()

    return _ask


def test_memory_limit(ask):
    assert ask("SELECT current_setting('memory_limit')", DUCKDB_MEMORY_LIMIT="100MiB") == "100.0 MiB"


def test_worker_threads(ask):
    assert ask("SELECT current_setting('threads')", DUCKDB_WORKER_THREADS=3) == 3
    assert ask("SELECT current_setting('threads')") == min(4, os.cpu_count())


@pytest.mark.parametrize(("enabled", "loaded"), [("true", True), ("false", False)])
def test_enable_s3_loads_httpfs(ask, enabled, loaded):
    sql = "SELECT loaded FROM duckdb_extensions() WHERE extension_name = 'httpfs'"
    assert ask(sql, DUCKDB_ENABLE_S3=enabled) is loaded


def test_database_path_is_where_it_spills(ask, tmp_path):
    path = tmp_path / "scratch" / "engine.db"
    spill = ask("SELECT current_setting('temp_directory')", DUCKDB_DATABASE_PATH=path)
    assert spill.startswith(f"{path}.tmp/{os.getpid()}-")


def test_a_query_larger_than_memory_spills_there_and_leaves_nothing(tmp_path):
    path = tmp_path / "scratch" / "engine.db"
    engine = Engine.open(
        settings_in(tmp_path, DUCKDB_DATABASE_PATH=path, DUCKDB_MEMORY_LIMIT="60MB", DUCKDB_WORKER_THREADS=1)
    )
    folder = path.with_name("engine.db.tmp")
    with engine.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE wide AS SELECT i, md5(i::VARCHAR) AS text FROM range(3000000) t(i)")
        assert list(folder.glob("*/*.tmp"))
    engine.close()
    assert list(folder.iterdir()) == []


def test_a_path_that_cannot_be_made_names_its_setting(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeUnavailable) as caught:
        Engine.open(settings_in(tmp_path, DUCKDB_DATABASE_PATH=tmp_path / "file" / "engine.db"))
    assert "DUCKDB_DATABASE_PATH" in caught.value.hint


def test_what_a_dead_process_spilled_is_removed_and_what_a_living_one_has_is_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = tmp_path / "engine.db.tmp"
    for name in (f"{dead.pid}-1", f"{os.getppid()}-1", "not-ours"):
        (folder / name).mkdir(parents=True)
    Engine.open(settings_in(tmp_path, DUCKDB_DATABASE_PATH=tmp_path / "engine.db")).close()
    assert {path.name for path in folder.iterdir()} == {f"{os.getppid()}-1", "not-ours"}


def test_time_is_utc_and_unsigned_or_downloaded_extensions_are_refused(ask):
    assert ask("SELECT current_setting('TimeZone')") == "UTC"
    assert ask("SELECT current_setting('allow_unsigned_extensions')") is False
    assert ask("SELECT current_setting('autoinstall_known_extensions')") is False
    with pytest.raises(duckdb.Error, match="fts"):
        ask("LOAD fts")


def test_an_extension_that_is_not_installed_names_its_wheel():
    with pytest.raises(LakeUnavailable) as caught:
        extension_path("no_such_thing")
    assert caught.value.hint == f"Install duckdb-extension-no-such-thing=={duckdb.__version__}"


def test_what_is_missing_is_not_looked_for_at_each_statement(tmp_path):
    engine = Engine.open(settings_in(tmp_path))

    class Finder:
        def find_spec(self, name, *_):
            looked_for.append(name)

    looked_for, finder = [], Finder()
    with engine.cursor() as cursor:
        cursor.execute("SELECT $a", {"a": 1}).fetchall()
        sys.meta_path.insert(0, finder)
        try:
            cursor.execute("SELECT $a", {"a": 1}).fetchall()
        finally:
            sys.meta_path.remove(finder)
    engine.close()
    assert looked_for == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has priorities of threads")
def test_the_threads_of_one_in_the_background_give_way(tmp_path):
    def nice_threads():
        tasks = [task.joinpath("stat").read_text() for task in Path("/proc/self/task").iterdir()]
        # The name in parentheses is the second field, `nice` the 19th.
        return sum(int(told.rpartition(")")[2].split()[16]) >= priority.NICENESS for told in tasks)

    before = nice_threads()
    engine = Engine.open_in_background(settings_in(tmp_path, DUCKDB_WORKER_THREADS=3), memory_share=0.5)
    try:
        # The third is whoever asks.
        assert nice_threads() - before >= 2
        with engine.cursor() as cursor:
            assert cursor.execute("SELECT current_setting('threads')").fetchone() == (3,)
    finally:
        engine.close()
