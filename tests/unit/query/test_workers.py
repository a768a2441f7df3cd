"""Threads for queries: bounded, named after who asked, never leaking room."""

import asyncio
import threading

import pytest
import structlog

from chronolake.errors import EngineUnavailable, Retry
from chronolake.query.workers import Workers
from chronolake.telemetry import logs, metrics

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def waiting():
    return metrics.REGISTRY.get_sample_value("chronolake_queries_waiting")


@pytest.fixture
def held():
    """One thread, room for one more to wait; the first work holds the thread until it is let go."""
    workers = Workers(concurrency=1, queue_size=1)
    begun, go = threading.Event(), threading.Event()

    def work():
        begun.set()
        go.wait(60)
        return "first"

    yield workers, work, begun, go
    go.set()
    workers.close()


async def test_what_work_returns_and_raises_comes_back(held):
    workers, *_ = held
    assert await workers.run(lambda: 7) == 7
    with pytest.raises(KeyError):
        await workers.run(lambda: {}["x"])
    assert await workers.run(threading.current_thread) is not threading.current_thread()


async def test_a_full_queue_refuses_at_once_and_room_comes_back(held):
    workers, work, begun, go = held
    before = waiting()
    first = asyncio.ensure_future(workers.run(work))
    await asyncio.to_thread(begun.wait, 60)
    second = asyncio.ensure_future(workers.run(lambda: "second"))
    await asyncio.sleep(0)
    assert waiting() == before + 1
    with pytest.raises(EngineUnavailable, match="waiting"):
        await workers.run(lambda: "third")
    go.set()
    assert (await first, await second) == ("first", "second")
    assert await workers.run(lambda: "fourth") == "fourth"
    assert waiting() == before


async def test_who_gives_up_while_waiting_leaves_no_trace(held):
    workers, work, begun, go = held
    before = waiting()
    first = asyncio.ensure_future(workers.run(work))
    await asyncio.to_thread(begun.wait, 60)
    second = asyncio.ensure_future(workers.run(lambda: "second"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert waiting() == before
    third = asyncio.ensure_future(workers.run(lambda: "third"))
    go.set()
    assert (await first, await third) == ("first", "third")


async def test_work_that_runs_keeps_its_room_when_the_one_who_asked_goes_away(held):
    workers, work, begun, go = held
    first = asyncio.ensure_future(workers.run(work))
    await asyncio.to_thread(begun.wait, 60)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.ensure_future(workers.run(lambda: "second"))
    await asyncio.sleep(0)
    with pytest.raises(EngineUnavailable):
        await workers.run(lambda: "third")
    go.set()
    assert await second == "second"


async def test_the_request_id_follows_into_the_thread(held):
    workers, *_ = held
    with logs.bound(request_id="r-1"):
        found = await workers.run(structlog.contextvars.get_contextvars)
    assert found["request_id"] == "r-1"


async def test_tenants_take_turns():
    workers = Workers(concurrency=1, queue_size=100)
    begun, go, order = threading.Event(), threading.Event(), []

    def hold():
        begun.set()
        go.wait(60)

    first = asyncio.ensure_future(workers.run(hold, tenant="many"))
    await asyncio.to_thread(begun.wait, 60)
    rest = [asyncio.ensure_future(workers.run(lambda: order.append("many"), tenant="many")) for _ in range(9)]
    await asyncio.sleep(0)
    rest += [asyncio.ensure_future(workers.run(lambda: order.append("few"), tenant="few")) for _ in range(2)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, *rest)
    workers.close()
    assert order[:4].count("few") == 2


async def test_a_tenant_that_has_its_share_is_told_when_to_come_again(held):
    workers = Workers(concurrency=2, queue_size=4, tenant_concurrency=1, tenant_queue_size=1)
    _, work, begun, go = held
    refused = metrics.REGISTRY.get_sample_value("chronolake_queries_refused_total", {"reason": "tenant"}) or 0
    first = asyncio.ensure_future(workers.run(work, tenant="a"))
    await asyncio.to_thread(begun.wait, 60)
    second = asyncio.ensure_future(workers.run(lambda: "second", tenant="a"))
    await asyncio.sleep(0)
    with pytest.raises(EngineUnavailable, match=r"too busy.*same projects") as caught:
        await workers.run(lambda: "third", tenant="a")
    assert caught.value.facts["retry_after_s"] >= 1
    assert caught.value.retry is Retry.LATER
    # Another's has a place kept for it, and is answered while the first one's waits.
    assert await workers.run(lambda: "other", tenant="b") == "other"
    assert not second.done()
    go.set()
    assert (await first, await second) == ("first", "second")
    workers.close()
    found = metrics.REGISTRY.get_sample_value("chronolake_queries_refused_total", {"reason": "tenant"})
    assert found == refused + 1


async def test_what_waits_when_it_closes_is_let_go():
    workers = Workers(concurrency=1, queue_size=4)
    before = waiting()
    begun, go = threading.Event(), threading.Event()

    def hold():
        begun.set()
        go.wait(60)
        return "held"

    first = asyncio.ensure_future(workers.run(hold))
    await asyncio.to_thread(begun.wait, 60)
    second = asyncio.ensure_future(workers.run(lambda: "never"))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(asyncio.to_thread(workers.close))
    with pytest.raises(asyncio.CancelledError):
        await second
    go.set()
    assert await first == "held"
    await closing
    assert waiting() == before
    with pytest.raises(EngineUnavailable):
        await workers.run(lambda: "too late")
