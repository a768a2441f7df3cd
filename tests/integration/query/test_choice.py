"""The cheaper engine answers, over real stores: what each choice needs, what it says, and what it learns."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chronolake.errors import EngineUnavailable
from chronolake.lake import StreamCheckpoint
from chronolake.lsn import parse_lsn
from chronolake.oltp import current_lsn
from chronolake.oltp.statistics import of_tables
from chronolake.query import QueryType, Scope
from chronolake.query import running as module
from chronolake.query.asked import Asked
from chronolake.query.cost import Estimate
from chronolake.query.freshness import Demand, of_lake
from chronolake.query.question import named
from chronolake.query.route import Engine, Reason, Route
from chronolake.query.scanned import of_question

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("filled", "analyzed")]
EVERYTHING = Scope.everything()
CHEAP = {"CHRONOLAKE_POSTGRES_CHEAP_ROWS": 100_000, "CHRONOLAKE_CACHE_BYTES": 0}
EFFICIENCY = {"project": "news"}


@pytest.fixture(scope="module")
def analyzed(database, filled):
    with database.connection() as conn:
        conn.execute("ANALYZE")


@pytest.fixture
def teach():
    """Let the router have seen runs that took so long."""

    def _teach(router, name, params, scope=EVERYTHING, **took_ms):
        chosen = router.route_query(QueryType.AGGREGATION, {})
        asked, _ = router._looked_up(Asked(named(name), params, scope, chosen, 0.0, None, Demand()))
        found = router._engines.weighing.estimates(asked.statement, asked.values, asked.fresh)
        for engine, ms in took_ms.items():
            for _ in range(8):
                router._engines.weighing.learned.note(name, Engine(engine), found[Engine(engine)], ms)

    return _teach


async def test_a_small_table_is_asked_of_postgresql_which_is_cheaper(make_router, lake):
    answer = await make_router(lake, **CHEAP).ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)
    assert (answer.meta.engine, answer.code) == ("postgres", Reason.CHEAPER)
    assert answer.meta.reason.startswith("cheaper: lake about ")
    assert "postgres about" in answer.meta.reason
    assert answer.meta.lag_s == 0.0
    by_lake = await make_router(lake).ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)
    assert (by_lake.meta.engine, by_lake.rows) == ("duckdb", answer.rows)


async def test_a_domain_with_few_rows_is_looked_up_and_all_captures_are_scanned(make_router, lake, teach):
    router = make_router(lake, **CHEAP | {"CHRONOLAKE_POSTGRES_CHEAP_ROWS": 500})
    few = await router.ask("coverage", {"domain": "host-3.example"}, scope=EVERYTHING)
    assert (few.meta.engine, few.code) == ("postgres", Reason.CHEAPER)
    # All captures are more rows than PostgreSQL is to look at, however cheap.
    every = await router.ask("source_status", {}, scope=EVERYTHING)
    assert (every.meta.engine, every.code) == ("duckdb", Reason.ANALYTIC)
    assert "lake about" in every.meta.reason


async def test_whoever_names_an_engine_has_it(make_router, lake):
    router = make_router(lake, **CHEAP)
    for engine in ("duckdb", "postgres"):
        answer = await router.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING, engine=engine)
        assert (answer.meta.engine, answer.code) == (engine, Reason.ASKED)


async def test_who_allows_a_lag_does_not_ask_postgresql_again(make_router, lake):
    router = make_router(lake, **CHEAP | {"CHRONOLAKE_CACHE_BYTES": 2**20})
    first, again = [
        await router.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING, max_lag_s=600) for _ in range(2)
    ]
    assert (first.code, again.code, again.meta.engine) == (Reason.CHEAPER, Reason.CACHED, "postgres")
    assert again.rows == first.rows
    assert again.meta.reason.startswith("PostgreSQL has answered this")
    # Whoever does not has its answer of now.
    assert (await router.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)).code is Reason.CHEAPER


async def test_what_runs_took_puts_the_choice_right(make_router, lake, teach):
    router = make_router(lake, **CHEAP)
    teach(router, "scraping_efficiency", EFFICIENCY, postgres=80.0, duckdb=6.0)
    answer = await router.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)
    assert (answer.meta.engine, answer.code) == ("duckdb", Reason.ANALYTIC)
    # The other way round, too, and the words tell what was learned.
    teach(router, "scraping_efficiency", EFFICIENCY, postgres=2.0, duckdb=400.0)
    answer = await router.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)
    assert (answer.meta.engine, answer.code) == ("postgres", Reason.CHEAPER)


async def test_every_run_teaches(make_router, lake, database):
    router = make_router(lake, **CHEAP)
    for engine in ("auto", "postgres"):
        await router.ask("languages", {}, scope=EVERYTHING, engine=engine)
    assert {key[:2] for key in router._engines.weighing.learned._records} == {("languages", Engine.POSTGRES)}
    # Shadow runs teach what the engine takes that was not chosen.
    with database.connection() as conn:
        ahead = parse_lsn(current_lsn(conn)) + 2**24
    now = datetime.now(UTC)
    lake.note_checkpoint(StreamCheckpoint("epoch", 1, ahead, now, now))
    shadowing = make_router(lake, **CHEAP | {"CHRONOLAKE_SHADOW_SHARE": 1})
    await shadowing.ask("languages", {}, scope=EVERYTHING)
    shadowing.close()
    assert {key[:2] for key in shadowing._engines.weighing.learned._records} == {
        ("languages", Engine.POSTGRES),
        ("languages", Engine.DUCKDB),
    }


async def test_a_busy_postgresql_gets_no_question_that_the_lake_can_answer(make_router, lake):
    router = make_router(lake, **CHEAP | {"CHRONOLAKE_POSTGRES_CONCURRENCY": 1})
    with router._engines.postgres_places.one(1):
        answer = await router.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)
        assert answer.meta.engine == "duckdb"
        # Nor does one wait that was on its way when the last place was taken.
        chosen = router.route_query(QueryType.AGGREGATION, {})
        late, _ = router._looked_up(
            Asked(named("scraping_efficiency"), EFFICIENCY, EVERYTHING, chosen, 0.0, None, Demand())
        )
        cheaper = Route(Engine.POSTGRES, "cheaper", Reason.CHEAPER)
        answer = router._answer(replace(late, chosen=cheaper))
        assert (answer.meta.engine, answer.code) == ("duckdb", Reason.POSTGRES_FAILED)
    answer = await router.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)
    assert answer.meta.engine == "postgres"


async def test_no_more_questions_run_in_postgresql_than_may(make_router, lake, monkeypatch):
    router = make_router(lake, **CHEAP | {"CHRONOLAKE_POSTGRES_CONCURRENCY": 2})
    lock, running, most = threading.Lock(), 0, 0
    run = module.run_postgres

    def counted(*args, **kwargs):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return run(*args, **kwargs)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(module, "run_postgres", counted)
    asked = [
        router.ask("top_domains", {"limit": n, "by": "urls"}, scope=EVERYTHING, engine="postgres")
        for n in range(1, 13)
    ]
    await asyncio.gather(*asked)
    assert 1 <= most <= 2


async def test_what_would_be_too_much_for_postgresql_is_refused_unless_it_is_named(make_router):
    router = make_router(None, CHRONOLAKE_POSTGRES_MOST_ROWS=1000)
    with pytest.raises(EngineUnavailable, match="would read about") as caught:
        await router.ask("source_status", {}, scope=EVERYTHING)
    assert "CHRONOLAKE_POSTGRES_MOST_ROWS" in caught.value.hint
    assert (await router.ask("languages", {"end": "1960"}, scope=EVERYTHING, engine="postgres")).rows == []
    small = await router.ask("coverage", {"domain": "host-3.example"}, scope=EVERYTHING)
    assert small.meta.engine == "postgres"
    named = await router.ask("source_status", {}, scope=EVERYTHING, engine="postgres")
    assert named.meta.engine == "postgres"


async def test_statistics_are_read_once_in_a_while(make_router, lake, monkeypatch):
    router = make_router(lake, **CHEAP)
    read = []
    monkeypatch.setattr(
        "chronolake.query.weighing.of_tables", lambda *args: read.append(1) or of_tables(*args)
    )
    for _ in range(5):
        await router.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)
    assert len(read) == 1


def test_estimates_are_near_what_is_there(make_router, lake, database, filled):
    router = make_router(lake, **CHEAP)
    with database.connection() as conn:
        rows = conn.execute("SELECT count(*) FROM cdx_records WHERE domain = 'host-3.example'").fetchone()[0]
        total = conn.execute("SELECT count(*) FROM cdx_records").fetchone()[0]
        fresh = of_lake(conn)
    coverage = of_question(named("coverage_gaps"), scoped=False)
    values = named("coverage_gaps").params(domain="host-3.example").model_dump()
    found = router._engines.weighing.estimates(coverage, values, fresh)
    assert found[Engine.POSTGRES].rows == pytest.approx(rows, rel=0.5)
    # So few captures lie in one file; the lake looks at all of it.
    assert found[Engine.DUCKDB].rows == total
    status = of_question(named("source_status"), scoped=False)
    found = router._engines.weighing.estimates(status, named("source_status").params().model_dump(), fresh)
    assert found[Engine.POSTGRES] == Estimate(
        pytest.approx(1.5 + total * 4e-4, rel=0.1), pytest.approx(total, rel=0.05)
    )
    assert found[Engine.DUCKDB].rows == total


async def test_a_process_that_begins_learns_from_what_was_asked(make_router, lake, database):
    with database.connection() as conn:
        # The module's rows were given their numbers by hand.
        conn.execute("SELECT setval(pg_get_serial_sequence('search_history', 'id'), 1000000)")
    router = make_router(lake, **CHEAP)
    params = {"domain": "host-6.example"}
    for engine in ("duckdb", "postgres"):
        await router.ask("changing_urls", params, scope=EVERYTHING, engine=engine)
    # What cannot be asked any more is passed over.
    with database.connection() as conn:
        conn.execute(
            "INSERT INTO search_history (question, query_text, engine, reason, elapsed_ms)"
            " VALUES ('gone', '{}', 'duckdb', 'analytic', 1), ('languages', 'no json', 'duckdb', 'analytic', 1),"
            " ('languages', '{\"limit\": 0}', 'postgres', 'cheaper', 1), ('languages', '[]', 'duckdb', 'asked', 1)"
        )
    router.close()
    later = make_router(lake, **CHEAP)
    await later.ask("scraping_efficiency", EFFICIENCY, scope=EVERYTHING)
    found = {key[:2] for key in later._engines.weighing.learned._records}
    assert {("changing_urls", Engine.DUCKDB), ("changing_urls", Engine.POSTGRES)} <= found
    assert not {name for name, _ in found} & {"gone", "sql"}
