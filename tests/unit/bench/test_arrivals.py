"""What a server's record proves of the manners of whoever asked, on records that break each of them."""

from itertools import accumulate

import pytest

from chronolake.bench.arrivals import arrivals_of, broken_manners, most_within
from chronolake.testing.archive import Asked
from chronolake.testing.archive_faults import Fault, FaultPlan

#: Eight a second, so that times are told exactly.
PER_MINUTE = 480


def record(*gaps_s, faults=()):
    times = list(accumulate(gaps_s, initial=100.0))
    faults = [*faults, *[None] * (len(times) - len(faults))]
    return [Asked("/cdx", at, "", int(at), fault) for at, fault in zip(times, faults, strict=True)]


def broken(asked, most_at_once=1):
    return broken_manners(arrivals_of(asked, most_at_once), PER_MINUTE)


def test_the_most_within_any_stretch_leaves_out_its_end():
    assert most_within([], 1) == 0
    assert most_within([0.0, 0.5, 1.0, 1.5], 1) == 2
    assert most_within([0.0, 0.9, 0.95, 1.0, 1.05], 1) == 4
    assert most_within([0.0, 59.9, 60.0, 60.1, 119.9], 60) == 3


def test_an_even_pace_is_within_its_budget():
    found = arrivals_of(record(*[0.125] * 700), 1)
    assert (found.requests, found.most_in_a_clock_second, found.most_in_any_minute) == (701, 8, 480)
    assert broken_manners(found, PER_MINUTE) == []
    assert arrivals_of([], 0).requests == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        # On average it is within the budget, and for two seconds it is not.
        (record(*[0.0625] * 40, 60), "16 requests came within a second, of 8 allowed"),
        (record(*[0.1171875] * 700), "512 requests came within a minute, of 480 allowed"),
        (record(0.125, 0.7, faults=[None, Fault.SHORT_PAUSE]), "0.7 s were kept"),
    ],
)
def test_what_is_broken_is_told(asked, said):
    assert [line for line in broken(asked) if said in line]


def test_two_at_once_and_a_pause_that_was_kept():
    kept = record(0.125, 1.0, 0.125, faults=[None, Fault.SHORT_PAUSE])
    assert broken(kept) == []
    assert broken(kept, most_at_once=2) == ["2 requests were under way at once"]
    # A pause that nothing came after is nobody's fault.
    assert arrivals_of(record(0.125, faults=[None, Fault.SHORT_PAUSE]), 1).shortest_pause_s is None


def test_a_plan_draws_the_same_faults_for_the_same_seed_and_each_kind_of_them():
    one, same, other = (FaultPlan(seed, 0.1) for seed in (1, 1, 2))
    drawn = [one.draw() for _ in range(10_000)]
    assert drawn == [same.draw() for _ in range(10_000)] != [other.draw() for _ in range(10_000)]
    failed = [fault for fault in drawn if fault is not None]
    # Ten thousand draws of a tenth: the standard deviation is thirty.
    assert abs(len(failed) - 1000) < 150
    assert set(failed) == set(one.kinds)
    assert all(FaultPlan(1, 0).draw() is None for _ in range(100))
