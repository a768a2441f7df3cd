from datetime import UTC, datetime

import pytest

from chronolake.bench.timing import Case, CaseResult, Timing, measure
from chronolake.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2025, 1, 1, tzinfo=UTC))


class Machine:
    """Engines that take a known time, and a record of their turns."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.turns: list[str] = []

    def engine(self, name, seconds, answer=(1, 2)):
        left = list(seconds)

        def work():
            self.turns.append(name)
            self.clock.sleep(left.pop(0))
            return answer

        return work


def test_the_first_run_warms_and_the_median_is_of_the_others(clock):
    machine = Machine(clock)
    case = Case("q", "a question", {"a": machine.engine("a", [100, 3, 1, 2, 5, 4])})
    (timing,) = measure(case, 5, "a", clock).timings
    assert timing.runs_s == pytest.approx((3, 1, 2, 5, 4))
    assert (timing.median_s, timing.min_s, timing.max_s) == pytest.approx((3, 1, 5))


def test_every_round_has_every_engine_and_begins_with_another(clock):
    machine = Machine(clock)
    names = ["a", "b", "c"]
    case = Case("q", "a question", {name: machine.engine(name, [1] * 6) for name in names})
    measure(case, 3, "a", clock)
    assert "".join(machine.turns) == "abc" + "abc" + "bca" + "cab"


def test_a_wrong_answer_is_told_and_not_timed(clock):
    machine = Machine(clock)
    case = Case(
        "q", "", {"a": machine.engine("a", [1] * 6), "b": machine.engine("b", [1] * 6, answer=(1, 3))}
    )
    result = measure(case, 5, "a", clock)
    wrong = result.of("b")
    assert wrong.runs_s == ()
    assert wrong.median_s is None
    assert "(1, 3), not (1, 2)" in wrong.error
    assert machine.turns.count("b") == 1
    assert len(result.of("a").runs_s) == 5


def test_an_engine_that_fails_hides_no_other(clock):
    machine = Machine(clock)

    def fails():
        raise MemoryError("no room\nfor this")

    result = measure(Case("q", "", {"a": machine.engine("a", [1] * 6), "b": fails}), 5, "a", clock)
    assert result.of("b").error == "MemoryError: no room"
    assert len(result.of("a").runs_s) == 5


def test_a_reference_that_fails_ends_the_case(clock):
    def fails():
        raise MemoryError

    with pytest.raises(MemoryError):
        measure(Case("q", "", {"a": fails}), 5, "a", clock)


def test_ratios_are_of_medians():
    result = CaseResult(
        "q", "", (1,), (Timing("a", (2.0, 4.0, 6.0)), Timing("b", (1.0, 2.0, 9.0)), Timing("c"))
    )
    assert result.ratio("a", "b") == pytest.approx(2.0)
    assert result.ratio("a", "c") is None
    assert result.ratio("a", "nobody") is None


def test_a_quantile_is_a_time_that_was_measured():
    timing = Timing("a", tuple(float(number) for number in range(100, 0, -1)))
    assert (timing.quantile_s(0.5), timing.p95_s, timing.quantile_s(1.0)) == (50.0, 95.0, 100.0)
    assert Timing("a", (3.0,)).p95_s == 3.0
    assert Timing("a").p95_s is None


def test_what_is_done_before_each_run_is_not_timed(clock):
    machine = Machine(clock)
    case = Case("q", "", {"a": machine.engine("a", [1] * 4)})
    (timing,) = measure(case, 3, "a", clock, before=lambda: clock.sleep(50)).timings
    assert timing.runs_s == pytest.approx((1, 1, 1))
