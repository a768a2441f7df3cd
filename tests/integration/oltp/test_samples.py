"""What metrics were is written down as it changes, and let go of when it is old."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chronolake.clock import ManualClock
from chronolake.errors import DatabaseError
from chronolake.oltp import MetricSampler, Sampled, samples

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def make_sampler(database, make_settings, registry):
    def make(clock, **variables):
        return MetricSampler(
            database=database, settings=make_settings(**variables), registry=registry, clock=clock
        )

    return make


def rows(database):
    with database.connection() as conn:
        return conn.execute(
            "SELECT sampled_at, metric, labels, value FROM metric_samples ORDER BY id"
        ).fetchall()


def test_values_are_written_as_they_change(database, make_sampler, registry):
    clock = ManualClock(START)
    files = Gauge("files", "Files.", ["table"], registry=registry)
    asked = Counter("asked", "Questions.", registry=registry)
    unknown = Gauge("unknown", "Unknown.", registry=registry)
    unknown.set(math.nan)
    Histogram("took", "Time.", registry=registry).observe(2)
    files.labels(table="b").set(3)
    sampler = make_sampler(clock)
    assert sampler.step().written == 4
    at = START.replace(tzinfo=None)
    assert rows(database) == [
        (at, "files", '{"table": "b"}', 3.0),
        (at, "asked_total", "{}", 0.0),
        (at, "took_count", "{}", 1.0),
        (at, "took_sum", "{}", 2.0),
    ]
    assert sampler.step() == Sampled(0, 0)
    clock.sleep(60)
    asked.inc()
    assert sampler.step().written == 1
    assert rows(database)[-1] == (at + timedelta(seconds=60), "asked_total", "{}", 1.0)


def test_old_samples_go_some_at_a_time(database, make_sampler, registry, monkeypatch):
    monkeypatch.setattr(samples, "FORGOTTEN_AT_ONCE", 2)
    clock = ManualClock(START)
    value = Gauge("value", "Value.", registry=registry)
    sampler = make_sampler(clock, CHRONOLAKE_SAMPLE_DAYS=1)
    for number in range(5):
        value.set(number)
        sampler.step()
        clock.sleep(60)
    clock.sleep(86_400 - 180)
    assert [sampler.step().forgotten for _ in range(3)] == [2, 0, 0]
    assert [row[3] for row in rows(database)] == [2.0, 3.0, 4.0]


def test_what_could_not_be_written_is_written_next_time(database, make_sampler, registry):
    Gauge("value", "Value.", registry=registry).set(7)
    sampler = make_sampler(ManualClock(START))
    with database.connection() as conn:
        conn.execute("ALTER TABLE metric_samples RENAME TO away")
    with pytest.raises(DatabaseError):
        sampler.step()
    with database.connection() as conn:
        conn.execute("ALTER TABLE away RENAME TO metric_samples")
    assert sampler.step().written == 1
    assert [row[3] for row in rows(database)] == [7.0]
