"""Processes that read payloads, so that hostile content costs a process at most.

A payload that kills its worker, by a crash, memory or an endless loop, gets a typed failure; the worker's place is
taken by a new one. A worker has one payload at a time, so that no other is lost with it.
"""

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self

from chronolake.capture.payload import Payload
from chronolake.errors import WorkersBroken
from chronolake.extract.page import ExtractedPage, Failure, FailureKind
from chronolake.extract.process import Worker
from chronolake.settings import ExtractSettings
from chronolake.telemetry.metrics import EXTRACT_SECONDS, EXTRACTED

#: Workers that end before they were ready, in a row, after which it is no accident.
_FALSE_STARTS = 3


class ExtractorPool:
    """Worker processes for as long as the `with` block; used by one thread at a time."""

    def __init__(self, settings: ExtractSettings, workers: int | None = None) -> None:
        self._settings = settings
        self._count = workers or settings.workers or os.cpu_count() or 1
        self._workers: list[Worker] = []
        self._false_starts = 0

    def __enter__(self) -> Self:
        self._workers = [Worker(self._settings) for _ in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers = []

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.pid for worker in self._workers]

    def extract(self, payloads: Iterable[Payload]) -> Iterator[ExtractedPage | Failure]:
        """One result for each payload, as soon as it is there; the order is no promise.

        As many payloads are under way as there are workers, and no further one is asked for. What `payloads` raises
        comes through once the results of all that it gave are out.

        Raises:
            WorkersBroken: the worker processes do not come up.
        """
        source = _Source(payloads)
        try:
            while True:
                while (worker := self._idle()) and (payload := source.next()):
                    if (refused := self._refuse(payload)) is not None:
                        yield refused
                    else:
                        worker.give(payload)
                    # The next payload may be long in coming: what is there goes first.
                    yield from self._collect(source, timeout_s=0)
                if source.ended and not source.again and not any(worker.job for worker in self._workers):
                    break
                yield from self._collect(source, timeout_s=None)
        finally:
            # Whoever stops listening wants none of the results that are under way.
            for worker in [worker for worker in self._workers if worker.job]:
                worker.stop()
                self._replace(worker)
        if source.error is not None:
            raise source.error

    def _idle(self) -> Worker | None:
        return next((worker for worker in self._workers if worker.idle), None)

    def _refuse(self, payload: Payload) -> Failure | None:
        """The failure of a payload that no worker need see."""
        size, most = len(payload.body), self._settings.max_bytes
        if size <= most:
            return None
        EXTRACTED.labels(FailureKind.TOO_LARGE).inc()
        return Failure(
            payload.capture_id, FailureKind.TOO_LARGE, f"{size} bytes, of which {most} would be read"
        )

    def _collect(self, source: "_Source", timeout_s: float | None) -> Iterator[ExtractedPage | Failure]:
        """What the workers have to say; without a timeout, waits until one has."""
        awaited = {worker.connection: worker for worker in self._workers if worker.job or not worker.ready}
        patience = [worker.patience_s() for worker in awaited.values() if worker.job]
        if timeout_s is None and patience:
            timeout_s = max(0.0, min(patience))
        heard = wait(list(awaited), timeout_s)
        for connection, worker in awaited.items():
            if connection in heard:
                result = self._hear(worker, source)
                if result is not None:
                    EXTRACT_SECONDS.observe(time.monotonic() - worker.given_at)
                    EXTRACTED.labels(result.kind if isinstance(result, Failure) else "page").inc()
                    yield result
            elif worker.job and worker.patience_s() <= 0:
                worker.give_up()

    def _hear(self, worker: Worker, source: "_Source") -> ExtractedPage | Failure | None:
        try:
            result = worker.take()
        except EOFError:
            failure, said = worker.end()
            if not worker.ready:
                self._false_starts += 1
                if self._false_starts >= _FALSE_STARTS:
                    raise WorkersBroken(
                        f"a process that reads payloads ended as it began: {said.strip()[-500:]}"
                    ) from None
            if failure is None and worker.job is not None:
                # It died before it had begun with the payload, which is not at fault.
                source.again.append(worker.job)
            self._replace(worker)
            return failure
        if worker.ready:
            self._false_starts = 0
        if worker.leaves:
            worker.stop()
            self._replace(worker)
        return result

    def _replace(self, worker: Worker) -> None:
        self._workers[self._workers.index(worker)] = Worker(self._settings)


class _Source:
    """Payloads one by one: those that come back first, then the given ones until they end or fail."""

    def __init__(self, payloads: Iterable[Payload]) -> None:
        self._payloads = iter(payloads)
        self.again: deque[Payload] = deque()
        self.ended = False
        self.error: Exception | None = None

    def next(self) -> Payload | None:
        if self.again:
            return self.again.popleft()
        if self.ended:
            return None
        try:
            return next(self._payloads)
        except StopIteration:
            self.ended = True
        except Exception as error:  # noqa: BLE001  # it is raised later, once the results are out
            self.ended, self.error = True, error
        return None
