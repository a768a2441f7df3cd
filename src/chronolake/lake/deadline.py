"""A deadline for a query: DuckDB has no statement timeout, so a timer interrupts the cursor."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from chronolake.errors import QueryTimeout

#: Seconds between two interrupts of one cursor.
_AGAIN_S = 0.05


@contextmanager
def interrupting(cursor: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt what `cursor` runs within, once `timeout_s` seconds have passed.

    The cursor can be used again afterwards.

    Raises:
        QueryTimeout: the deadline passed while a statement ran.
    """
    ended = threading.Event()
    passed = threading.Event()

    def stop() -> None:
        if ended.wait(timeout_s):
            return
        passed.set()
        # An interrupt between two statements stops neither: it is said again until the block has ended.
        while True:
            cursor.interrupt()
            if ended.wait(_AGAIN_S):
                return

    watcher = threading.Thread(target=stop, name="deadline", daemon=True)
    watcher.start()
    try:
        yield
    except duckdb.InterruptException:
        if not passed.is_set():
            raise
        raise QueryTimeout(f"the query was stopped after {timeout_s:g} s", timeout_s=timeout_s) from None
    finally:
        ended.set()
        # A watcher that speaks now would stop the cursor's next query.
        watcher.join()
