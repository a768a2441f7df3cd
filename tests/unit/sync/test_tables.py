"""States of tables, where they are in the stream, and how a table is cut into ranges."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronolake.oltp.backfills import CopyFacts, TableSize
from chronolake.sync.backfill import RANGE_ROWS, bounds
from chronolake.sync.places import places_of
from chronolake.sync.tables import TableEvent, TableState, next_state


@pytest.mark.parametrize("state", [None, *TableState])
def test_whatever_a_table_is_it_can_be_copied_and_that_can_fail(state):
    assert next_state(state, TableEvent.ASKED) is TableState.COPYING
    assert next_state(state, TableEvent.FAILED) is TableState.PARKED


def test_a_copy_leads_to_the_stream():
    assert next_state(TableState.COPYING, TableEvent.TAKEN_IN) is TableState.STREAMING
    assert next_state(TableState.COPYING, TableEvent.TAKEN_IN_PIECES) is TableState.CATCHING_UP
    assert next_state(TableState.CATCHING_UP, TableEvent.CAUGHT_UP) is TableState.STREAMING


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (TableState.PARKED, TableEvent.CAUGHT_UP),
        (TableState.STREAMING, TableEvent.TAKEN_IN),
        (None, TableEvent.TAKEN_IN),
    ],
)
def test_nothing_is_taken_in_that_is_not_copied(state, event):
    with pytest.raises(ValueError, match="cannot be"):
        next_state(state, event)


@given(st.integers(0, 10_000_000), st.integers(-1, 100 * RANGE_ROWS), st.integers(0, 2**40))
def test_ranges_follow_one_another_and_leave_nothing_out(blocks, rows, size):
    found = bounds(TableSize(1, blocks, rows, size), rows)
    assert found[0][0] is None
    assert found[-1][1] is None
    assert all(before[1] == after[0] for before, after in pairwise(found))
    edges = [upper for _, upper in found[:-1]]
    assert edges == sorted(set(edges))


def facts(state, from_lsn, careful_lsn):
    return CopyFacts("t", state, from_lsn, careful_lsn, "e", (), 1, "s", 1)


def test_changes_that_the_lake_may_have_are_applied_with_care():
    places = places_of(
        {"t": facts("catching_up", 10, 20), "u": facts("streaming", 10, 10)}, {"u": 12, "v": 5}
    )
    assert [places.is_careful("t", lsn) for lsn in (9, 19, 20)] == [True, True, False]
    assert [places.is_careful("u", lsn) for lsn in (11, 12)] == [True, False]
    assert places.is_careful("v", 4)
    assert places.catching_up == {"t"}
    places.be_careful("t", 15)
    assert places.is_careful("t", 19)
    assert not places.is_careful("unknown", 0)
