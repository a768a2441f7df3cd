"""What is asked is written down beside the answers: late, bounded, and never at their cost."""

import asyncio
import json
import time

import psycopg
import pytest

from chronolake.errors import ParameterInvalid, SqlRefused
from chronolake.oltp import Database, query_plans
from chronolake.oltp.query_plans import Planned
from chronolake.query import HybridQueryRouter, Scope, search_history
from chronolake.telemetry import metrics

EVERYTHING = Scope.everything()
COLUMNS = "question, query_text, project_id, project_count, engine, reason, error_class, rows"


def counted(outcome):
    return metrics.SEARCHES.labels(outcome=outcome)._value.get()


@pytest.fixture
def written(database):
    """Rows of the history, oldest first; it is empty when the test begins."""
    with database.connection() as conn:
        conn.execute("TRUNCATE search_history")

    def _written(columns=COLUMNS):
        with database.connection() as conn:
            return conn.execute(f"SELECT {columns} FROM search_history ORDER BY id".encode()).fetchall()

    return _written


def test_every_question_and_every_sql_is_written_down(make_router, lake, filled, written):
    first, _ = filled
    router = make_router(lake)

    async def several():
        params = {"domain": "host-5.example", "interval": "year"}
        asked = [await router.ask("domain_timeline", params, scope=EVERYTHING) for _ in range(2)]
        asked.append(await router.ask("project_mime", {"project": "news"}, scope=EVERYTHING))
        asked.append(await router.ask("project_mime", {}, scope=Scope(frozenset(filled)), engine="postgres"))
        asked.append(await router.sql("SELECT 1 AS one", scope=EVERYTHING))
        asked.append(await router.sql("SELECT 1 AS one", scope=EVERYTHING, as_table=True))
        with pytest.raises(ParameterInvalid):
            await router.ask("domain_timeline", {"domain": "a\x00\ud800b"}, scope=EVERYTHING)
        with pytest.raises(SqlRefused):
            await router.sql("DROP TABLE \x00", scope=Scope(frozenset({first})))
        return [len(answer.rows) for answer in asked]

    timeline, again, of_project, of_both, _, _ = asyncio.run(several())
    router.close()
    rows = written()
    params = json.dumps({"domain": "host-5.example", "interval": "year"})
    assert rows[:6] == [
        ("domain_timeline", params, None, None, "duckdb", "analytic", None, timeline),
        ("domain_timeline", params, None, None, "duckdb", "cached", None, again),
        ("project_mime", '{"project": "news"}', first, 1, "duckdb", "analytic", None, of_project),
        ("project_mime", "{}", None, 2, "postgres", "asked", None, of_both),
        ("sql", "SELECT 1 AS one", None, None, "duckdb", "asked", None, 1),
        ("sql", "SELECT 1 AS one", None, None, "duckdb", "asked", None, 1),
    ]
    assert [row[2:] for row in rows[6:]] == [
        (None, None, None, None, "ParameterInvalid", None),
        (first, 1, None, None, "SqlRefused", None),
    ]
    assert rows[7][1] == "DROP TABLE \ufffd"
    assert all(0 < elapsed < 60_000 for (elapsed,) in written("elapsed_ms"))


def test_it_is_written_within_moments_while_others_ask(make_router, lake, filled, written):
    router = make_router(lake)
    for _ in range(3):
        asyncio.run(router.ask("project_mime", {}, scope=EVERYTHING))
    deadline = time.monotonic() + 20
    while len(written()) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(written()) == 3


def test_a_project_that_is_gone_keeps_no_other_question_from_being_written(
    make_router, lake, filled, written
):
    router = make_router(lake)
    asyncio.run(router.ask("project_mime", {}, scope=Scope(frozenset({987_654}))))
    asyncio.run(router.ask("project_mime", {}, scope=EVERYTHING))
    router.close()
    assert written("project_id, project_count") == [(None, 1), (None, None)]


def test_what_is_too_much_or_refused_is_counted_and_costs_no_answer(
    make_router, lake, filled, database, written, monkeypatch
):
    router = make_router(lake)
    with psycopg.connect(database.url) as conn:
        conn.execute("LOCK TABLE chronolake.search_history")
        monkeypatch.setattr("chronolake.oltp.searches.TIMEOUT_S", 0.2)
        monkeypatch.setattr(search_history, "QUEUE_SIZE", 2)
        before = counted("refused"), counted("crowded_out")
        started = time.perf_counter()
        for _ in range(20):
            asyncio.run(router.ask("project_mime", {}, scope=EVERYTHING))
        assert time.perf_counter() - started < 10
        router.close()
        lost = counted("refused") - before[0], counted("crowded_out") - before[1]
        assert sum(lost) == 20
        assert all(lost)
    assert written() == []


def test_who_may_only_read_is_answered_and_told_nothing(
    make_settings, lake, filled, database_url, written, capsys
):
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS reader")
        conn.execute("CREATE ROLE reader LOGIN")
        conn.execute("GRANT USAGE ON SCHEMA chronolake, chronolake_lake TO reader")
        conn.execute("GRANT SELECT ON ALL TABLES IN SCHEMA chronolake, chronolake_lake TO reader")
    refused = counted("refused")
    settings = make_settings(DATABASE_URL=database_url.replace("postgres@", "reader@"))
    with (
        Database.open(settings) as theirs,
        HybridQueryRouter(database=theirs, lake=lake, settings=settings) as router,
    ):
        answer = asyncio.run(router.ask("project_mime", {}, scope=EVERYTHING))
        assert answer.meta.engine == "duckdb"
    assert counted("refused") == refused + 1
    assert written() == []
    told = [line for line in capsys.readouterr().out.splitlines() if "search_history" in line]
    assert len(told) == 1
    assert "info" in told[0]
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP OWNED BY reader")
        conn.execute("DROP ROLE reader")


def old_rows(database, *ages_days):
    with database.connection() as conn:
        for age in ages_days:
            conn.execute(
                "INSERT INTO search_history (question, searched_at)"
                " VALUES (%s, now() AT TIME ZONE 'UTC' - %s * interval '1 day')",
                [f"{age} days", age],
            )


def test_old_questions_go_and_seldom(make_router, lake, filled, database, written):
    old_rows(database, 8, 7.01, 6.9)
    with database.connection() as conn:
        query_plans.keep(conn, Planned("s", "duckdb", "f", "project_mime", "project_mime", {}), 1.0)
        conn.execute("UPDATE query_plans SET last_at = last_at - interval '8 days'")
    router = make_router(lake, CHRONOLAKE_HISTORY_DAYS=7, CHRONOLAKE_PLAN_SHARE=0)
    asyncio.run(router.ask("project_mime", {}, scope=EVERYTHING))
    router.close()
    assert written("question") == [("6.9 days",), ("project_mime",)]
    with database.connection() as conn:
        assert conn.execute("SELECT count(*) FROM query_plans WHERE shape = 's'").fetchone() == (0,)
    # A few minutes too old: not worth the work yet.
    old_rows(database, 7.01)
    again = make_router(lake, CHRONOLAKE_HISTORY_DAYS=7)
    asyncio.run(again.ask("project_mime", {}, scope=EVERYTHING))
    again.close()
    assert ("7.01 days",) in written("question")


def test_where_none_is_kept_none_is_written_and_what_there_was_goes(
    make_router, lake, filled, database, written
):
    old_rows(database, 0.01, 3)
    router = make_router(lake, CHRONOLAKE_HISTORY_DAYS=0)
    asyncio.run(router.ask("project_mime", {}, scope=EVERYTHING))
    router.close()
    assert written() == []
