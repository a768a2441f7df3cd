"""How questions are answered is looked at beside the answers, kept, and told where it has become slower."""

import asyncio
import threading
import time

import pytest

from chronolake.errors import EngineUnavailable, QuestionUnknown
from chronolake.oltp import query_plans
from chronolake.oltp.query_plans import Planned
from chronolake.query import Engine, QueryOptimizer, Scope
from chronolake.query.explain import Step, capture, fingerprint
from chronolake.telemetry import metrics

EVERYTHING = Scope.everything()
TIMELINE = {"domain": "host-5.example", "interval": "year"}
ALL = {"CHRONOLAKE_PLAN_SHARE": 1, "CHRONOLAKE_PLANS_PER_MINUTE": 6000, "CHRONOLAKE_CACHE_BYTES": 0}


@pytest.fixture(autouse=True)
def no_plans(database):
    with database.connection() as conn:
        conn.execute("TRUNCATE query_plans CASCADE")


@pytest.fixture
def optimizer(database, lake, make_settings):
    return QueryOptimizer(database=database, lake=lake, settings=make_settings())


@pytest.fixture
def outcomes():
    """What came of looks since the test began."""

    def counted():
        return {
            outcome.value: metrics.PLANS.labels(outcome=outcome.value)._value.get()
            for outcome in capture.Looked
        }

    before = counted()
    return lambda: {name: n - before[name] for name, n in counted().items() if n != before[name]}


@pytest.fixture
def asks(make_router, lake, filled):
    """Ask by a router whose looks are done when it returns."""

    def _asks(*asked, through=lake, **variables):
        router = make_router(through, **{**ALL, **variables})

        async def all_of_them():
            return [
                await (
                    router.sql(one, scope=EVERYTHING)
                    if isinstance(one, str)
                    else router.ask(*one[:2], **one[2])
                )
                for one in asked
            ]

        answers = asyncio.run(all_of_them())
        # What waits is looked at, too.
        router._plans._worker.shutdown()
        router.close()
        return answers

    return _asks


def question(name, scope=EVERYTHING, engine="auto", **params):
    return name, params, {"scope": scope, "engine": engine}


def tables(plan):
    return {step.table for step in Step.of_document(plan.planned.steps).walk()} - {None}


def test_the_engine_that_answered_tells_how(asks, optimizer, filled, outcomes):
    some = Scope(frozenset(filled))
    asks(
        question("domain_timeline", **TIMELINE),
        question("domain_timeline", engine="postgres", **TIMELINE),
        question("project_mime", scope=some),
        "SELECT count(*) AS n FROM cdx_records WHERE status_code = 404",
    )
    assert outcomes() == {"kept": 4}
    found = optimizer.plans()
    assert [(plan.planned.asked, plan.planned.engine) for plan in found] == [
        ("SELECT COUNT(*) AS n FROM cdx_records WHERE status_code = ?", "duckdb"),
        ("project_mime, by project", "duckdb"),
        ("domain_timeline interval=year", "postgres"),
        ("domain_timeline interval=year", "duckdb"),
    ]
    assert [tables(plan) for plan in found] == [
        {"cdx_records"},
        {"cdx_records"},
        {"cdx_records"},
        {"cdx_records"},
    ]
    assert found[2].planned.shape == found[3].planned.shape
    by_postgres = [step for step in Step.of_document(found[2].planned.steps).walk() if step.table]
    assert by_postgres[0].index == "cdx_records_domain_time_idx"
    assert "host-5" not in str([plan.planned for plan in found])
    assert all(plan.runs == 1 and 0 < plan.median_ms < 60_000 for plan in found)
    assert [plan.planned.question for plan in optimizer.plans("sql")] == ["sql"]
    with pytest.raises(QuestionUnknown):
        optimizer.plans("no_question")


def test_what_a_rollup_answers_is_another_way(asks, optimizer, follow):
    asks(question("domain_timeline", **TIMELINE))
    made = optimizer.rollups_for("domain_timeline", {"interval": "year"}, by_project=False)
    optimizer.make(made)
    follow()
    asks(
        question("domain_timeline", **TIMELINE),
        question("domain_timeline", domain="e.example", interval="year"),
    )
    optimizer.drop(made[0].rollup.name)
    rolled, plain = optimizer.plans("domain_timeline")
    # The second of one shape came too soon.
    assert rolled.runs == 1
    assert rolled.planned.shape == plain.planned.shape
    assert (tables(rolled), tables(plain)) == ({made[0].rollup.name}, {"cdx_records"})


def test_only_slow_questions_and_a_share_are_looked_at(asks, optimizer, outcomes):
    asked = question("source_trend")
    asks(asked, CHRONOLAKE_PLAN_SHARE=0, CHRONOLAKE_SLOW_MS=60_000)
    asks(asked, CHRONOLAKE_PLAN_SHARE=0, CHRONOLAKE_SLOW_MS=0)
    asks(asked, CHRONOLAKE_HISTORY_DAYS=0)
    assert outcomes() == {}
    asks(asked, CHRONOLAKE_PLAN_SHARE=0, CHRONOLAKE_SLOW_MS=0.001)
    assert outcomes() == {"kept": 1}


def test_few_are_looked_at_and_none_of_a_shape_twice_at_once(asks, database, optimizer, outcomes):
    asks(question("source_trend"), question("source_status"), CHRONOLAKE_PLANS_PER_MINUTE=1)
    assert outcomes() == {"kept": 1, "skipped": 1}
    [plan] = optimizer.plans()
    with database.connection() as conn:
        # As another process that looks at the same.
        assert query_plans.alone(conn, plan.planned.shape)
        asks(question("source_trend"))
    assert outcomes() == {"kept": 1, "skipped": 1, "busy": 1}


def test_nobody_waits_for_a_look_and_one_that_fails_is_counted(
    make_router, lake, filled, monkeypatch, outcomes
):
    gate = threading.Event()
    told = capture.duckdb.normalised

    def late(document):
        gate.wait()
        return told({})

    monkeypatch.setattr(capture.duckdb, "normalised", late)
    router = make_router(lake, **ALL)
    answer = asyncio.run(router.ask("source_trend", {}, scope=EVERYTHING))
    assert answer.rows
    assert outcomes() == {}
    gate.set()
    router._plans._worker.shutdown()
    assert outcomes() == {"failed": 1}


def test_a_plan_of_postgres_can_only_read(database):
    with database.connection() as conn, pytest.raises(Exception, match="read-only"):
        capture.running.by_postgres(conn, "DELETE FROM query_plans", {}, 5, capture.running.Stopping())


def test_who_closes_does_not_wait_for_a_look(make_router, lake, filled, outcomes):
    router = make_router(lake, **ALL)
    began, stopping = threading.Event(), router._plans._stopping

    def long(conn):
        began.set()
        capture.running.by_postgres(conn, "SELECT pg_sleep(60)", {}, 60, stopping)

    router._plans._submit(capture._Told("sql", "sql", "s", Engine.POSTGRES), long)
    began.wait()
    started = time.monotonic()
    router.close()
    assert time.monotonic() - started < 30
    assert outcomes() == {"failed": 1}
    with pytest.raises(EngineUnavailable), stopping.by(list):
        pass


def planned(*operators, shape="s", engine="duckdb"):
    step = Step("scan")
    for operator in operators:
        step = Step(operator, steps=(step,))
    return Planned(shape, engine, fingerprint(step), "top_domains", "top_domains", step.document())


@pytest.fixture
def keep(database):
    def _keep(plan, *times):
        for elapsed_ms in times:
            with database.connection() as conn:
                query_plans.keep(conn, plan, elapsed_ms)

    return _keep


def test_a_new_way_that_is_slower_is_told_of(optimizer, keep):
    keep(planned("sort"), 10, 11, 9, 10, 900)
    keep(planned("hash_join"), 30, 31, 29, 30)
    assert optimizer.slower() == []
    keep(planned("hash_join"), 30)
    [slower] = optimizer.slower()
    assert slower.ratio == 3
    assert slower.document()["former_median_ms"] == 10
    assert "3.0 times as long as before" in slower.why
    [advised] = optimizer.advice().slower
    assert advised == slower
    # The old way again.
    keep(planned("sort"), 10)
    assert optimizer.slower() == []


def test_old_plans_go_and_of_each_the_newest_runs_stay(database, optimizer, keep, monkeypatch):
    monkeypatch.setattr(query_plans, "RUNS_KEPT", 3)
    keep(planned(), 1000, 1000, 1, 2, 3)
    assert [(plan.runs, plan.median_ms) for plan in optimizer.plans()] == [(3, 2)]
    with database.connection() as conn:
        conn.execute("UPDATE query_plans SET last_at = last_at - interval '31 days'")
    keep(planned("sort"), 1)
    with database.connection() as conn:
        [before] = conn.execute("SELECT now() - interval '30 days'").fetchone()
        assert query_plans.forget(conn, before) == 1
        assert conn.execute("SELECT count(*) FROM query_plan_runs").fetchone() == (1,)
