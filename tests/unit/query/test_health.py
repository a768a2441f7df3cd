"""An engine's breaker: what opens it, what does not, one trial at a time; by a clock that stands still."""

import threading
from datetime import UTC, datetime

import pytest

from chronolake.clock import ManualClock
from chronolake.errors import (
    DatabaseError,
    DatabaseUnavailable,
    EngineUnavailable,
    LakeBehind,
    LakeError,
    LakeIncomplete,
    LakeMissing,
    LakeUnavailable,
    ParameterInvalid,
    QueryTimeout,
)
from chronolake.query.health import EngineHealth
from chronolake.query.route import Engine
from chronolake.telemetry import metrics

LAKE, POSTGRES = Engine.DUCKDB, Engine.POSTGRES


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def health(clock):
    return EngineHealth(failures=3, pause_s=10, clock=clock)


def ask(health, engine, error=None):
    with health.watching(engine):
        if error is not None:
            raise error


def fail(health, engine, error, times=1):
    for _ in range(times):
        with pytest.raises(type(error)):
            ask(health, engine, error)


def told(name, engine):
    return (
        metrics.REGISTRY.get_sample_value(f"chronolake_engine_breaker_{name}", {"engine": engine.value}) or 0
    )


@pytest.mark.parametrize(
    ("engine", "error"),
    [(LAKE, LakeUnavailable("gone")), (POSTGRES, DatabaseUnavailable("gone"))],
)
def test_failures_in_a_row_open_it_and_a_trial_closes_it(health, clock, engine, error):
    trips = told("trips_total", engine)
    fail(health, engine, error, 2)
    ask(health, engine)
    fail(health, engine, error, 2)
    assert health.resting(engine) is None
    fail(health, engine, error)
    assert "3 times in a row" in health.resting(engine)
    assert (told("state", engine), told("trips_total", engine)) == (2, trips + 1)
    with pytest.raises(EngineUnavailable) as caught:
        ask(health, engine)
    assert caught.value.facts["retry_after_s"] == 10
    # The other is asked as ever.
    ask(health, POSTGRES if engine is LAKE else LAKE)
    clock.sleep(9.9)
    assert health.resting(engine)
    clock.sleep(0.1)
    assert health.resting(engine) is None
    ask(health, engine)
    assert told("state", engine) == 0
    fail(health, engine, error, 2)
    assert health.resting(engine) is None


def test_a_trial_that_fails_doubles_the_pause_up_to_a_bound(health, clock):
    fail(health, LAKE, LakeUnavailable("gone"), 3)
    pauses = []
    for _ in range(8):
        waited = 0
        while health.resting(LAKE):
            clock.sleep(1)
            waited += 1
        pauses.append(waited)
        fail(health, LAKE, LakeUnavailable("gone"))
    assert pauses == [10, 20, 40, 80, 160, 160, 160, 160]


@pytest.mark.parametrize(
    ("engine", "error"),
    [
        (LAKE, QueryTimeout("too long")),
        (LAKE, LakeError("out of memory")),
        (LAKE, LakeBehind("behind")),
        (LAKE, LakeIncomplete("incomplete")),
        (LAKE, LakeMissing("none yet")),
        (LAKE, ParameterInvalid("wrong")),
        (LAKE, DatabaseUnavailable("another engine's")),
        (POSTGRES, QueryTimeout("too long")),
        (POSTGRES, DatabaseError("refused")),
        (POSTGRES, LakeUnavailable("another engine's")),
        (POSTGRES, ZeroDivisionError()),
    ],
)
def test_what_is_no_failure_of_the_engine_opens_nothing(health, engine, error):
    fail(health, engine, error, 50)
    assert health.resting(engine) is None
    # Nor does it hide one: between failures it is neither an answer.
    broken = LakeUnavailable("gone") if engine is LAKE else DatabaseUnavailable("gone")
    for _ in range(3):
        fail(health, engine, error)
        fail(health, engine, broken)
    assert health.resting(engine)


def test_one_question_at_a_time_tries_it(health, clock):
    fail(health, LAKE, LakeUnavailable("gone"), 3)
    clock.sleep(10)
    with health.watching(LAKE):
        assert health.resting(LAKE)
        with pytest.raises(EngineUnavailable):
            ask(health, LAKE)
    ask(health, LAKE)


def test_a_trial_that_told_nothing_leaves_the_trial_to_the_next(health, clock):
    fail(health, LAKE, LakeUnavailable("gone"), 3)
    clock.sleep(10)
    fail(health, LAKE, QueryTimeout("too long"))
    assert health.resting(LAKE) is None
    with health.watching(LAKE), pytest.raises(EngineUnavailable):
        ask(health, LAKE)
    assert told("state", LAKE) == 0


def test_who_began_before_it_opened_neither_opens_it_again_nor_closes_it(health, clock):
    trips = told("trips_total", LAKE)
    slow = health.watching(LAKE)
    slow.__enter__()
    fail(health, LAKE, LakeUnavailable("gone"), 3)
    slow.__exit__(None, None, None)
    assert health.resting(LAKE)
    assert told("trips_total", LAKE) == trips + 1


def test_of_many_threads_one_tries_it(health, clock):
    fail(health, LAKE, LakeUnavailable("gone"), 3)
    clock.sleep(10)
    inside, go, refused = threading.Event(), threading.Event(), []

    def trial():
        with health.watching(LAKE):
            inside.set()
            go.wait(60)

    def other():
        try:
            ask(health, LAKE)
        except EngineUnavailable:
            refused.append(1)

    first = threading.Thread(target=trial)
    first.start()
    inside.wait(60)
    others = [threading.Thread(target=other) for _ in range(8)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    go.set()
    first.join()
    assert len(refused) == 8
    ask(health, LAKE)
