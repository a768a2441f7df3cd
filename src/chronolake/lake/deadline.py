"""A deadline for a query: DuckDB has no statement timeout, so a thread interrupts the cursors whose time is over.

One thread watches all of a process's queries: to start one for each took as long as a small answer from a rollup.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from chronolake.errors import QueryTimeout

#: Seconds between two interrupts of one cursor.
_AGAIN_S = 0.05


@dataclass(eq=False)
class _Watched:
    """A cursor, when it is to be interrupted next by the monotonic clock, and whether it was."""

    cursor: duckdb.DuckDBPyConnection
    due: float
    passed: bool = False


class _Watch:
    """Interrupts what it is told to watch once that is due, again and again until it is let go."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[_Watched] = set()
        self._thread: threading.Thread | None = None
        #: when the thread looks again by itself; null while it waits for something to watch
        self._looks_at: float | None = None

    def begin(self, cursor: duckdb.DuckDBPyConnection, timeout_s: float) -> _Watched:
        """Watch the cursor from now on."""
        watched = _Watched(cursor, time.monotonic() + timeout_s)
        with self._changed:
            self._watched.add(watched)
            # A process that was forked has none of its parent's threads.
            if self._thread is None or not self._thread.is_alive():
                self._looks_at = None
                self._thread = threading.Thread(target=self._run, name="deadline", daemon=True)
                self._thread.start()
            elif self._looks_at is None or watched.due < self._looks_at:
                self._changed.notify()
        return watched

    def end(self, watched: _Watched) -> None:
        """Let it go: once this has returned it is not interrupted any more."""
        with self._changed:
            self._watched.discard(watched)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for watched in self._watched:
                    if watched.due <= now:
                        # An interrupt between two statements stops neither: it is said again until the query has ended.
                        watched.passed = True
                        watched.due = now + _AGAIN_S
                        watched.cursor.interrupt()
                self._looks_at = min((watched.due for watched in self._watched), default=None)
                self._changed.wait(None if self._looks_at is None else max(0.0, self._looks_at - now))


_watch = _Watch()


@contextmanager
def interrupting(cursor: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt what `cursor` runs within, once `timeout_s` seconds have passed.

    The cursor can be used again afterwards.

    Raises:
        QueryTimeout: the deadline passed while a statement ran.
    """
    watched = _watch.begin(cursor, timeout_s)
    try:
        yield
    except duckdb.InterruptException:
        if not watched.passed:
            raise
        raise QueryTimeout(f"the query was stopped after {timeout_s:g} s", timeout_s=timeout_s) from None
    finally:
        # Whoever interrupts now would stop the cursor's next query.
        _watch.end(watched)
