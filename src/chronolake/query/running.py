"""The engines at work: each question within its deadline and its place, watched by a breaker, measured by a clock."""

import time
from datetime import datetime

from chronolake.errors import DatabaseError, EngineUnavailable, LakeError, LakeUnavailable
from chronolake.lake import Lake
from chronolake.oltp import Database
from chronolake.query import route
from chronolake.query.asked import Asked
from chronolake.query.engines import Places, Rows, run_duckdb, run_duckdb_as_of, run_postgres
from chronolake.query.freshness import Demand, Freshness
from chronolake.query.health import EngineHealth
from chronolake.query.route import Engine
from chronolake.query.text import bound, written
from chronolake.query.weighing import Weighing
from chronolake.settings import QuerySettings

SWITCHED_OFF = "analytics are switched off (ANALYTICS_ENABLED)"


class Running:
    """Runs questions on one lake and one database. Thread-safe."""

    def __init__(
        self,
        *,
        database: Database,
        lake: Lake | None,
        settings: QuerySettings,
        lake_error: LakeError | None = None,
    ) -> None:
        self._database = database
        self._lake = lake
        self._lake_error = lake_error or LakeUnavailable("the lake is out of reach")
        self._settings = settings
        self.weighing = Weighing(database=database, lake=lake)
        self.health = EngineHealth(failures=settings.engine_failures, pause_s=settings.engine_pause_s)
        self.postgres_places = Places(settings.postgres_concurrency)

    @property
    def lake_off(self) -> str | None:
        """Why there is no lake; null where there is one."""
        if self._lake is not None:
            return None
        return self._lake_error.message if self._settings.analytics_enabled else SWITCHED_OFF

    def on(self, engine: Engine, asked: Asked) -> tuple[Rows, Freshness]:
        """The answer of that engine.

        Raises:
            LakeError: the lake could not be used.
            DatabaseError: PostgreSQL could not answer.
            EngineUnavailable: it is let alone, is too busy, or would have to bear too much.
            QueryTimeout: the deadline passed.
        """
        return self.in_postgres(asked) if engine is Engine.POSTGRES else self.in_lake(asked)

    def in_lake(self, asked: Asked) -> tuple[Rows, Freshness]:
        """The lake's answer, and how fresh that is; errors as `on`."""
        if self._lake is None:
            raise self.no_lake("duckdb answers over the lake")
        with self.health.watching(Engine.DUCKDB):
            began = time.perf_counter()
            rows, fresh = run_duckdb(
                self._lake,
                self._database,
                asked.statement,
                bound(asked.values, asked.scope),
                self._settings.timeout_s,
                whole=asked.chosen_freely,
                demand=asked.demand,
                told=asked.fresh,
                live=asked.live,
            )
        told_before = asked.fresh is not None and fresh.as_of == asked.fresh.as_of
        waited = asked.demand != Demand() and not told_before
        if not waited and asked.chosen.code is not route.Reason.POSTGRES_FAILED:
            self._learn(asked, Engine.DUCKDB, fresh, began)
        return rows, fresh

    def in_postgres(self, asked: Asked) -> tuple[Rows, Freshness]:
        """PostgreSQL's answer, once it has a place for it; errors as `on`."""
        scoped = asked.scope.project_ids is not None
        timeout_s = self._settings.timeout_s
        if asked.chosen_freely:
            self._check_bearable(asked)
        # Who came for the price goes to the lake where there is no place; all others wait for one.
        wait_s = 0.0 if asked.chosen.code is route.Reason.CHEAPER else timeout_s
        with self.postgres_places.one(wait_s), self.health.watching(Engine.POSTGRES):
            began = time.perf_counter()
            text = written(asked.question, Engine.POSTGRES, scoped=scoped)
            found = run_postgres(self._database, text, bound(asked.values, asked.scope), timeout_s)
        self._learn(asked, Engine.POSTGRES, None, began)
        return found

    def _check_bearable(self, asked: Asked) -> None:
        """Refuse what nobody sent to PostgreSQL and what would be too much for it.

        Raises:
            EngineUnavailable: by estimate it would read more rows than CHRONOLAKE_POSTGRES_MOST_ROWS.
        """
        most = self._settings.postgres_most_rows
        with self.health.watching(Engine.POSTGRES):
            estimates = self.weighing.estimates(asked.statement, asked.values, None)
        rows = estimates[Engine.POSTGRES].rows if Engine.POSTGRES in estimates else 0
        if rows > most:
            raise EngineUnavailable(
                f"PostgreSQL would read about {rows} rows for it, and may read {most}",
                hint="Ask when the lake is there, with engine=postgres, or raise CHRONOLAKE_POSTGRES_MOST_ROWS.",
            )

    def _learn(self, asked: Asked, engine: Engine, fresh: Freshness | None, began: float) -> None:
        """Remember how long it took, beside what was estimated."""
        ms = (time.perf_counter() - began) * 1000
        if not self._settings.postgres_cheap_rows:
            return
        try:
            estimate = self.weighing.estimates(asked.statement, asked.values, fresh).get(engine)
        except (LakeError, DatabaseError):
            return
        if estimate is not None:
            self.weighing.learned.note(asked.question.name, engine, estimate, ms)

    def past(self, asked: Asked, at: datetime) -> tuple[Rows, Freshness]:
        """What the lake would have answered then.

        Raises:
            SnapshotExpired: the lake does not reach back so far.
            LakeError, EngineUnavailable, QueryTimeout: as `on`.
        """
        if self._lake is None:
            raise self.no_lake("only the lake knows what was")
        scoped = asked.scope.project_ids is not None
        with self.health.watching(Engine.DUCKDB):
            snapshot = self._lake.as_of(at)
            text = written(asked.question, Engine.DUCKDB, scoped=scoped, snapshot_id=snapshot.snapshot_id)
            values = bound(asked.values, asked.scope)
            return run_duckdb_as_of(self._lake, snapshot, text, values, self._settings.timeout_s)

    def no_lake(self, wanted: str) -> EngineUnavailable:
        """The error that says why what is `wanted` cannot be had."""
        if not self._settings.analytics_enabled:
            return EngineUnavailable(
                f"{wanted}, and {SWITCHED_OFF}", hint="Unset ANALYTICS_ENABLED or set it to true."
            )
        return EngineUnavailable(f"{wanted}: {self._lake_error.message}", hint=self._lake_error.hint)
