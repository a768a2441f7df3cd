"""Every variable of the plan under its name and default, read, validated and told."""

from pathlib import Path
from uuid import UUID

import pytest

from chronolake import settings as settings_module
from chronolake.errors import Retry, SettingsError
from chronolake.settings import Layout, Settings, load, show

#: The plan's list of environment variables, as it writes them.
PLAN = {
    "DUCKDB_DATABASE_PATH": ("duckdb", "database_path", Path("/var/lib/duckdb/chrono_analytics.db")),
    "DUCKDB_MEMORY_LIMIT": ("duckdb", "memory_limit", 4_000_000_000),
    "DUCKDB_WORKER_THREADS": ("duckdb", "worker_threads", 4),
    "DUCKDB_ENABLE_S3": ("duckdb", "enable_s3", True),
    "PARQUET_COMPRESSION": ("parquet", "compression", "ZSTD"),
    "PARQUET_ROW_GROUP_SIZE": ("parquet", "row_group_size", 1_000_000),
    "PARQUET_PAGE_SIZE": ("parquet", "page_size", 1_048_576),
    "DATA_SYNC_BATCH_SIZE": ("sync", "batch_size", 10_000),
    "DATA_SYNC_INTERVAL": ("sync", "interval_s", 300),
    "ENABLE_DUAL_WRITE": ("sync", "dual_write", True),
}


def value_of(settings: Settings, variable: str):
    section, name, _ = PLAN[variable]
    return getattr(getattr(settings, section), name)


@pytest.mark.parametrize("variable", PLAN)
def test_the_plans_default(variable):
    assert value_of(load({}), variable) == PLAN[variable][2]


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("DUCKDB_DATABASE_PATH", "/tmp/x.db", Path("/tmp/x.db")),
        ("DUCKDB_MEMORY_LIMIT", "512MiB", 512 * 1024**2),
        ("DUCKDB_MEMORY_LIMIT", "1.5gb", 1_500_000_000),
        ("DUCKDB_MEMORY_LIMIT", "1000000", 1_000_000),
        ("DUCKDB_WORKER_THREADS", "2", 2),
        ("DUCKDB_ENABLE_S3", "false", False),
        ("PARQUET_COMPRESSION", "lz4", "LZ4"),
        ("PARQUET_ROW_GROUP_SIZE", "4096", 4096),
        ("PARQUET_PAGE_SIZE", "8192", 8192),
        ("DATA_SYNC_BATCH_SIZE", "7", 7),
        ("DATA_SYNC_INTERVAL", "0.5", 0.5),
        ("ENABLE_DUAL_WRITE", "false", False),
    ],
)
def test_the_environment_is_read(variable, text, expected):
    settings = load({variable: text})
    assert value_of(settings, variable) == expected
    assert settings.origins[variable] == "environment"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DUCKDB_MEMORY_LIMIT", "much"),
        ("DUCKDB_MEMORY_LIMIT", "0"),
        ("DUCKDB_WORKER_THREADS", "0"),
        ("DUCKDB_ENABLE_S3", "perhaps"),
        ("PARQUET_COMPRESSION", "GZIP"),
        ("PARQUET_ROW_GROUP_SIZE", "-1"),
        ("PARQUET_PAGE_SIZE", "1"),
        ("DATA_SYNC_BATCH_SIZE", "0"),
        ("DATA_SYNC_INTERVAL", "0"),
        ("ENABLE_DUAL_WRITE", "2"),
        ("CHRONOLAKE_LAKE_LAYOUT", "daily"),
        ("CHRONOLAKE_PORT", "70000"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_remedy(variable, text):
    with pytest.raises(SettingsError) as caught:
        load({variable: text})
    assert variable in caught.value.message
    assert text in caught.value.message
    assert caught.value.hint
    assert caught.value.retry is Retry.OPERATOR


def test_an_unknown_variable_of_ours_names_its_neighbour():
    with pytest.raises(SettingsError) as caught:
        load({"PARQUET_COMPRESION": "LZ4"})
    assert "PARQUET_COMPRESSION" in caught.value.hint


def test_other_programs_variables_do_not_concern_us():
    assert load({"PATH": "/bin", "PGHOST": "x"}) == load({})


def test_a_flag_overrules_the_environment_and_none_is_not_said():
    environment = {"CHRONOLAKE_PORT": "9000"}
    assert load(environment, CHRONOLAKE_PORT=9001).server.port == 9001
    assert load(environment, CHRONOLAKE_PORT=None).server.port == 9000
    assert load(environment, CHRONOLAKE_PORT=9001).origins == {"CHRONOLAKE_PORT": "flag"}


def test_an_empty_variable_is_not_said():
    assert load({"DATABASE_URL": "", "PARQUET_COMPRESSION": ""}) == load({})


def test_secrets_are_never_shown():
    secret = "postgresql://me:hunter2@db/archive"
    settings = load({"DATABASE_URL": secret, "REDIS_URL": "redis://:hunter2@cache"})
    assert "hunter2" not in repr(settings) + str(show(settings))
    with pytest.raises(SettingsError) as caught:
        load({"DATABASE_URL": "mysql://me:hunter2@db"})
    assert "hunter2" not in str(caught.value)


def test_show_tells_every_setting_with_its_origin():
    lines = {line.variable: line for line in show(load({"CHRONOLAKE_LAKE_LAYOUT": "none"}))}
    assert set(PLAN) | {"DATABASE_URL", "CHRONOLAKE_HOME", "REDIS_URL"} <= set(lines)
    assert (lines["CHRONOLAKE_LAKE_LAYOUT"].value, lines["CHRONOLAKE_LAKE_LAYOUT"].origin) == (
        "none",
        "environment",
    )
    assert lines["PARQUET_COMPRESSION"].origin == "default"
    assert all(line.meaning for line in lines.values())


def test_scratch_falls_back_to_the_home_only_at_its_default(tmp_path, monkeypatch):
    monkeypatch.setattr(settings_module, "_writable", lambda folder: False)
    home = {"CHRONOLAKE_HOME": str(tmp_path)}
    assert load(home).duckdb_scratch == tmp_path / "duckdb" / "chrono_analytics.db"
    said = load(home | {"DUCKDB_DATABASE_PATH": "/elsewhere/a.db"})
    assert said.duckdb_scratch == Path("/elsewhere/a.db")
    shown = {line.variable: line for line in show(load(home))}
    assert "cannot be written" in shown["DUCKDB_DATABASE_PATH"].origin


def test_the_home_holds_lake_and_staging_unless_told(tmp_path):
    settings = load({"CHRONOLAKE_HOME": str(tmp_path)})
    assert settings.lake_path is None
    assert settings.lakes == tmp_path / "lake"
    assert settings.staging(UUID(int=7)) == tmp_path / "staged" / "00000000-0000-0000-0000-000000000007"
    told = load({"CHRONOLAKE_LAKE_PATH": "s3://bucket/lake", "CHRONOLAKE_LAKE_LAYOUT": "year_month"})
    assert told.lake_path == "s3://bucket/lake"
    assert told.lake.layout is Layout.YEAR_MONTH


def test_a_lake_path_means_the_same_in_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load({"CHRONOLAKE_LAKE_PATH": "mine"}).lake_path == str(tmp_path / "mine")
    assert load({"CHRONOLAKE_LAKE_PATH": "~/mine"}).lake_path == str(Path.home() / "mine")


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load({}).server.port = 1
