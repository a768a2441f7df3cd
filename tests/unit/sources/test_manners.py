"""When an archive may be asked: pace, breaker and router, all without a clock of their own."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from chronolake.breaker import Breaker, Event, State, next_state
from chronolake.capture.attempt import Outcome
from chronolake.clock import ManualClock
from chronolake.sources import breaker, pace
from chronolake.sources.breaker import FAILED, FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, MANNERS
from chronolake.sources.router import Policy, choose
from chronolake.sources.status import outcome_of, retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_requests_are_evenly_spaced_and_never_more_than_the_budget():
    clock, next_at, sent = ManualClock(NOW), 0.0, []
    for work_s in [0, 0.4, 3, 0, 0, 12, 0]:
        clock.sleep(pace.wait_s(next_at, clock.now().timestamp(), 2.5))
        sent.append(clock.monotonic())
        next_at = pace.after_request(clock.now().timestamp(), 2.5)
        clock.sleep(work_s)
    assert sent == pytest.approx([0, 2.5, 5, 8, 10.5, 13, 25])


@pytest.mark.parametrize(
    ("asked_s", "waits_s"), [(None, pace.THROTTLED_S), (5, 5), (0, 0), (-3, 0), (90_000, pace.LONGEST_KEPT_S)]
)
def test_a_pause_that_is_asked_for_is_kept(asked_s, waits_s):
    next_at = pace.after_throttling(1000.0, 0.0, asked_s)
    assert pace.wait_s(next_at, 1000.0, 2.5) == waits_s
    # It shortens no longer pause that was asked for before.
    assert pace.after_throttling(1000.0, 5000.0, asked_s) >= 5000.0


def test_a_clock_that_was_set_back_holds_nothing_up():
    assert pace.wait_s(1_000_000.0, 1000.0, 2.5) == 0
    opened = Breaker(State.OPEN, FAILURES, FIRST_PAUSE_S, 1_000_000.0)
    assert next_state(opened, Event.WANTED, 1000.0, MANNERS).lets_through


CLOSED = Breaker()
FAILING = Breaker(failures=FAILURES - 1)
OPEN = Breaker(State.OPEN, FAILURES, FIRST_PAUSE_S, 160.0)
TRIAL = Breaker(State.HALF_OPEN, FAILURES, FIRST_PAUSE_S, 160.0)
LONG = Breaker(State.HALF_OPEN, 20, LONGEST_PAUSE_S, 160.0)


@pytest.mark.parametrize(
    ("before", "event", "now", "after", "lets_through"),
    [
        (CLOSED, Event.WANTED, 100, CLOSED, True),
        (CLOSED, Event.ANSWERED, 100, CLOSED, True),
        (CLOSED, Event.FAILED, 100, Breaker(failures=1), True),
        (FAILING, Event.WANTED, 100, FAILING, True),
        (FAILING, Event.ANSWERED, 100, CLOSED, True),
        (FAILING, Event.FAILED, 100, OPEN, False),
        (OPEN, Event.WANTED, 159.9, OPEN, False),
        (OPEN, Event.WANTED, 160, TRIAL, True),
        (OPEN, Event.ANSWERED, 100, OPEN, False),
        (OPEN, Event.FAILED, 100, OPEN, False),
        (TRIAL, Event.WANTED, 200, TRIAL, True),
        (TRIAL, Event.ANSWERED, 200, CLOSED, True),
        (TRIAL, Event.FAILED, 200, Breaker(State.OPEN, FAILURES + 1, 120, 320), False),
        (LONG, Event.FAILED, 200, Breaker(State.OPEN, 21, LONGEST_PAUSE_S, 200 + LONGEST_PAUSE_S), False),
    ],
)
def test_the_breaker(before, event, now, after, lets_through):
    found = next_state(before, event, now, MANNERS)
    assert found == after
    assert found.lets_through is lets_through


def test_what_an_outcome_tells_the_breaker():
    silent = {Outcome.CANCELLED, Outcome.NOT_SENT}
    for outcome in Outcome:
        expected = None if outcome in silent else Event.FAILED if outcome in FAILED else Event.ANSWERED
        assert breaker.event_of(outcome) is expected
    # An archive that excludes a site is well; so is one that has nothing.
    assert breaker.event_of(Outcome.BLOCKED) is breaker.event_of(Outcome.EMPTY) is Event.ANSWERED


ORDER = ["wayback", "commoncrawl"]


@pytest.mark.parametrize(
    ("policy", "order", "failed", "held", "source", "said"),
    [
        (Policy.WAYBACK, ORDER, {}, {}, "wayback", "collects from wayback"),
        (Policy.COMMONCRAWL, ORDER, {}, {}, "commoncrawl", "collects from commoncrawl"),
        (Policy.WAYBACK, ORDER, {"wayback": "503"}, {}, None, "wayback failed: 503"),
        (Policy.HYBRID, ORDER, {}, {}, "wayback", "wayback comes first"),
        (Policy.HYBRID, ORDER[::-1], {}, {}, "commoncrawl", "commoncrawl comes first"),
        (
            Policy.HYBRID,
            ORDER,
            {"wayback": "503"},
            {},
            "commoncrawl",
            "wayback failed: 503; commoncrawl comes next",
        ),
        (Policy.HYBRID, ORDER, {}, {"wayback": 42.4}, "commoncrawl", "left alone for 42 s more; commoncrawl"),
        (Policy.HYBRID, ORDER, {"wayback": "503"}, {"commoncrawl": 9}, None, "commoncrawl is left alone"),
        (Policy.HYBRID, ORDER, {"wayback": "a", "commoncrawl": "b"}, {}, None, "commoncrawl failed: b"),
    ],
)
def test_the_router(policy, order, failed, held, source, said):
    choice = choose(policy, order, failed, held)
    assert choice.source == source
    assert said in choice.reason


@pytest.mark.parametrize(
    ("status", "pause", "outcome"),
    [
        (429, False, Outcome.THROTTLED), (503, True, Outcome.THROTTLED), (503, False, Outcome.SERVER_ERROR),
        (403, False, Outcome.BLOCKED), (451, False, Outcome.BLOCKED), (404, False, Outcome.NOT_FOUND),
        (400, False, Outcome.CLIENT_ERROR), (408, False, Outcome.TIMEOUT), (504, False, Outcome.SERVER_ERROR),
        (302, False, Outcome.MALFORMED),
    ],
)  # fmt: skip
def test_a_status_without_an_answer(status, pause, outcome):
    assert outcome_of(status, asks_for_pause=pause) is outcome


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("120", 120), (" 7 ", 7), ("soon", None), ("-5", None),
        (format_datetime(NOW.replace(minute=5), usegmt=True), 60), (format_datetime(NOW.replace(year=2025), usegmt=True), 0),
    ],
)  # fmt: skip
def test_retry_after(header, seconds):
    assert retry_after(header, NOW) == seconds
