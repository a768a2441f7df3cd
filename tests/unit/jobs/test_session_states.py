"""What a scrape session can become, each pair of state and event."""

import pytest

from chronolake.capture.session import STOPPED_BY, WANTS, SessionEvent, SessionState, Wanted, next_state
from chronolake.errors import SessionEnded

# Events: begun, ended, stopped, failed, paused, resumed, cancelled. A dash: it cannot happen.
TABLE = """
waiting    running   done  -          -          paused  waiting  cancelled
running    running   done  waiting    failed     paused  waiting  cancelled
paused     -         done  paused     paused     paused  waiting  cancelled
done       -         done  -          -          -       -        -
failed     running   done  -          -          paused  waiting  cancelled
cancelled  -         -     cancelled  cancelled  -       -        cancelled
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


def test_the_table_has_every_state():
    assert [row[0] for row in ROWS] == list(SessionState)
    assert all(len(row) == len(SessionEvent) + 1 for row in ROWS)


@pytest.mark.parametrize(
    ("state", "event", "becomes"),
    [(row[0], event, becomes) for row in ROWS for event, becomes in zip(SessionEvent, row[1:], strict=True)],
)
def test_what_becomes_of_a_session(state, event, becomes):
    if becomes == "-":
        with pytest.raises(SessionEnded, match=f"that is {state} cannot be {event}"):
            next_state(SessionState(state), event)
    else:
        assert next_state(SessionState(state), event) == becomes


def test_what_people_want_ends_a_run_so():
    for event, wanted in WANTS.items():
        if wanted is not Wanted.RUN:
            assert STOPPED_BY[wanted] is event
