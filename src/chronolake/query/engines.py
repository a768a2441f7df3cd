"""The two engines behind one face: a statement and its values in, rows out, within a deadline."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import psycopg
from psycopg.rows import dict_row

from chronolake.errors import EngineUnavailable, LakeBehind, LakeIncomplete, QueryTimeout
from chronolake.lake import Lake, Snapshot, interrupting
from chronolake.oltp import Database
from chronolake.query import freshness
from chronolake.query.freshness import Demand, Freshness
from chronolake.query.live import Live
from chronolake.query.scanned import Scanned

Rows = list[dict[str, Any]]

#: Seconds that a question waits for a lake which is not as fresh as it asks.
WAIT_S = 1.0
POLL_S = 0.02
#: A lake that nobody has looked after for so long is not waited for: it will not become fresher by that.
STALE_S = 5.0

#: What tables that are not the lake's are called in its engine.
_LIVE = "chronolake_live_"
#: Sets the deadline of the transaction's next statements, and tells where the WAL is, in one round trip.
_BEFORE = "SELECT set_config('statement_timeout', %s, true), pg_current_wal_lsn()::text"


class Places:
    """How many questions an engine computes at the same time; whoever finds no place waits for one. Thread-safe."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._room = threading.BoundedSemaphore(count)

    @property
    def free(self) -> bool:
        """Whether there is a place now."""
        found = self._room.acquire(blocking=False)
        if found:
            self._room.release()
        return found

    @contextmanager
    def one(self, wait_s: float) -> Iterator[None]:
        """Hold a place within.

        Raises:
            EngineUnavailable: none became free in time.
        """
        if not self._room.acquire(timeout=wait_s):
            raise EngineUnavailable(
                f"too busy: PostgreSQL computes {self._count} questions already",
                hint="Try again in a moment, or raise CHRONOLAKE_POSTGRES_CONCURRENCY.",
                retry_after_s=1,
            )
        try:
            yield
        finally:
            self._room.release()


def run_duckdb(
    lake: Lake,
    database: Database,
    statement: Scanned,
    values: Mapping[str, Any],
    timeout_s: float,
    *,
    whole: bool,
    demand: Demand,
    told: Freshness | None = None,
    live: Live | None = None,
) -> tuple[Rows, Freshness]:
    """Ask the lake; how fresh it is was `told` just now, or comes from its checkpoint and the ledger.

    Raises:
        LakeIncomplete: the lake was to be `whole`, and nobody knows what it lacks.
        LakeBehind: it is not as fresh as demanded, and did not become so within WAIT_S.
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    fresh = told if told and demand.unmet(told) is None else fresh_enough(database, demand)
    if whole and fresh.as_of_lsn is None:
        raise LakeIncomplete("it has not followed PostgreSQL yet")
    rows, is_exact = run_scanned(lake, statement, values, timeout_s, fresh=fresh, live=live)
    return rows, replace(fresh, is_exact=is_exact)


def run_scanned(
    lake: Lake,
    statement: Scanned,
    values: Mapping[str, Any],
    timeout_s: float,
    *,
    fresh: Freshness | None,
    live: Live | None = None,
) -> tuple[Rows, bool]:
    """Ask the lake as it was when it was so `fresh` where that can be, else as it is, by its tables' names.

    Tables that are `live` are read from there.

    Returns:
        The rows, and whether they are of exactly the snapshot that `fresh` names.

    Raises:
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    with opened_scan(lake, statement, values, timeout_s, fresh=fresh, live=live) as scan:
        scan.cursor.execute(scan.text, dict(values))
        return rows_of(scan.cursor, scan.cursor.fetchall()), scan.is_exact


@dataclass(frozen=True)
class Scan:
    """A cursor and the text that it is to run; `is_exact` where that reads the snapshot that was asked for."""

    cursor: duckdb.DuckDBPyConnection
    text: str
    is_exact: bool


@contextmanager
def opened_scan(
    lake: Lake,
    statement: Scanned,
    values: Mapping[str, Any],
    timeout_s: float,
    *,
    fresh: Freshness | None,
    live: Live | None = None,
) -> Iterator[Scan]:
    """A scan within its deadline, as `run_scanned` says.

    Raises:
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    tables = {} if live is None else live.tables
    stored = [one for one in statement.wanted(values) if one.table not in tables]
    with ExitStack() as leases:
        found = None
        if fresh is not None and fresh.snapshot_id is not None:
            found = leases.enter_context(lake.lent(stored, fresh.snapshot_id, fresh.laid))
        relations = iter([f'"{one.table}"' for one in stored] if found is None else found)
        text = statement.over(
            [_LIVE + read.table if read.table in tables else next(relations) for read in statement.reads]
        )
        opened = lake.cursor if found is None else lake.file_cursor
        with lake.errors_translated(), opened() as cursor, interrupting(cursor, timeout_s):
            for name, rows in tables.items():
                cursor.register(_LIVE + name, rows)
            is_exact = found is not None
            yield Scan(cursor, text if is_exact or tables else statement.text, is_exact)


def fresh_enough(database: Database, demand: Demand) -> Freshness:
    """How fresh the lake is, once that is enough.

    Raises:
        LakeBehind: it did not become so within WAIT_S.
    """
    deadline = time.monotonic() + WAIT_S
    while True:
        with database.glance() as conn:
            fresh = freshness.of_lake(conn)
        unmet = demand.unmet(fresh)
        if unmet is None:
            return fresh
        if time.monotonic() >= deadline or fresh.lag_s is None or fresh.lag_s > STALE_S:
            raise LakeBehind(unmet)
        time.sleep(POLL_S)


def run_duckdb_as_of(
    lake: Lake, snapshot: Snapshot, text: str, values: Mapping[str, Any], timeout_s: float
) -> tuple[Rows, Freshness]:
    """Ask the lake as it was; `text` names the snapshot.

    Raises:
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    with lake.errors_translated(), lake.cursor() as cursor, interrupting(cursor, timeout_s):
        cursor.execute(text, dict(values))
        return rows_of(cursor, cursor.fetchall()), freshness.of_snapshot(snapshot)


def rows_of(cursor: duckdb.DuckDBPyConnection, fetched: list[tuple[Any, ...]]) -> Rows:
    """Rows as mappings by the names of the cursor's columns; of two of one name, the later is `name_2`."""
    names: list[str] = []
    for column in cursor.description or ():
        name, number = str(column[0]), 1
        while name in names:
            number += 1
            name = f"{column[0]}_{number}"
        names.append(name)
    return [dict(zip(names, row, strict=True)) for row in fetched]


def run_postgres(
    database: Database, text: str, values: Mapping[str, Any], timeout_s: float
) -> tuple[Rows, Freshness]:
    """Ask PostgreSQL.

    Raises:
        QueryTimeout: the deadline passed.
        DatabaseError: PostgreSQL could not answer.
    """
    with database.connection() as conn:
        try:
            # Told before the query: the answer is what PostgreSQL held at that LSN, or later.
            told = conn.execute(_BEFORE, [str(max(1, round(timeout_s * 1000)))]).fetchone()
            fresh = freshness.of_postgres(told[1] if told else None)
            with conn.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(text.encode(), dict(values)).fetchall(), fresh
        except psycopg.errors.QueryCanceled:
            raise QueryTimeout(f"the query was stopped after {timeout_s:g} s", timeout_s=timeout_s) from None
