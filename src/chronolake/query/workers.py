"""Threads that run queries, so that the event loop never waits for one: few at a time, a bounded queue, fair turns."""

import asyncio
import contextvars
import math
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from chronolake.clock import Clock, SystemClock
from chronolake.errors import EngineUnavailable
from chronolake.query.turns import Bounds, Full, Turns
from chronolake.telemetry import metrics

T = TypeVar("T")

#: Seconds after which whoever was refused may come again, at least and at most: by then much has changed anyhow.
_SOONEST_S = 1
_LATEST_S = 60
#: Share that the newest work has in the mean time that work takes.
_NEWEST_SHARE = 0.2


@dataclass(eq=False)
class _Job:
    work: Callable[[], Any]
    context: contextvars.Context
    done: "Future[Any]"


class Workers:
    """`concurrency` threads, and room for `queue_size` more queries that wait.

    Of one tenant no more than `tenant_concurrency` run and `tenant_queue_size` wait, all by default; those of several
    take turns, as many as their `weight` says. Whoever names no tenant is of one that has no name.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        queue_size: int,
        tenant_concurrency: int | None = None,
        tenant_queue_size: int | None = None,
        weight: Callable[[Hashable], float] = lambda _: 1.0,
        clock: Clock | None = None,
    ) -> None:
        self._bounds = Bounds(
            concurrency, queue_size, tenant_concurrency or concurrency, tenant_queue_size or queue_size
        )
        self._turns: Turns[_Job] = Turns(self._bounds, weight)
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False
        #: seconds that work takes of late; null before any has ended
        self._mean_s: float | None = None

    async def run(self, work: Callable[[], T], *, tenant: Hashable = None) -> T:
        """What `work` returns, from a thread; what it logs bears what is bound here, as the request's id.

        Raises:
            EngineUnavailable: the queue is full, or has as many of this tenant as it may.
        """
        job = self.submit(work, tenant=tenant)
        try:
            return await outcome(job)
        except asyncio.CancelledError:
            job.cancel()
            raise

    def close(self) -> None:
        """Let what runs end, and drop what waits. Nothing can be run after it."""
        with self._changed:
            self._closed = True
            dropped = self._turns.clear()
            self._changed.notify_all()
        for job in dropped:
            if job.done.cancel():
                metrics.QUERIES_WAITING.dec()
        for thread in self._threads:
            thread.join()

    def submit(self, work: Callable[[], T], *, tenant: Hashable = None) -> "Future[T]":
        """As `run`, for whoever waits in another way or not at all; what has not begun can be cancelled."""
        job = _Job(work, contextvars.copy_context(), Future())
        with self._changed:
            if self._closed:
                raise EngineUnavailable("it is closing: nothing more is answered")
            full = self._turns.full(tenant)
            if full is not None:
                metrics.QUERIES_REFUSED.labels(reason=full.value).inc()
                raise self._refused(full)
            self._turns.put(tenant, job)
            metrics.QUERIES_WAITING.inc()
            if self._idle < self._turns.waiting and len(self._threads) < self._bounds.running:
                name = f"query_{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
                self._threads[-1].start()
            self._changed.notify()
        # Room is given back when the work ends, not when the one who asked goes away; what has not begun is let go.
        job.done.add_done_callback(lambda done: self._given_up(tenant, job) if done.cancelled() else None)
        return job.done

    def _refused(self, full: Full) -> EngineUnavailable:
        queued = self._turns.waiting / self._bounds.running
        wait_s = min(_LATEST_S, max(_SOONEST_S, math.ceil(queued * (self._mean_s or 0.0))))
        if full is Full.TENANT:
            message = (
                f"too busy: {self._bounds.waiting_of_one} queries of the same projects are waiting already"
            )
            remedy = "or raise CHRONOLAKE_QUERY_TENANT_QUEUE_SIZE"
        else:
            message = f"too busy: {self._bounds.waiting} queries are waiting already"
            remedy = "or raise CHRONOLAKE_QUERY_CONCURRENCY"
        return EngineUnavailable(message, hint=f"Try again in {wait_s} s, {remedy}.", retry_after_s=wait_s)

    def _given_up(self, tenant: Hashable, job: _Job) -> None:
        with self._changed:
            if self._turns.drop(tenant, job):
                metrics.QUERIES_WAITING.dec()

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            tenant, job = taken
            began = self._clock.monotonic()
            # Nobody can give up any more what has begun; whoever did before is not worked for.
            begun = job.done.set_running_or_notify_cancel()
            metrics.QUERIES_WAITING.dec()
            if begun:
                with metrics.QUERIES_RUNNING.track_inprogress():
                    _done(job)
            self._ended(tenant, self._clock.monotonic() - began)
            # What it holds is the answer, and this thread may wait for long.
            del taken, job

    def _next(self) -> tuple[Hashable, _Job] | None:
        with self._changed:
            while True:
                if self._closed:
                    return None
                taken = self._turns.take()
                if taken is not None:
                    return taken
                self._idle += 1
                try:
                    self._changed.wait()
                finally:
                    self._idle -= 1

    def _ended(self, tenant: Hashable, took_s: float) -> None:
        with self._changed:
            self._turns.done(tenant)
            before = took_s if self._mean_s is None else self._mean_s
            self._mean_s = before + _NEWEST_SHARE * (took_s - before)
            # A tenant that may run one more can be served by whoever is idle.
            self._changed.notify()


async def outcome(work: "Future[T]") -> T:
    """What the work of a thread came to; the loop is woken once. Whoever is cancelled meanwhile leaves it as it is.

    Raises:
        CancelledError: it was dropped, as where its threads were told to end.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    def wake(_: "Future[T]") -> None:
        # Nobody waits any more in a loop that is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)

    work.add_done_callback(wake)
    await ended
    if work.cancelled():
        raise asyncio.CancelledError
    return work.result()


def _done(job: _Job) -> None:
    try:
        found = job.context.run(job.work)
    except BaseException as error:  # noqa: BLE001  # whoever asked is to hear of it, whatever it is
        job.done.set_exception(error)
    else:
        job.done.set_result(found)
