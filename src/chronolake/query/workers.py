"""Threads that run queries, so that the event loop never waits for one: few at a time, a bounded queue."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from chronolake.errors import EngineUnavailable
from chronolake.telemetry import metrics

T = TypeVar("T")


class Workers:
    """`concurrency` threads, and room for `queue_size` more queries that wait."""

    def __init__(self, *, concurrency: int, queue_size: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="query")
        self._room = threading.BoundedSemaphore(concurrency + queue_size)
        self._queue_size = queue_size

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, from a thread; what it logs bears what is bound here, as the request's id.

        Raises:
            EngineUnavailable: the queue is full.
        """
        if not self._room.acquire(blocking=False):
            raise EngineUnavailable(
                f"{self._queue_size} queries are waiting already",
                hint="Try again in a moment, or raise CHRONOLAKE_QUERY_CONCURRENCY.",
            )
        context = contextvars.copy_context()
        metrics.QUERIES_WAITING.inc()
        try:
            running = self._pool.submit(lambda: context.run(_started, work))
        except BaseException:
            metrics.QUERIES_WAITING.dec()
            self._room.release()
            raise
        # Room is given back when the work ends, not when the one who asked goes away.
        running.add_done_callback(self._ended)
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        """Let what runs end, and drop what waits."""
        self._pool.shutdown(cancel_futures=True)

    def _ended(self, done: "Future[T]") -> None:
        if done.cancelled():
            # It never began, so it did not leave the queue by itself.
            metrics.QUERIES_WAITING.dec()
        self._room.release()


def _started(work: Callable[[], T]) -> T:
    metrics.QUERIES_WAITING.dec()
    return work()
