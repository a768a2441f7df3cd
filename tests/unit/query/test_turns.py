"""Whose turn it is: round-robin by weight, bounds of each tenant, nobody starves; without a thread or a clock."""

import random

import pytest

from chronolake.query.turns import Bounds, Full, Turns

ONE_BY_ONE = Bounds(running=1, waiting=1000, running_of_one=1, waiting_of_one=1000)


def served(turns, count):
    """Whose items run, one after the other."""
    names = []
    for _ in range(count):
        name, _item = turns.take()
        turns.done(name)
        names.append(name)
    return names


def test_one_with_two_hundred_queued_cannot_starve_another():
    turns = Turns(ONE_BY_ONE)
    for number in range(200):
        turns.put("many", number)
    assert served(turns, 50) == ["many"] * 50
    for number in range(3):
        turns.put("few", number)
    order = served(turns, 6)
    assert order == ["few", "many", "few", "many", "few", "many"]
    assert turns.waiting == 200 - 53 + 0


def test_within_a_tenant_the_first_that_came_goes_first():
    turns = Turns(ONE_BY_ONE)
    for number in range(5):
        turns.put("one", number)
    found = []
    while (taken := turns.take()) is not None:
        found.append(taken[1])
        turns.done(taken[0])
    assert found == [0, 1, 2, 3, 4]


def test_weights_are_shares_of_the_turns():
    turns = Turns(ONE_BY_ONE, weight={"heavy": 3.0, "light": 1.0}.__getitem__)
    for number in range(80):
        turns.put("heavy", number)
        turns.put("light", number)
    order = served(turns, 80)
    assert order.count("heavy") == 60
    # And not in one go: of any eight that follow one another, two are the other's.
    assert all(1 <= order[n : n + 8].count("light") <= 3 for n in range(0, 80, 8))


def test_who_was_away_saves_up_no_turns_and_owes_none():
    turns = Turns(ONE_BY_ONE)
    for number in range(100):
        turns.put("busy", number)
    served(turns, 90)
    for number in range(100):
        turns.put("late", number)
    # As many each from now on, not ninety for the late one first.
    assert abs(served(turns, 20).count("late") - 10) <= 1
    served(turns, 90)
    assert turns.waiting == 0
    turns.put("other", 0)
    turns.put("busy", 0)
    assert sorted(served(turns, 2)) == ["busy", "other"]


def test_who_asks_for_one_thing_at_a_time_gets_no_more_than_the_others():
    turns = Turns(ONE_BY_ONE)
    for number in range(100):
        turns.put("queued", number)
    turns.put("sly", 0)
    order = []
    for _ in range(40):
        name, _item = turns.take()
        turns.done(name)
        order.append(name)
        if name == "sly":
            turns.put("sly", 0)
    assert abs(order.count("sly") - 20) <= 1


def test_one_runs_no_more_than_its_own_even_where_there_are_places():
    turns = Turns(Bounds(running=4, waiting=10, running_of_one=3, waiting_of_one=10))
    for number in range(6):
        turns.put("a", number)
    assert [turns.take()[0] for _ in range(3)] == ["a", "a", "a"]
    assert turns.take() is None
    turns.put("b", 0)
    assert turns.take() == ("b", 0)
    turns.put("b", 1)
    assert turns.take() is None
    turns.done("a")
    assert turns.take() == ("b", 1)


@pytest.mark.parametrize(
    ("running", "queued", "tenant", "full"),
    [
        # What finds a free place takes none of the queue.
        (0, {}, "a", None),
        (2, {"a": 2}, "a", Full.TENANT),
        (2, {"a": 2}, "b", None),
        (2, {"a": 2, "b": 1}, "b", Full.QUEUE),
        (2, {"a": 2, "b": 1}, "c", Full.QUEUE),
        (2, {"a": 1, "b": 1}, "c", None),
    ],
)
def test_where_there_is_no_room(running, queued, tenant, full):
    turns = Turns(Bounds(running=2, waiting=3, running_of_one=2, waiting_of_one=2))
    for number in range(running):
        turns.put(f"runs-{number}", number)
        turns.take()
    for name, count in queued.items():
        for number in range(count):
            assert turns.full(name) is None
            turns.put(name, number)
    assert turns.full(tenant) is full


def test_what_is_dropped_is_gone():
    turns = Turns(ONE_BY_ONE)
    turns.put("a", 1)
    turns.put("a", 2)
    assert turns.drop("a", 1)
    assert not turns.drop("a", 1)
    assert not turns.drop("nobody", 1)
    assert turns.take() == ("a", 2)
    turns.put("b", 3)
    turns.put("c", 4)
    assert sorted(turns.clear()) == [3, 4]
    assert (turns.waiting, turns.running) == (0, 1)


def test_nothing_is_lost_or_served_twice_whatever_happens():
    chance = random.Random(1)
    turns = Turns(
        Bounds(running=3, waiting=20, running_of_one=2, waiting_of_one=8), weight=lambda name: 1.0 + name
    )
    put, running, ended = 0, [], []
    for _ in range(5000):
        match chance.choice(["put", "put", "take", "done", "drop"]):
            case "put":
                tenant = chance.randrange(5)
                if turns.full(tenant) is None:
                    turns.put(tenant, put)
                    put += 1
            case "take":
                taken = turns.take()
                if taken is not None:
                    running.append(taken)
            case "done" if running:
                tenant, item = running.pop(chance.randrange(len(running)))
                turns.done(tenant)
                ended.append(item)
            case "drop":
                item = chance.randrange(put + 1)
                if turns.drop(chance.randrange(5), item):
                    ended.append(item)
        assert turns.running == len(running) <= 3
        assert max([0, *([name for name, _ in running].count(tenant) for tenant in range(5))]) <= 2
    left = turns.clear()
    assert sorted([*ended, *left, *(item for _, item in running)]) == list(range(put))
    for tenant, _ in running:
        turns.done(tenant)
    assert turns._tenants == {}
