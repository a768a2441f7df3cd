"""Questions on their way: computed once for all who ask, handed on between threads, left by who goes away."""

import asyncio
import threading
from dataclasses import dataclass

import pytest

from chronolake.errors import EngineUnavailable, LakeUnavailable
from chronolake.query.crowd import Crowd
from chronolake.query.scope import Scope
from chronolake.query.workers import Workers

pytestmark = pytest.mark.anyio
EVERYTHING = Scope.everything()


@dataclass(frozen=True)
class Question:
    """As much of a question as a crowd looks at."""

    name: str
    scope: Scope = EVERYTHING


class Computing:
    """Computes answers that can be held up; remembers what it was asked."""

    def __init__(self):
        self.asked, self.go, self.begun = [], threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, asked):
        self.asked.append(asked.name)
        self.begun.set()
        assert self.go.wait(60)
        if asked.name == "broken":
            raise LakeUnavailable("it is broken")
        return f"answer of {asked.name}"


@pytest.fixture
def compute():
    return Computing()


@pytest.fixture
def crowd(compute):
    front, workers = Workers(concurrency=2, queue_size=100), Workers(concurrency=2, queue_size=2)
    renewers = Workers(concurrency=1, queue_size=100)
    yield Crowd(front=front, workers=workers, renewers=renewers, compute=compute)
    compute.go.set()
    front.close()
    renewers.close()
    workers.close()


async def until(condition):
    """Let others work until it holds; a minute is for ever here."""
    for _ in range(60_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come about")


def ask(crowd, name, kept=None):
    asked = Question(name)
    return crowd.answer(lambda: (asked, kept), scope=EVERYTHING, tenant=None)


async def test_what_is_kept_is_not_computed(crowd, compute):
    assert await ask(crowd, "q", kept="kept") == (Question("q"), "kept")
    assert await ask(crowd, "q") == (Question("q"), "answer of q")
    assert compute.asked == ["q"]
    assert crowd.running == 0


async def test_equal_questions_at_the_same_time_are_computed_once(crowd, compute):
    compute.go.clear()
    asking = [asyncio.ensure_future(ask(crowd, "q")) for _ in range(20)]
    other = asyncio.ensure_future(ask(crowd, "other"))
    await asyncio.to_thread(compute.begun.wait, 60)
    compute.go.set()
    assert {answer for _, answer in await asyncio.gather(*asking)} == {"answer of q"}
    assert (await other)[1] == "answer of other"
    assert sorted(compute.asked)[:2] == ["other", "q"]
    # Who came once it was there asked anew.
    assert len(compute.asked) <= 3


async def test_who_goes_away_takes_nothing_from_the_others(crowd, compute):
    compute.go.clear()
    gone, stays = (asyncio.ensure_future(ask(crowd, "q")) for _ in range(2))
    await asyncio.to_thread(compute.begun.wait, 60)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    compute.go.set()
    assert (await stays)[1] == "answer of q"
    assert compute.asked == ["q"]


@pytest.mark.parametrize("where", ["looking up", "computing", "no room"])
async def test_what_goes_wrong_is_told_to_who_asked(crowd, compute, where):
    if where == "looking up":

        def look_up():
            raise LakeUnavailable("it is broken")

        with pytest.raises(LakeUnavailable):
            await crowd.answer(look_up, scope=EVERYTHING, tenant=None)
    elif where == "computing":
        with pytest.raises(LakeUnavailable):
            await ask(crowd, "broken")
    else:
        compute.go.clear()
        # Two are computed, two wait.
        asking = [asyncio.ensure_future(ask(crowd, f"q{number}")) for number in range(4)]
        await until(lambda: crowd.running == 4)
        with pytest.raises(EngineUnavailable, match="waiting"):
            await ask(crowd, "one too many")
        compute.go.set()
        await asyncio.gather(*asking)
    assert crowd.running == 0


async def test_one_that_is_renewed_is_renewed_once_at_a_time(crowd, compute):
    failures = []

    def renew(name):
        asked = Question(name)
        crowd.renew(
            name,
            lambda: (asked, None),
            scope=EVERYTHING,
            tenant=None,
            failed=failures.append,
        )

    compute.go.clear()
    for _ in range(10):
        renew("q")
    await asyncio.to_thread(compute.begun.wait, 60)
    compute.go.set()
    await until(lambda: not crowd.running)
    assert compute.asked == ["q"]
    renew("broken")
    await until(lambda: len(failures) == 1)
    # It may be tried again.
    renew("broken")
    await until(lambda: len(failures) == 2)
    assert {str(error) for error in failures} == {"it is broken"}
    assert compute.asked == ["q", "broken", "broken"]


async def test_a_renewal_that_finds_it_kept_computes_nothing(crowd, compute):
    looked = threading.Event()

    def look_up():
        looked.set()
        return Question("q"), "kept"

    crowd.renew("q", look_up, scope=EVERYTHING, tenant=None, failed=lambda _: None)
    await asyncio.to_thread(looked.wait, 60)
    assert await ask(crowd, "other") == (Question("other"), "answer of other")
    assert compute.asked == ["other"]
