"""What is opened to answer from changes nothing, needs no right to write, and waits for nobody who writes."""

import psycopg
import pytest

from chronolake.errors import EngineUnavailable, LakeMissing
from chronolake.ingest import IngestRequest
from chronolake.lake import Lake
from chronolake.lake.place import SETUP_LOCK
from chronolake.oltp import Database
from chronolake.query import Scope, freshness
from chronolake.services import open_reading, open_services

pytestmark = pytest.mark.anyio
EVERYTHING = Scope.everything()
CDX = " CDX N b a m s k r M S V g\n" + "".join(
    f"com,host)/{n} 20200102030405 http://host.com/{n} text/html 200 {'B' * 32} - - 1 {n} c.gz\n"
    for n in range(50)
)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def filled(make_settings, tmp_path):
    path = tmp_path / "sample.cdx"
    path.write_text(CDX)
    with open_services(make_settings()) as services:
        services.pipeline.ingest(IngestRequest(paths=(str(path),), project="news"))


async def test_where_there_is_no_lake_postgresql_answers_and_none_is_made(make_settings):
    settings = make_settings()
    with open_reading(settings) as stores:
        assert isinstance(stores.lake_error, LakeMissing)
        answer = await stores.router.ask("project_summary", {}, scope=EVERYTHING)
        assert answer.meta.engine == "postgres"
        assert answer.meta.reason == "PostgreSQL answers: this database has no lake yet"
        with pytest.raises(EngineUnavailable, match="no lake yet") as caught:
            await stores.router.sql("SELECT 1", scope=EVERYTHING)
        assert "chronolake ingest" in caught.value.hint
        with stores.database.connection() as conn:
            assert conn.execute("SELECT to_regnamespace('chronolake_lake')").fetchone() == (None,)
    assert not (settings.home.root / "lake").exists()


async def test_who_makes_the_lake_is_not_waited_for(make_settings, filled, database_url):
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [SETUP_LOCK])
        with open_reading(make_settings(CHRONOLAKE_LAKE_LOCK_TIMEOUT_S=0.1)) as stores:
            answer = await stores.router.ask("project_summary", {}, scope=EVERYTHING)
    assert (answer.meta.engine, answer.rows[0]["captures"]) == ("duckdb", 50)


async def test_a_role_that_may_only_read_is_answered(make_settings, filled, database_url):
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS analyst")
        conn.execute("CREATE ROLE analyst LOGIN")
        # As docs/database.md says.
        conn.execute("GRANT USAGE ON SCHEMA chronolake, chronolake_lake TO analyst")
        conn.execute("GRANT SELECT ON ALL TABLES IN SCHEMA chronolake, chronolake_lake TO analyst")
        conn.execute(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA chronolake, chronolake_lake GRANT SELECT ON TABLES TO analyst"
        )
    settings = make_settings(DATABASE_URL=database_url.replace("postgres@", "analyst@"))
    with open_reading(settings) as stores:
        answer = await stores.router.ask("project_summary", {}, scope=EVERYTHING)
        assert (answer.meta.engine, answer.rows[0]["captures"]) == ("duckdb", 50)
        counted = await stores.router.sql("SELECT count(*) AS n FROM cdx_records", scope=EVERYTHING)
        assert counted.rows == [{"n": 50}]
        assert stores.lake.info().applied_batches == 1
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP OWNED BY analyst")
        conn.execute("DROP ROLE analyst")


async def test_what_was_asked_reaches_the_lake_and_empties_no_cache(make_settings, filled):
    async def ask(stores):
        return (await stores.router.ask("project_summary", {}, scope=EVERYTHING)).meta

    with open_services(make_settings()) as services:
        assert not (await ask(services)).cached
    with open_services(make_settings()) as services:
        assert not (await ask(services)).cached
        snapshot_id = services.lake.snapshot()
        services.sync.reach()
        assert services.lake.snapshot() > snapshot_id
        assert (await ask(services)).cached
        asked = "SELECT question, reason, error_class FROM search_history"
        answer = await services.router.sql(asked, scope=EVERYTHING)
        assert {"question": "project_summary", "reason": "analytic", "error_class": None} in answer.rows


async def test_the_optimizer_works_by_itself_where_that_is_set(make_settings):
    def names(services):
        return [type(loop).__name__ for loop in services.loops]

    with open_services(make_settings()) as services:
        assert "OptimizerTending" not in names(services)
    with open_services(make_settings(CHRONOLAKE_OPTIMIZE="auto")) as services:
        assert "OptimizerTending" in names(services)


async def test_a_lake_that_was_made_anew_and_holds_nothing_yet_is_not_asked(
    make_settings, filled, database_url, tmp_path
):
    with Database.open(make_settings()) as database, database.connection() as conn:
        before = freshness.of_lake(conn).of_tables({"cdx_records"})
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP SCHEMA chronolake_lake CASCADE")
    elsewhere = make_settings(CHRONOLAKE_LAKE_PATH=str(tmp_path / "anew"))
    Lake.open(elsewhere, database_url).close()
    with open_reading(elsewhere) as stores:
        answer = await stores.router.ask("project_summary", {}, scope=EVERYTHING)
    assert (answer.meta.engine, answer.rows[0]["captures"]) == ("postgres", 50)
    assert "not followed" in answer.meta.reason
    with open_services(elsewhere) as services:
        services.sync.reach()
    with open_reading(elsewhere) as stores:
        assert (await stores.router.ask("project_summary", {}, scope=EVERYTHING)).meta.engine == "duckdb"
        with stores.database.connection() as conn:
            # Its snapshots may have the old one's numbers, and no answer of the old one is taken for its own.
            assert freshness.of_lake(conn).of_tables({"cdx_records"}).catalog != before.catalog
