"""Which snapshots stay, and which files nobody sees: decided on lists."""

from datetime import UTC, datetime, timedelta

from chronolake.lake.retention import Snapshot, Span, kept, unseen

NOW = datetime(2026, 11, 24, 12, 30, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


def ages(*seconds):
    """Snapshots so old, the oldest first."""
    return [Snapshot(n, NOW - timedelta(seconds=age)) for n, age in enumerate(sorted(seconds, reverse=True))]


def test_the_newest_stays_however_old():
    assert kept(ages(10**9), NOW, WEEK) == {0}
    assert kept([], NOW, WEEK) == set()


def test_all_of_the_last_minutes_then_one_a_minute_then_one_an_hour():
    assert kept(ages(0, 1, 2, 60, 119), NOW, WEEK) == {0, 1, 2, 3, 4}
    minutes = kept(ages(*range(121, 3600)), NOW, WEEK)
    assert 57 <= len(minutes) <= 60
    hours = kept(ages(*range(3601, 86_400, 60)), NOW, WEEK)
    assert 23 <= len(hours) <= 25


def test_the_last_of_its_minute_is_the_one_that_stays():
    snapshots = [Snapshot(n, datetime(2026, 11, 24, 12, 0, n, tzinfo=UTC)) for n in range(60)]
    newest = Snapshot(99, NOW)
    assert kept([*snapshots, newest], NOW, WEEK) == {59, 99}


def test_the_state_at_the_retentions_beginning_can_be_asked_for():
    assert kept(ages(86_400 * 30, 86_400 * 20, 10), NOW, WEEK) == {1, 2}


def test_a_file_is_seen_from_its_begin_to_before_its_end():
    spans = [Span(1, 1, 5), Span(2, 5, 6), Span(3, 6, 9), Span(4, 2, 3), Span(5, 1, 2)]
    assert unseen({2, 5}, spans) == [3, 5]
    assert unseen({2, 5, 6}, spans) == [5]
    assert unseen(set(), spans) == [1, 2, 3, 4, 5]
