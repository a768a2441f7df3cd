"""Shadow mode: a share of the questions is answered by a second engine as well, and differences are counted.

Whoever asked does not wait for it. PostgreSQL is the truth, so it is what the lake is compared with, both as of the
same LSN or later; while rows keep changing between two looks at PostgreSQL, nothing can be said, and that is said.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any

from chronolake import chance
from chronolake.errors import ChronolakeError, LakeBehind
from chronolake.telemetry import logs, metrics

#: Comparisons that may wait; while more do, the machine has better things to do.
WAITING = 8

Rows = list[dict[str, Any]]

_log = logs.get_logger(__name__)


class Compared(StrEnum):
    """What came of a comparison; labels the metric."""

    SAME = "same"
    DIFFERENT = "different"
    MOVING = "moving"  #: PostgreSQL's own answer changed meanwhile
    BEHIND = "behind"  #: the lake did not get as far in time
    FAILED = "failed"  #: an engine gave no answer
    SKIPPED = "skipped"  #: too many waited


class Shadow:
    """Compares the answers to a `share` of the questions, one at a time. Thread-safe."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._room = threading.BoundedSemaphore(WAITING)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="shadow")

    def close(self) -> None:
        """Let the comparison that runs end, and drop those that wait."""
        self._worker.shutdown(cancel_futures=True)

    def maybe(self, name: str, truth: Callable[[], Rows], lake: Callable[[], Rows]) -> None:
        """Compare what both say of a question, if it is one of the share; returns at once."""
        if chance.fraction() >= self._share:
            return
        if not self._room.acquire(blocking=False):
            metrics.SHADOWED.labels(outcome=Compared.SKIPPED.value).inc()
            return
        try:
            running = self._worker.submit(self._compare, name, truth, lake)
        except RuntimeError:
            # It was closed meanwhile.
            self._room.release()
        else:
            running.add_done_callback(lambda _: self._room.release())

    def _compare(self, name: str, truth: Callable[[], Rows], lake: Callable[[], Rows]) -> None:
        try:
            outcome = compared(truth, lake)
        except ChronolakeError as error:
            outcome = Compared.FAILED
            _log.warning("query.shadow_failed", question=name, error=error.message)
        if outcome is Compared.DIFFERENT:
            _log.error(
                "query.engines_differ",
                question=name,
                hint="Compare the stores: chronolake sync verify --repair",
            )
        metrics.SHADOWED.labels(outcome=outcome.value).inc()


def compared(truth: Callable[[], Rows], lake: Callable[[], Rows]) -> Compared:
    """Whether the lake says what PostgreSQL says: `truth` is asked, then `lake`, as far as that at least.

    Raises:
        ChronolakeError: one of them gave no answer.
    """
    before = truth()
    try:
        found = lake()
    except LakeBehind:
        return Compared.BEHIND
    if found == before:
        return Compared.SAME
    after = truth()
    if found == after:
        return Compared.SAME
    return Compared.DIFFERENT if after == before else Compared.MOVING
