"""The router over real stores: which engine, why, how fresh, and what happens when one is not there."""

import asyncio
import threading
from datetime import UTC, datetime

import psycopg
import pytest
import sqlglot

from chronolake.capture.columns import TABLES
from chronolake.errors import (
    EngineUnavailable,
    ParameterInvalid,
    QueryTimeout,
    QuestionUnknown,
    SnapshotExpired,
)
from chronolake.oltp import imports, ledger, projects
from chronolake.query import QueryType, Scope
from chronolake.query.scanned import of_tree
from chronolake.telemetry import metrics

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("filled")]
EVERYTHING = Scope.everything()


def promise(database, batch_id):
    """An import with a batch that the lake lacks."""
    with database.connection() as conn:
        project_id = projects.ensure(conn, "news")
        import_id = imports.begin(
            conn,
            project_id=project_id,
            paths=["x"],
            archive_source="local",
            psl_version="1",
            dual_write=True,
        )
        ledger.record(conn, ledger.LedgerBatch(batch_id, import_id, "cdx_records", "x.parquet", 1, 1, "00"))


@pytest.fixture
def forgotten(database):
    """What the test promises to the lake is forgotten afterwards."""
    yield
    with database.connection() as conn:
        conn.execute("TRUNCATE imports CASCADE")


async def test_the_lake_answers_by_default_and_says_so(make_router, lake):
    answer = await make_router(lake).ask("project_summary", {}, scope=EVERYTHING)
    meta = answer.meta
    assert (meta.engine, meta.cached) == ("duckdb", False)
    assert 0 <= meta.lag_s < 600
    assert "lake" in meta.reason
    assert "/" in meta.as_of_lsn
    assert abs((datetime.now(UTC) - meta.as_of).total_seconds()) < 600
    assert meta.elapsed_ms > 0
    assert meta.rows_read is None
    assert any("rows_read" in note for note in meta.notes)


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
async def test_an_engine_that_is_asked_for_answers(make_router, lake, engine):
    answer = await make_router(lake).ask("project_summary", {}, scope=EVERYTHING, engine=engine)
    assert answer.meta.engine == engine
    assert "asked for" in answer.meta.reason


async def test_an_unknown_engine_question_or_project_is_refused(make_router, lake, filled):
    router = make_router(lake)
    with pytest.raises(ParameterInvalid, match="spark"):
        await router.ask("project_summary", {}, scope=EVERYTHING, engine="spark")
    with pytest.raises(QuestionUnknown):
        await router.ask("project_sumary", {}, scope=EVERYTHING)
    for scope in (EVERYTHING, Scope(frozenset(filled[:1]))):
        with pytest.raises(ParameterInvalid, match="no project 'sports'"):
            await router.ask("project_summary", {"project": "sports"}, scope=scope)
    # A project that is out of scope is told from one that does not exist by nobody.
    with pytest.raises(ParameterInvalid, match="no project 'blogs'"):
        await router.ask("project_summary", {"project": "blogs"}, scope=Scope(frozenset(filled[:1])))


async def test_a_project_is_known_by_name_and_by_id(make_router, lake, filled):
    router = make_router(lake)
    by_name = await router.ask("project_summary", {"project": "blogs"}, scope=EVERYTHING)
    by_id = await router.ask("project_summary", {"project": filled[1]}, scope=EVERYTHING)
    assert by_name.rows == by_id.rows
    assert by_name.rows[0]["captures"] > 0


async def test_without_a_lake_postgresql_answers_and_says_why(make_router):
    missing = await make_router(None).ask("project_summary", {}, scope=EVERYTHING)
    assert missing.meta.engine == "postgres"
    assert "out of reach" in missing.meta.reason
    off = make_router(None, ANALYTICS_ENABLED=False)
    answer = await off.ask("project_summary", {}, scope=EVERYTHING)
    assert answer.meta.engine == "postgres"
    assert "ANALYTICS_ENABLED" in answer.meta.reason
    assert answer.meta.lag_s == 0.0
    with pytest.raises(EngineUnavailable):
        await off.ask("project_summary", {}, scope=EVERYTHING, engine="duckdb")
    with pytest.raises(EngineUnavailable):
        await off.sql("SELECT 1", scope=EVERYTHING)


async def test_lag_is_the_age_of_the_oldest_batch_that_the_lake_lacks(
    make_router, lake, database, forgotten, follow
):
    router = make_router(lake)
    promise(database, 1)
    promise(database, 2)
    with database.connection() as conn:
        conn.execute("UPDATE ledger SET staged_at = now() - interval '100 seconds' WHERE batch_id = 1")
        lsn = conn.execute("SELECT min(message_lsn)::text FROM ledger").fetchone()[0]
    meta = (await router.ask("project_summary", {}, scope=EVERYTHING)).meta
    assert 100 <= meta.lag_s < 700
    follow()
    meta = (await router.ask("project_summary", {}, scope=EVERYTHING)).meta
    assert meta.as_of_lsn == lsn
    assert (datetime.now(UTC) - meta.as_of).total_seconds() >= 100
    # PostgreSQL has it all.
    assert (await router.ask("project_summary", {}, scope=EVERYTHING, engine="postgres")).meta.lag_s == 0.0
    with database.connection() as conn:
        ledger.mark_applied(conn, [1, 2], 5)
    assert (await router.ask("project_summary", {}, scope=EVERYTHING)).meta.as_of_lsn != lsn


@pytest.fixture
def unfollowed(lake, filled):
    """A lake that has never followed PostgreSQL."""
    held = lake.stream_checkpoint()
    with lake._commits.reading() as conn:
        conn.execute("TRUNCATE chronolake_checkpoint")
    yield
    lake.note_checkpoint(held)


@pytest.mark.usefixtures("unfollowed")
async def test_lag_is_unknown_where_the_lake_has_never_followed(make_router, lake):
    router = make_router(lake)
    meta = (await router.ask("project_summary", {}, scope=EVERYTHING, engine="duckdb")).meta
    assert (meta.lag_s, meta.as_of_lsn, meta.as_of) == (None, None, None)
    assert any("not followed" in note for note in meta.notes)
    # Left to choose, the router does not give an answer that lacks nobody knows what.
    chosen = (await router.ask("project_summary", {}, scope=EVERYTHING)).meta
    assert (chosen.engine, chosen.lag_s) == ("postgres", 0.0)
    assert "incomplete" in chosen.reason


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
async def test_a_query_is_stopped_at_its_deadline_and_the_next_one_answers(
    make_router, lake, filled, engine, monkeypatch
):
    router = make_router(lake)
    # A product of every capture with every other and with a thousand numbers: no engine ends it in time.
    endless = "SELECT count(*) AS captures FROM cdx_records a, cdx_records b, cdx_records c WHERE a.url < b.url || c.url"
    monkeypatch.setattr("chronolake.query.running.written", lambda *_, **__: endless)
    over_files = of_tree(sqlglot.parse_one(endless, read="duckdb"), TABLES)
    monkeypatch.setattr("chronolake.query.asked.scanned.of_question", lambda *_, **__: over_files)
    hasty = make_router(lake, CHRONOLAKE_QUERY_TIMEOUT_S=0.5)
    with pytest.raises(QueryTimeout) as caught:
        await hasty.ask("project_summary", {}, scope=EVERYTHING, engine=engine)
    assert "0.5 s" in caught.value.message
    monkeypatch.undo()
    for each in (hasty, router):
        assert (
            await each.ask("captures_by_month", {"end": "1960"}, scope=EVERYTHING, engine=engine)
        ).rows == []


async def test_the_event_loop_turns_while_queries_run(make_router, lake, filled):
    router = make_router(lake, CHRONOLAKE_QUERY_CONCURRENCY=1)
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.ensure_future(turn())
    answers = await asyncio.gather(
        *(router.ask("top_domains", {"limit": n}, scope=EVERYTHING) for n in range(1, 9))
    )
    turning.cancel()
    assert [len(answer.rows) for answer in answers] == list(range(1, 9))
    assert turns > 100


async def test_many_ask_at_once_from_many_loops(make_router, lake, filled):
    router = make_router(lake)
    found, threads = [], []

    def ask(number):
        engine = ("duckdb", "postgres")[number % 2]
        answer = asyncio.run(router.ask("source_status", {}, scope=EVERYTHING, engine=engine))
        found.append(answer.rows)

    for number in range(8):
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert len(found) == 8
    assert all(rows == found[0] for rows in found)


async def test_a_question_costs_two_short_statements_beside_itself(
    make_router, lake, database, filled, monkeypatch
):
    router = make_router(lake)
    statements = []
    execute = psycopg.Cursor.execute

    def counted(self, query, *args, **kwargs):
        # What is asked is written down by a thread of its own, which nobody waits for.
        if threading.current_thread().name != "SearchHistory":
            statements.append(query)
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    await router.ask("captures_by_month", {}, scope=EVERYTHING)
    # The question itself goes to the lake. They tell how fresh that is, and which files and rollups it has.
    listing = ("ducklake_partition_column", "ducklake_data_file", "ducklake_column", "SELECT 1")
    short = [text for text in statements if text and not any(word in str(text) for word in listing)]
    assert len(short) == 2
    statements.clear()
    await router.ask("captures_by_month", {"interval": "year"}, scope=EVERYTHING)
    assert len([text for text in statements if text]) == 2
    statements.clear()
    await router.ask("captures_by_month", {}, scope=EVERYTHING, engine="postgres")
    assert len([text for text in statements if text]) == 2


async def test_answers_and_failures_are_counted(make_router, lake):
    router = make_router(lake)
    answered = {"question": "captures_by_month", "engine": "duckdb", "reason": "analytic"}
    failed = {"question": "captures_by_month", "error": "ParameterInvalid"}

    def counts():
        value = metrics.REGISTRY.get_sample_value
        return (
            value("chronolake_query_duration_seconds_count", answered) or 0,
            value("chronolake_query_failures_total", failed) or 0,
        )

    before = counts()
    await router.ask("captures_by_month", {}, scope=EVERYTHING)
    with pytest.raises(ParameterInvalid):
        await router.ask("captures_by_month", {"interval": "moon"}, scope=EVERYTHING)
    assert counts() == (before[0] + 1, before[1] + 1)


def test_the_plans_route_query(make_router, lake):
    router = make_router(lake)
    for kind in (QueryType.USER_AUTH, QueryType.PROJECT_CRUD, QueryType.REAL_TIME):
        assert router.route_query(kind, {}).engine == "postgres"
    for kind in (QueryType.ANALYTICS, QueryType.AGGREGATION, QueryType.TIME_SERIES):
        assert router.route_query(kind, {}).engine == "duckdb"
    assert router.route_query(QueryType.AGGREGATION, {"engine": "postgres"}).engine == "postgres"
    assert make_router(None).route_query(QueryType.AGGREGATION, {}).engine == "postgres"


async def test_a_past_state_is_asked_of_the_lake(make_router, lake, filled, append_again):
    router, narrow = make_router(lake), Scope(frozenset(filled[:1]))
    before = await router.ask("project_summary", {}, scope=EVERYTHING)
    before_narrow = await router.ask("project_summary", {}, scope=narrow)
    between = datetime.now(UTC)
    append_again()
    then = await router.ask("project_summary", {}, scope=EVERYTHING, as_of=between)
    assert then.rows == before.rows
    assert (then.meta.engine, then.meta.reason) == ("duckdb", "only the lake keeps past states")
    assert then.meta.as_of <= between
    assert then.meta.as_of_lsn is None
    scoped = await router.ask("project_summary", {}, scope=narrow, as_of=between.isoformat())
    assert scoped.rows == before_narrow.rows != before.rows
    now = await router.ask("project_summary", {}, scope=EVERYTHING, engine="duckdb")
    assert now.rows != before.rows


@pytest.mark.parametrize(
    ("as_of", "engine", "error"),
    [
        ("2020-01-01", "auto", SnapshotExpired),
        ("9999", "auto", ParameterInvalid),
        ("yesterday", "auto", ParameterInvalid),
        ("2020-01-01", "postgres", ParameterInvalid),
    ],
)
async def test_a_past_that_cannot_be_told_is_an_error(make_router, lake, as_of, engine, error):
    with pytest.raises(error):
        await make_router(lake).ask("project_summary", {}, scope=EVERYTHING, engine=engine, as_of=as_of)
    with pytest.raises((EngineUnavailable, ParameterInvalid)):
        await make_router(None).ask("project_summary", {}, scope=EVERYTHING, engine=engine, as_of=as_of)
