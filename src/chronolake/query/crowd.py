"""Questions on their way: one thread looks up, another computes, and equal ones at the same time are computed once.

From thread to thread they are handed on without the event loop, which hears of the answer alone: under load it comes
round to each thing that it has to do after all others, and a question that passed it eight times waited eight times.
"""

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from chronolake.errors import ChronolakeError
from chronolake.query.answer import Answer
from chronolake.query.asked import Asked
from chronolake.query.scope import Scope
from chronolake.query.workers import Workers, outcome

#: The question with its parameters read, and its answer, null where it has yet to be computed.
LookedUp = tuple[Asked, Answer | None]


class Crowd:
    """Answers questions by the threads of `front`, which look up, and of `workers`, which compute. Thread-safe.

    Those of `renewers` do both for questions that nobody waits for.

    A `tenant` is whose turn a question takes; where none is named, its scope is.
    """

    def __init__(
        self, *, front: Workers, workers: Workers, renewers: Workers, compute: Callable[[Asked], Answer]
    ) -> None:
        self._front = front
        self._workers = workers
        self._renewers = renewers
        self._compute = compute
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[Answer]] = {}
        self._renewing: set[Hashable] = set()

    @property
    def running(self) -> int:
        """How many different questions are being computed, or wait to be."""
        return len(self._running)

    async def answer(
        self, look_up: Callable[[], LookedUp], *, scope: Scope, tenant: Hashable
    ) -> tuple[Asked, Answer]:
        """What `look_up` finds, or computes to. Whoever goes away takes nothing from others who ask the same.

        Raises:
            EngineUnavailable: too many wait.
            ChronolakeError: as looking up and computing.
        """
        found: Future[tuple[Asked, Answer]] = Future()

        def look() -> None:
            asked, kept = look_up()
            if kept is not None:
                found.set_result((asked, kept))
                return
            computing = self._computing(asked, tenant or asked.scope)
            computing.add_done_callback(lambda done: _hand_on(done, found, lambda: (asked, done.result())))

        looking = self._front.submit(look, tenant=tenant or scope)
        looking.add_done_callback(lambda done: _hand_on(done, found))
        try:
            return await outcome(found)
        except asyncio.CancelledError:
            # What has begun is of use to others, or to the cache.
            looking.cancel()
            raise

    def renew(
        self,
        name: Hashable,
        look_up: Callable[[], LookedUp],
        *,
        scope: Scope,
        tenant: Hashable,
        failed: Callable[[BaseException], None],
    ) -> None:
        """Have a question answered anew that nobody waits for, unless one of that `name` is under way.

        `failed` hears of it where that comes to nothing.
        """
        with self._lock:
            if name in self._renewing:
                return
            self._renewing.add(name)

        def ended(done: "Future[None]") -> None:
            self._renewing.discard(name)
            if not done.cancelled() and (error := done.exception()) is not None:
                failed(error)

        def work() -> None:
            asked, kept = look_up()
            if kept is None:
                self._compute_here(asked)

        try:
            working = self._renewers.submit(work, tenant=tenant or scope)
        except ChronolakeError as error:
            self._renewing.discard(name)
            failed(error)
            return
        working.add_done_callback(ended)

    def _compute_here(self, asked: Asked) -> None:
        """Compute it in this thread, for all who ask the same meanwhile, unless that is being done already."""
        name, mine = asked.name, Future[Answer]()
        with self._lock:
            if name in self._running:
                return
            self._running[name] = mine
        mine.add_done_callback(lambda _: self._running.pop(name, None))
        try:
            mine.set_result(self._compute(asked))
        except BaseException as error:
            mine.set_exception(error)
            raise

    def _computing(self, asked: Asked, tenant: Hashable) -> "Future[Answer]":
        """The computation of it, or of the very same question that is under way: a crowd costs as much as one."""
        name = asked.name
        with self._lock:
            running = self._running.get(name)
            if running is not None:
                return running
            running = self._workers.submit(lambda: self._compute(asked), tenant=tenant)
            self._running[name] = running
        # Where it has ended by now it is called at once, and would wait for the lock for ever.
        running.add_done_callback(lambda _: self._running.pop(name, None))
        return running


def _hand_on(
    done: "Future[Answer] | Future[None]",
    found: "Future[tuple[Asked, Answer]]",
    result: Callable[[], tuple[Asked, Answer]] | None = None,
) -> None:
    """Let whoever waits for `found` hear how it went; without a `result` only of what came to nothing."""
    if done.cancelled():
        found.cancel()
    elif (error := done.exception()) is not None:
        found.set_exception(error)
    elif result is not None:
        found.set_result(result())
