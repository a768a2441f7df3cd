"""Shadow mode: answers that a second engine gives too, and what is counted of them."""

import threading

import pytest

from chronolake.errors import DatabaseUnavailable, LakeBehind
from chronolake.query import QueryOptimizer, Scope
from chronolake.query.shadow import WAITING, Compared, Shadow, compared
from chronolake.telemetry import metrics

pytestmark = pytest.mark.anyio
EVERYTHING = Scope.everything()


def counted():
    value = metrics.REGISTRY.get_sample_value
    return {
        outcome: value("chronolake_shadow_comparisons_total", {"outcome": outcome.value}) or 0
        for outcome in Compared
    }


@pytest.fixture
def outcomes():
    """What was counted since the test began."""
    before = counted()
    return lambda: {
        outcome.value: n - before[outcome] for outcome, n in counted().items() if n != before[outcome]
    }


async def test_the_captures_and_the_rollups_are_compared_with_the_truth(
    make_router, make_settings, lake, database, filled, follow, outcomes
):
    optimizer = QueryOptimizer(database=database, lake=lake, settings=make_settings())
    optimizer.make(optimizer.rollups_for("source_trend", {}, by_project=False))
    follow()
    router = make_router(lake, CHRONOLAKE_SHADOW_SHARE=1)
    assert (await router.ask("source_trend", {}, scope=EVERYTHING)).meta.rollups
    assert not (await router.ask("source_status", {}, scope=EVERYTHING)).meta.rollups
    # Those that PostgreSQL answered, or that an engine was named for, are not compared.
    await router.ask("source_status", {}, scope=EVERYTHING, engine="duckdb")
    router.close()
    assert set(outcomes()) <= {"same", "behind"}
    assert 1 <= sum(outcomes().values()) <= 2


async def test_a_lake_with_a_row_too_many_is_found_out(
    make_router, lake, filled, append_again, follow, outcomes
):
    append_again()
    follow()
    shadow = Shadow(1)
    router = make_router(lake)
    truth = (await router.ask("source_status", {}, scope=EVERYTHING, engine="postgres")).rows
    found = (await router.ask("source_status", {}, scope=EVERYTHING, engine="duckdb")).rows
    shadow.maybe("source_status", lambda: truth, lambda: found)
    shadow._worker.shutdown()
    assert outcomes() == {"different": 1}


def test_what_moves_or_lags_is_no_difference():
    answers = iter([[{"n": 1}], [{"n": 3}]])
    assert compared(lambda: next(answers), lambda: [{"n": 2}]) is Compared.MOVING
    answers = iter([[{"n": 1}], [{"n": 2}]])
    assert compared(lambda: next(answers), lambda: [{"n": 2}]) is Compared.SAME
    assert compared(lambda: [{"n": 1}], lambda: [{"n": 2}]) is Compared.DIFFERENT

    def late():
        raise LakeBehind("the lake is at 0/1")

    assert compared(list, late) is Compared.BEHIND


def test_too_many_comparisons_are_skipped_and_failures_counted(outcomes):
    shadow, gate = Shadow(1), threading.Event()

    def fails():
        gate.wait()
        raise DatabaseUnavailable("gone")

    for _ in range(WAITING + 2):
        shadow.maybe("a", fails, list)
    assert outcomes() == {"skipped": 2}
    gate.set()
    shadow._worker.shutdown()
    assert outcomes() == {"skipped": 2, "failed": WAITING}
    shadow.close()
    shadow.maybe("a", fails, list)
    never = Shadow(0)
    never.maybe("a", fails, list)
    never.close()
    assert outcomes() == {"skipped": 2, "failed": WAITING}
