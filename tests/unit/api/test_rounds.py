"""Rounds of the event loop stay short: few requests begin in one, in their order, and what is ready goes past them."""

import asyncio

import pytest

from chronolake.api.rounds import Rounds

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_few_begin_in_a_round_and_in_the_order_in_which_they_came():
    rounds, began, loop = Rounds(per_round=2), [], asyncio.get_running_loop()
    number = 0

    def count():
        nonlocal number
        number += 1
        loop.call_soon(count)

    async def request(name):
        await rounds.turn()
        began.append((name, number))

    loop.call_soon(count)
    await asyncio.gather(*(request(name) for name in range(9)))
    assert [name for name, _ in began] == list(range(9))
    by_round = [sum(at == one for _, at in began) for one in range(number + 1)]
    assert max(by_round) == 2
    # None is left out while somebody waits.
    assert number <= 9


async def test_what_a_thread_has_done_is_told_before_all_have_begun():
    rounds, told = Rounds(per_round=1), []

    async def request(name):
        await rounds.turn()
        told.append(name)

    async def computed():
        await asyncio.to_thread(lambda: None)
        told.append("computed")

    waiting = asyncio.ensure_future(computed())
    await asyncio.gather(*(request(name) for name in range(2000)))
    await waiting
    assert told.index("computed") < 1900


async def test_who_goes_away_takes_no_turn():
    rounds, began = Rounds(per_round=1), []

    async def request(name):
        await rounds.turn()
        began.append(name)

    asking = [asyncio.ensure_future(request(name)) for name in range(4)]
    await asyncio.sleep(0)
    asking[1].cancel()
    asking[3].cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert began == [0, 2]
    # And the next one finds room.
    await asyncio.wait_for(request("next"), 60)
