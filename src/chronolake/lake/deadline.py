"""A deadline for a query: DuckDB has no statement timeout, so a timer interrupts the cursor."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from chronolake.errors import QueryTimeout


@contextmanager
def interrupting(cursor: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt what `cursor` runs within, once `timeout_s` seconds have passed.

    The cursor can be used again afterwards.

    Raises:
        QueryTimeout: the deadline passed while a statement ran.
    """
    passed = threading.Event()

    def stop() -> None:
        passed.set()
        cursor.interrupt()

    timer = threading.Timer(timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException:
        if not passed.is_set():
            raise
        raise QueryTimeout(f"the query was stopped after {timeout_s:g} s", timeout_s=timeout_s) from None
    finally:
        timer.cancel()
        # A timer that fires now would stop the cursor's next query.
        timer.join()
