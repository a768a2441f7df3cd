"""Small tables in the engine's memory: taken in once it pays, lent while they are read, within their room."""

from contextlib import ExitStack
from datetime import UTC, datetime

import duckdb
import pytest

from chronolake.clock import ManualClock
from chronolake.lake import resident
from chronolake.lake.resident import TIMES_ON_DISK, VALUE_BYTES, Residents, Source


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def engine():
    with duckdb.connect(":memory:") as connection:
        yield connection


@pytest.fixture
def make(engine, clock):
    made = []

    def _make(room_bytes=2**20):
        made.append(Residents(cursor=engine.cursor, most_bytes=room_bytes, clock=clock))
        return made[-1]

    yield _make
    for residents in made:
        residents.close()


@pytest.fixture
def ask(engine, clock):
    """Ask once for a table whose files are `files`; its rows where it is resident, else null."""

    def _ask(residents, table="t", files="f1", rows=10, columns=("n",), select=None, on_disk=0):
        select = select or f"SELECT range AS n FROM range({rows})"
        source = Source(table, files, ("n",), rows, on_disk, select)
        with residents.lent(table, files, columns, lambda: source) as name:
            return (
                None
                if name is None
                else engine.cursor().execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            )

    return _ask


@pytest.fixture
def ask_until_resident(ask, clock):
    def _ask(residents, **source):
        for _ in range(resident.LEAST_ASKED):
            ask(residents, **source)
            clock.sleep(resident.LEAST_AGE_S)
        residents.wait()
        return ask(residents, **source)

    return _ask


def tables(engine):
    return {row[0] for row in engine.cursor().execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def test_a_table_is_taken_in_once_it_was_asked_for_often_and_stayed(make, ask, clock):
    residents = make()
    for _ in range(3 * resident.LEAST_ASKED):
        assert ask(residents) is None
    residents.wait()
    assert ask(residents) is None
    clock.sleep(resident.LEAST_AGE_S)
    assert ask(residents) is None
    residents.wait()
    assert ask(residents) == 10


def test_one_that_changes_all_the_time_is_left_in_its_files(make, ask, clock):
    residents = make()
    for number in range(50):
        assert ask(residents, files=number) is None
        clock.sleep(resident.LEAST_AGE_S)
    residents.wait()
    assert residents.held_bytes == 0


def test_other_files_are_another_table(make, ask, ask_until_resident, engine):
    residents = make()
    assert ask_until_resident(residents, files="f1", rows=10) == 10
    assert ask(residents, files="f2", rows=11) is None
    assert ask_until_resident(residents, files="f2", rows=11) == 11
    assert len(tables(engine)) == 1


def test_what_is_lent_stays_until_it_is_given_back(make, ask_until_resident, engine):
    residents = make()
    ask_until_resident(residents, files="f1", rows=10)
    with residents.lent("t", "f1", ("n",), lambda: None) as name:
        assert ask_until_resident(residents, files="f2", rows=11) == 11
        assert engine.cursor().execute(f"SELECT count(*) FROM {name}").fetchone() == (10,)
        assert len(tables(engine)) == 2
    assert len(tables(engine)) == 1
    assert residents.held_bytes == 11 * VALUE_BYTES


def test_the_one_not_lent_for_longest_makes_room(make, ask, ask_until_resident):
    residents = make(room_bytes=4 * 100 * VALUE_BYTES)
    for table in "abcd":
        assert ask_until_resident(residents, table=table, rows=100) == 100
    assert ask(residents, table="a", rows=100) == 100
    assert ask_until_resident(residents, table="e", rows=100) == 100
    assert ask(residents, table="b", rows=100) is None
    assert ask(residents, table="a", rows=100) == 100
    assert residents.held_bytes == 4 * 100 * VALUE_BYTES
    # It comes back once it is asked for again.
    assert ask_until_resident(residents, table="b", rows=100) == 100


@pytest.mark.parametrize(
    "room_bytes", [0, 10 * VALUE_BYTES], ids=["no room at all", "more than its share of the room"]
)
def test_a_table_too_large_is_left_in_its_files(make, ask_until_resident, room_bytes):
    assert ask_until_resident(make(room_bytes)) is None


def test_texts_are_reckoned_by_what_they_take_on_disk(make, ask_until_resident):
    residents = make(room_bytes=1000 * TIMES_ON_DISK)
    assert ask_until_resident(residents, table="a", on_disk=500) == 10
    assert residents.held_bytes == 500 * TIMES_ON_DISK
    assert ask_until_resident(residents, table="b", on_disk=501) is None


def test_one_that_nobody_asks_for_with_these_files_goes(make, ask, ask_until_resident, clock, engine):
    residents = make()
    ask_until_resident(residents, files="f1")
    for number in range(10):
        ask(residents, files=number)
    residents.wait()
    assert len(tables(engine)) == 1
    ask(residents, files="f2")
    clock.sleep(resident.STALE_S + 1)
    with residents.lent("t", "f2", ("n",), lambda: None):
        pass
    residents.wait()
    assert tables(engine) == set()
    assert residents.held_bytes == 0


def test_once_closed_it_lends_nothing_and_what_is_lent_can_be_given_back(
    make, ask, ask_until_resident, engine
):
    residents = make()
    ask_until_resident(residents)
    with residents.lent("t", "f1", ("n",), lambda: None) as name:
        ask_until_resident(residents, files="f2")
        residents.close()
        assert engine.cursor().execute(f"SELECT count(*) FROM {name}").fetchone() == (10,)
        engine.close()
    assert ask(residents, files="f2") is None


def test_columns_that_it_does_not_have_are_read_from_files(make, ask, ask_until_resident):
    residents = make()
    assert ask_until_resident(residents) == 10
    assert ask(residents, columns=("n", "m")) is None


def test_one_that_cannot_be_read_is_left_alone(make, ask, ask_until_resident):
    residents = make()
    gone = "SELECT * FROM read_parquet('gone.parquet')"
    assert ask_until_resident(residents, select=gone) is None
    # It may have been for the moment only.
    assert ask_until_resident(residents) == 10


def test_many_lent_at_once(make, ask_until_resident, engine):
    residents = make()
    ask_until_resident(residents)
    with ExitStack() as leases:
        names = {leases.enter_context(residents.lent("t", "f1", ("n",), lambda: None)) for _ in range(20)}
        ask_until_resident(residents, files="f2")
        assert len(names) == 1
        assert len(tables(engine)) == 2
    assert len(tables(engine)) == 1
