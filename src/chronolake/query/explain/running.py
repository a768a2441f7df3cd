"""Statements run once more, for the engine to tell how: read only, and within a deadline."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import psycopg
from psycopg import Connection

from chronolake.errors import EngineUnavailable, LakeError, QueryTimeout
from chronolake.lake import Lake, interrupting
from chronolake.query.engines import opened_scan
from chronolake.query.freshness import Freshness
from chronolake.query.live import Live
from chronolake.query.scanned import Scanned

_DUCKDB = "EXPLAIN (ANALYZE, FORMAT JSON) "
_POSTGRES = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "

Document = Mapping[str, Any]
Stop = Callable[[], None]


class Stopping:
    """Stops what runs now, and from then on lets nothing run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: Stop | None = None
        self._stopped = False

    @contextmanager
    def by(self, stop: Stop) -> Iterator[None]:
        """What runs within is stopped by `stop`, which another thread calls.

        Raises:
            EngineUnavailable: nothing is to run any more.
        """
        with self._lock:
            if self._stopped:
                raise EngineUnavailable("it is closing")
            self._stop = stop
        try:
            yield
        finally:
            with self._lock:
                self._stop = None

    def now(self) -> None:
        """Stop what runs."""
        with self._lock:
            self._stopped = True
            if self._stop is not None:
                self._stop()


def by_postgres(
    conn: Connection, text: str, values: Mapping[str, Any], timeout_s: float, stopping: Stopping
) -> Document:
    """What PostgreSQL does to answer; the transaction of `conn` can only read from then on.

    Raises:
        QueryTimeout: the deadline passed.
    """
    conn.execute("SET TRANSACTION READ ONLY")
    conn.execute("SELECT set_config('statement_timeout', %s, true)", [str(max(1, round(timeout_s * 1000)))])
    try:
        with stopping.by(conn.cancel_safe):
            row = conn.execute((_POSTGRES + text).encode(), dict(values)).fetchone()
    except psycopg.errors.QueryCanceled:
        raise QueryTimeout(f"the query was stopped after {timeout_s:g} s", timeout_s=timeout_s) from None
    found: Document = row[0][0] if row else {}
    return found


def by_lake(
    lake: Lake,
    statement: Scanned,
    values: Mapping[str, Any],
    timeout_s: float,
    stopping: Stopping,
    *,
    fresh: Freshness | None,
    live: Live | None = None,
) -> Document:
    """What DuckDB does to answer a question.

    Raises:
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    with opened_scan(lake, statement, values, timeout_s, fresh=fresh, live=live) as scan:
        return _explained(scan.cursor, scan.text, values, stopping)


def by_sandbox(
    lake: Lake, statement: str, values: Mapping[str, Any], timeout_s: float, stopping: Stopping
) -> Document:
    """What DuckDB does to answer SQL that others wrote; it was checked and has its scope.

    Raises:
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    with lake.errors_translated(), lake.sandbox() as cursor, interrupting(cursor, timeout_s):
        return _explained(cursor, statement, values, stopping)


def _explained(
    cursor: duckdb.DuckDBPyConnection, text: str, values: Mapping[str, Any], stopping: Stopping
) -> Document:
    with stopping.by(cursor.interrupt):
        row = cursor.execute(_DUCKDB + text, dict(values)).fetchone()
    if row is None:
        raise LakeError("DuckDB did not tell how it answers")
    found: Document = json.loads(row[1])
    return found
