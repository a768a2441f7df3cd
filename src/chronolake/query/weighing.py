"""What both engines would take for a question, by the catalogs' notes and by what was learned. Thread-safe.

PostgreSQL's statistics are read once in a while by whoever asks then: no question costs it an EXPLAIN.
"""

import json
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chronolake.capture.columns import TABLES
from chronolake.clock import Clock, SystemClock
from chronolake.errors import QueryError
from chronolake.lake import Lake
from chronolake.oltp import Database, searches
from chronolake.oltp.statistics import TableStatistics, of_tables
from chronolake.query import cost
from chronolake.query.cost import Estimate
from chronolake.query.freshness import Freshness
from chronolake.query.learned import HALF_LIFE_S, Learned
from chronolake.query.params import read
from chronolake.query.question import named
from chronolake.query.route import Costs, Engine
from chronolake.query.scanned import Scanned, of_question

#: Seconds for which PostgreSQL's statistics are taken to hold: its own are made anew about as often, at most.
STATISTICS_S = 60.0
#: How far back, and how many runs, a process that begins learns from: older ones would count next to nothing.
RECALLED_S = 2 * HALF_LIFE_S
RECALLED_AT_MOST = 300
_TABLES = [table.postgres_table for table in TABLES.values()]
#: Columns that lead to rows, in some index of some table.
_COLUMNS = sorted(
    {"metric", "searched_at", "requested_at", "archive_source", "project_id"}
    | {name for table in TABLES.values() for name in (table.bucket_by, table.time, table.key) if name}
)


class Weighing:
    """Estimates for one lake and one database."""

    def __init__(self, *, database: Database, lake: Lake | None, clock: Clock | None = None) -> None:
        self._database = database
        self._lake = lake
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._tables: Mapping[str, TableStatistics] = {}
        self._read_at: float | None = None
        self._recalled = False
        self.learned = Learned(clock)

    def estimates(
        self, statement: Scanned, values: Mapping[str, Any], fresh: Freshness | None
    ) -> dict[Engine, Estimate]:
        """What each engine would take by its catalog's notes alone; one that nothing is known of is left out.

        `fresh` is how fresh the lake is; null leaves it out.

        Raises:
            LakeUnavailable: the lake's catalog is out of reach.
            DatabaseError: PostgreSQL could not be asked.
        """
        found: dict[Engine, Estimate] = {}
        if self._lake is not None and fresh is not None and fresh.snapshot_id is not None:
            reaches = self._lake.reach(statement.wanted(values), fresh.snapshot_id, fresh.laid)
            if reaches is not None:
                found[Engine.DUCKDB] = cost.of_lake(statement.reads, reaches, values)
        postgres = cost.of_postgres(statement.reads, self._statistics(), values)
        if postgres is not None:
            found[Engine.POSTGRES] = postgres
        return found

    def costs(self, question: str, estimates: dict[Engine, Estimate]) -> Costs | None:
        """What is expected of each engine, by its estimate and by what was learned; null where one has none."""
        if len(estimates) < len(Engine):
            return None
        told = self.learned.corrected(question, estimates)
        return Costs(told[Engine.DUCKDB].ms, told[Engine.POSTGRES].ms, told[Engine.POSTGRES].rows)

    def recall(self, fresh: Freshness | None) -> None:
        """Learn from what was asked of late, in whatever process, by the search history; once, and never again.

        Its times have the wait for a place in them, so they are a little long.

        Raises:
            LakeUnavailable: the lake's catalog is out of reach.
            DatabaseError: PostgreSQL could not be asked.
        """
        with self._lock:
            if self._recalled:
                return
            self._recalled = True
        since = self._clock.now().replace(tzinfo=None) - timedelta(seconds=RECALLED_S)
        with self._database.glance() as conn:
            runs = searches.timed(conn, since, RECALLED_AT_MOST)
        for run in runs:
            engine = Engine(run.engine)
            found = self._as_asked(run)
            if found is None:
                continue
            estimate = self.estimates(*found, fresh).get(engine)
            if estimate is not None:
                self.learned.note(run.question, engine, estimate, run.elapsed_ms, age_s=run.age_s, told=True)

    @staticmethod
    def _as_asked(run: searches.Timed) -> tuple[Scanned, dict[str, Any]] | None:
        """The statement and the values of a question that was asked; null where it cannot be asked any more."""
        try:
            question = named(run.question)
            values = read(question.name, question.params, json.loads(run.query_text)).model_dump()
        except (QueryError, ValueError, TypeError, AttributeError):
            return None
        return of_question(question, scoped=run.scoped), values

    def _statistics(self) -> Mapping[str, TableStatistics]:
        with self._lock:
            now = self._clock.monotonic()
            if self._read_at is not None and now - self._read_at < STATISTICS_S:
                # Whoever comes while they are read takes what there was.
                return self._tables
            self._read_at = now
        try:
            with self._database.glance() as conn:
                tables = of_tables(conn, _TABLES, _COLUMNS)
        except BaseException:
            with self._lock:
                self._read_at = None
            raise
        with self._lock:
            self._tables = tables
        return tables
