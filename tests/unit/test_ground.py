"""The ground that all rooms stand on: errors, faults, clock, loop, and the registry of columns."""

import inspect
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import structlog

from chronolake import errors, faults
from chronolake.capture.attempt import Outcome
from chronolake.capture.columns import (
    ARCHIVE_REQUEST_ATTEMPTS,
    CDX_RECORDS,
    CONTENT_ANALYTICS,
    PAGE_ENTITIES,
    TABLES,
)
from chronolake.capture.entity import EntityKind
from chronolake.clock import ManualClock, SystemClock
from chronolake.errors import ChronolakeError, LakeBusy, Retry
from chronolake.loop import Loop, LoopState, running
from chronolake.telemetry import metrics

TREE = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)]


@pytest.mark.parametrize("error", TREE)
def test_each_error_stands_in_the_drawing_and_knows_if_a_retry_helps(error):
    assert issubclass(error, ChronolakeError)
    assert error.__name__ in errors.__doc__
    assert isinstance(error.retry, Retry)


def test_an_error_keeps_its_facts_and_its_own_hint():
    error = LakeBusy("busy", table="cdx_records")
    assert (error.message, error.facts) == ("busy", {"table": "cdx_records"})
    assert error.hint == LakeBusy.hint
    assert LakeBusy("busy", hint="other").hint == "other"


@pytest.mark.parametrize("point", faults.POINTS)
def test_a_fault_kills_as_kill_9_would(point):
    code = f"from chronolake import faults; faults.reach({point!r}); print('alive')"
    environment = os.environ | {"CHRONOLAKE_FAULT": point}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert b"alive" not in done.stdout


def test_a_fault_counts_and_can_raise_instead(monkeypatch):
    monkeypatch.setattr(faults, "_reached", faults.Counter())
    monkeypatch.setenv("CHRONOLAKE_FAULT", "lake.after_commit@2:error")
    faults.reach("lake.after_commit")
    faults.reach("lake.before_commit")
    with pytest.raises(OSError, match="armed at lake"):
        faults.reach("lake.after_commit")
    faults.reach("lake.after_commit")


def test_a_point_must_be_declared():
    with pytest.raises(KeyError):
        faults.reach("lake.somewhere")


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock(datetime(2024, 1, 1, tzinfo=UTC))
    clock.sleep(90)
    assert clock.now() == datetime(2024, 1, 1, 0, 1, 30, tzinfo=UTC)
    assert clock.monotonic() == 90


def test_the_system_clock_is_utc_and_never_goes_back():
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now().tzinfo is UTC


class Stepping(Loop):
    def __init__(self, *, fail_first: bool = False):
        super().__init__(interval_s=0.001)
        self.steps = 0
        self.fail_first = fail_first
        self.enough = threading.Event()

    def step(self):
        self.steps += 1
        if self.steps == 1 and self.fail_first:
            raise LakeBusy("another committer")
        if self.steps >= 3:
            self.enough.set()


@pytest.mark.parametrize("fail_first", [False, True])
def test_a_loop_steps_until_it_is_stopped_and_outlives_our_errors(fail_first):
    loop = Stepping(fail_first=fail_first)
    loop.start()
    assert loop.enough.wait(60)
    loop.stop()
    loop.stop()
    steps = loop.steps
    assert steps >= 3
    assert not loop._thread.is_alive()
    assert (loop.state, loop.error) == (LoopState.STOPPED, None)


class Broken(Loop):
    def step(self):
        raise ZeroDivisionError("a mistake in the code")


def test_a_loop_that_ends_by_itself_says_so():
    def counted():
        return metrics.REGISTRY.get_sample_value(
            "chronolake_loop_steps_total", {"loop": "Broken", "outcome": "ended"}
        )

    loop = Broken(interval_s=0.001)
    assert loop.state is LoopState.STOPPED
    before = counted() or 0
    with structlog.testing.capture_logs() as lines, running(loop):
        loop._thread.join(60)
    assert loop.state is LoopState.FAILED
    assert isinstance(loop.error, ZeroDivisionError)
    assert counted() == before + 1
    assert [(line["event"], line["exc_info"]) for line in lines] == [("loop.ended", True)]


def test_loops_run_within_the_block_alone():
    loops = Stepping(), Stepping()
    with running(*loops):
        assert all(loop.enough.wait(60) for loop in loops)
        assert [loop.state for loop in loops] == [LoopState.RUNNING] * 2
    assert [loop.state for loop in loops] == [LoopState.STOPPED] * 2


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_the_registry_is_whole(table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert all(column.meaning for column in table.columns)
    project_by = None if table.of_system else table.project_by
    assert {table.key, *table.sort, table.bucket_by, table.time, project_by} - {None} <= set(names)
    for column in table.columns:
        assert isinstance(column.lake, str)
        assert bool(column.postgres) != column.lake_only
        if pa.types.is_timestamp(column.arrow):
            assert column.unit == "UTC"
    # What rows are ordered and cut by is never null.
    for name in {table.key, *table.sort, table.bucket_by, table.time} - {None}:
        assert not table[name].nullable
    assert table.key not in {column.name for column in table.columns if column.lake_only}
    assert table.arrow_schema.field(table.key).type in (pa.uuid(), pa.int32(), pa.int64(), pa.string())


def test_a_table_of_no_project_is_seen_through_captures():
    for table in TABLES.values():
        if table.project_by is None:
            assert table[table.key].arrow == CDX_RECORDS[table.key].arrow


def test_the_words_of_outcomes_and_entities_stand_in_the_registry():
    for column, words in (
        (ARCHIVE_REQUEST_ATTEMPTS["outcome"], Outcome),
        (PAGE_ENTITIES["kind"], EntityKind),
    ):
        told = column.meaning.partition(": ")[2] or column.meaning
        assert re.split(", | or ", told) == list(words)


def test_the_plans_columns_are_there():
    plan = "id url domain timestamp status_code mime_type content_length archive_source project_id"
    assert set(plan.split()) <= {column.name for column in CDX_RECORDS.stored}
    assert {"partition_year", "partition_month"} <= {c.name for c in CDX_RECORDS.columns if c.lake_only}
    plan = (
        "page_id url content_hash word_count entity_count language quality_score"
        " extraction_timestamp date_captured"
    )
    assert set(plan.split()) <= {column.name for column in CONTENT_ANALYTICS.stored}
