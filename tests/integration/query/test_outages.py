"""An engine that is really broken: who answers instead, what is said, and that it is asked again once it is back."""

import asyncio
import time
from contextlib import contextmanager

import psycopg
import pytest

from chronolake.errors import EngineUnavailable, LakeUnavailable, SqlRefused
from chronolake.lake import Lake
from chronolake.oltp import Database
from chronolake.query import HybridQueryRouter, Scope
from chronolake.query.route import Reason
from chronolake.telemetry import metrics

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("filled")]
EVERYTHING = Scope.everything()
HASTY = {
    "CHRONOLAKE_ENGINE_FAILURES": 2,
    "CHRONOLAKE_ENGINE_PAUSE_S": 0.3,
    "CHRONOLAKE_CACHE_BYTES": 0,
}


def state(engine):
    return metrics.REGISTRY.get_sample_value("chronolake_engine_breaker_state", {"engine": engine})


async def until_back(router, name, params, engine):
    """Ask until that engine answers again; how often another did."""
    deadline, others = time.monotonic() + 30, 0
    while time.monotonic() < deadline:
        try:
            answer = await router.ask(name, params, scope=EVERYTHING)
        except EngineUnavailable:
            # Nothing but the pauses passes here.
            await asyncio.sleep(0.01)
            continue
        if answer.meta.engine == engine and answer.code is Reason.ANALYTIC:
            return others
        others += 1
    raise AssertionError(f"{engine} is not asked again")


@pytest.fixture(scope="module")
def lake(database, make_settings):
    """One that keeps no table in memory: from there a lake whose files are broken still answers."""
    with Lake.open(make_settings(CHRONOLAKE_LAKE_RESIDENT_BYTES=0), database.url) as opened:
        yield opened


@pytest.fixture
def broken_lake(make_settings):
    """Break every file of the lake, and mend them at the end of the block."""

    @contextmanager
    def _broken(how):
        files = list((make_settings().home.root / "lake").rglob("*.parquet"))
        assert files
        kept = {file: file.read_bytes() for file in files}
        for file in files:
            how(file)
        try:
            yield
        finally:
            for file, data in kept.items():
                if file.is_dir():
                    file.rmdir()
                file.write_bytes(data)

    return _broken


def _no_file(file):
    file.unlink()
    file.mkdir()


BREAKS = {
    "removed": lambda file: file.unlink(),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "no file": _no_file,
}


@pytest.mark.parametrize("how", BREAKS.values(), ids=BREAKS)
async def test_a_broken_lake_is_let_alone_and_asked_again_once_it_is_whole(
    make_router, lake, broken_lake, how
):
    router = make_router(lake, **HASTY | {"CHRONOLAKE_ENGINE_PAUSE_S": 1.0})
    whole = await router.ask("captures_by_month", {}, scope=EVERYTHING)
    trips = metrics.ENGINE_TRIPS.labels(engine="duckdb")._value.get()
    with broken_lake(how):
        codes = []
        for interval in ("day", "week", "quarter"):
            answer = await router.ask("captures_by_month", {"interval": interval}, scope=EVERYTHING)
            assert answer.meta.engine == "postgres"
            codes.append(answer.code)
        # Twice it was tried and failed; the third question did not wait for it.
        assert codes == [Reason.LAKE_FAILED, Reason.LAKE_FAILED, Reason.LAKE_RESTS]
        assert "let alone" in answer.meta.reason
        assert state("duckdb") == 2
        with pytest.raises(EngineUnavailable) as caught:
            await router.ask("captures_by_month", {}, scope=EVERYTHING, engine="duckdb")
        assert caught.value.facts["retry_after_s"] >= 1
        with pytest.raises(EngineUnavailable):
            await router.sql("SELECT count(*) FROM cdx_records", scope=EVERYTHING)
    assert await until_back(router, "captures_by_month", {}, "duckdb") >= 0
    assert state("duckdb") == 0
    assert metrics.ENGINE_TRIPS.labels(engine="duckdb")._value.get() >= trips + 1
    assert (await router.ask("captures_by_month", {}, scope=EVERYTHING)).rows == whole.rows


async def test_what_is_wrong_with_a_question_lets_nobody_alone(make_router, lake):
    router = make_router(lake, **HASTY | {"CHRONOLAKE_ENGINE_FAILURES": 1})
    for _ in range(3):
        with pytest.raises(SqlRefused, match="no_such"):
            await router.sql("SELECT no_such FROM cdx_records", scope=EVERYTHING)
    answer = await router.ask("captures_by_month", {}, scope=EVERYTHING)
    assert (answer.meta.engine, state("duckdb") or 0) == ("duckdb", 0)


@pytest.fixture
def dead_postgres(server, database_url):
    """Let nobody into the database, and throw out whoever is in it."""
    name = database_url.split("@/")[1].split("?")[0]

    @contextmanager
    def _dead():
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            conn.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            try:
                yield
            finally:
                conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    return _dead


@pytest.fixture
def impatient(make_settings, lake):
    """A router with a pool of its own that waits for no connection for long."""
    # What is asked is not written down, so that nothing else wants a connection; a pause that no question outlasts.
    settings = make_settings(
        CHRONOLAKE_DB_CONNECT_TIMEOUT_S=0.3,
        CHRONOLAKE_HISTORY_DAYS=0,
        **HASTY | {"CHRONOLAKE_ENGINE_PAUSE_S": 3.0},
    )
    with (
        Database.open(settings) as database,
        HybridQueryRouter(database=database, lake=lake, settings=settings) as router,
    ):
        yield router


async def test_while_postgresql_is_dead_the_lake_answers_as_it_was_known(impatient, dead_postgres):
    router = impatient
    before = await router.ask("captures_by_month", {"project": "news"}, scope=EVERYTHING)
    with dead_postgres():
        answer = await router.ask("captures_by_month", {"project": "news"}, scope=EVERYTHING)
        assert (answer.meta.engine, answer.code) == ("duckdb", Reason.POSTGRES_FAILED)
        assert answer.rows == before.rows
        assert "s behind" in answer.meta.reason
        assert answer.meta.lag_s > 0
        assert answer.meta.as_of_lsn == before.meta.as_of_lsn
        await router.ask("captures_by_month", {"project": "news"}, scope=EVERYTHING)
        assert state("postgres") == 2
        wanted = router._database._pool.get_stats()["requests_num"]
        answer = await router.ask("captures_by_month", {"project": "news"}, scope=EVERYTHING)
        # Nobody waits for a connection any more.
        assert router._database._pool.get_stats()["requests_num"] == wanted
        assert "let alone" in answer.meta.reason
        # What has to be fresh is not answered from what was.
        for demand in ({"max_lag_s": 0}, {"min_lsn": "FFFF/FFFFFFFF"}):
            with pytest.raises(EngineUnavailable, match="neither engine"):
                await router.ask("captures_by_month", {}, scope=EVERYTHING, **demand)
        # Nor what nobody looked at before: which files hold it, only the catalog knows.
        with pytest.raises(EngineUnavailable, match="neither engine") as caught:
            await router.ask("languages", {}, scope=EVERYTHING)
        assert caught.value.facts["retry_after_s"] >= 1
        assert caught.value.hint
    assert await until_back(router, "captures_by_month", {"project": "news"}, "duckdb") >= 0
    assert state("postgres") == 0


async def test_where_both_are_broken_the_error_says_so_and_when_to_come_again(
    impatient, dead_postgres, broken_lake
):
    await impatient.ask("captures_by_month", {}, scope=EVERYTHING)
    with broken_lake(BREAKS["removed"]), dead_postgres():
        for _ in range(3):
            with pytest.raises(EngineUnavailable, match="neither engine can answer") as caught:
                await impatient.ask("captures_by_month", {"interval": "day"}, scope=EVERYTHING)
        assert caught.value.facts["retry_after_s"] >= 1
        with pytest.raises((EngineUnavailable, LakeUnavailable)):
            await impatient.ask("captures_by_month", {}, scope=EVERYTHING, engine="duckdb")
    await until_back(impatient, "captures_by_month", {}, "duckdb")


async def test_a_catalog_that_is_out_of_reach_is_stood_in_for(make_router, lake, database):
    router = make_router(lake, **HASTY)
    with database.connection() as conn:
        conn.execute("ALTER SCHEMA chronolake_lake RENAME TO chronolake_elsewhere")
    try:
        answers = [
            await router.ask("captures_by_month", {"interval": interval}, scope=EVERYTHING)
            for interval in ("day", "week", "quarter")
        ]
        assert {answer.meta.engine for answer in answers} == {"postgres"}
    finally:
        with database.connection() as conn:
            conn.execute("ALTER SCHEMA chronolake_elsewhere RENAME TO chronolake_lake")
    await until_back(router, "captures_by_month", {}, "duckdb")
