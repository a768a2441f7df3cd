"""When something comes again: each tick once, and those that were missed not at all."""

from datetime import UTC, datetime, timedelta

import pytest

from chronolake.errors import ScheduleInvalid
from chronolake.jobs.every import first_tick, next_tick

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "planned", "now", "following"),
    [
        ("6h", NOON, NOON, NOON + timedelta(hours=6)),
        ("6h", NOON, NOON + timedelta(minutes=5), NOON + timedelta(hours=6)),
        # Three were missed; the next one keeps to the hours of the others.
        ("6h", NOON, NOON + timedelta(hours=19), NOON + timedelta(hours=24)),
        ("1d", NOON, NOON + timedelta(days=1), NOON + timedelta(days=2)),
        ("30 4 * * *", NOON, NOON, datetime(2026, 1, 2, 4, 30, tzinfo=UTC)),
        ("30 4 * * *", NOON, NOON + timedelta(days=9), datetime(2026, 1, 11, 4, 30, tzinfo=UTC)),
    ],
)
def test_the_next_tick(every, planned, now, following):
    assert next_tick(every, planned, now) == following


def test_the_first_tick_is_now_or_when_cron_says_so():
    assert first_tick("2w", NOON) == NOON
    assert first_tick("0 0 1 * *", NOON) == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "every", ["", "0h", "6", "6 h", "-1d", "1.5h", "99 * * * *", "* * * * * *", "0 0 30 2 *", "daily"]
)
def test_what_says_no_time(every):
    with pytest.raises(ScheduleInvalid) as caught:
        first_tick(every, NOON)
    assert caught.value.facts["parameter"] == "every"
