"""`HybridQueryRouter`: each question goes to the engine that answers it best; the answer says which and why."""

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from psycopg import Connection

from chronolake.errors import (
    ChronolakeError,
    DatabaseError,
    DatabaseUnavailable,
    EngineUnavailable,
    LakeError,
    ParameterInvalid,
)
from chronolake.lake import Lake, RollupState, rollup_states
from chronolake.oltp import Database, projects
from chronolake.query import adhoc, freshness, moment, route
from chronolake.query import live as live_rows
from chronolake.query.answer import Answer, Meta
from chronolake.query.asked import Asked
from chronolake.query.cache import Kept, ResultCache
from chronolake.query.crowd import Crowd
from chronolake.query.engines import (
    Rows,
    fresh_enough,
    run_scanned,
)
from chronolake.query.explain import PlanCapture
from chronolake.query.freshness import Demand, Freshness, State
from chronolake.query.json_rows import JsonRows
from chronolake.query.last_known import LastKnown
from chronolake.query.live import Live
from chronolake.query.narrowing import names_projects, narrowed_by
from chronolake.query.params import read
from chronolake.query.question import named
from chronolake.query.recently import Recently
from chronolake.query.rollup import Planner
from chronolake.query.route import Engine, QueryType, Route
from chronolake.query.running import Running
from chronolake.query.scope import Scope
from chronolake.query.search_history import SearchHistory
from chronolake.query.shadow import Shadow
from chronolake.query.workers import Workers
from chronolake.settings import QuerySettings, Settings, weights_of
from chronolake.telemetry import logs, metrics

_log = logs.get_logger(__name__)
_ROWS_READ_NOTE = "rows_read is unknown: neither engine counts the rows it reads without slowing the query"
#: Threads that read parameters and look into the cache. No query runs there, so none is waited for.
_FRONT_THREADS = 2
#: Threads that answer anew what nobody waits for: beside those that work for who waits, so that these come first.
_RENEWING_THREADS = 2
#: An answer of so many values is unpacked in about a millisecond, less than a thread takes to be woken under load.
AT_HAND_VALUES = 3000


class HybridQueryRouter:
    """Answers questions of the catalogue and ad-hoc SQL. Its methods may be awaited by many at once."""

    def __init__(
        self,
        *,
        database: Database,
        lake: Lake | None,
        settings: Settings,
        lake_error: LakeError | None = None,
    ) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings
        waiting = settings.query.queue_size
        self._front = Workers(concurrency=_FRONT_THREADS, queue_size=waiting)
        self._workers = _fair_workers(settings.query)
        self._cache = ResultCache(settings.cache, instance=str(database.instance))
        self._history = SearchHistory(database=database, settings=settings.history)
        self._planner = Planner()
        self._shadow = Shadow(settings.query.shadow_share)
        self._plans = PlanCapture(database=database, lake=lake, settings=settings)
        self._engines = Running(database=database, lake=lake, settings=settings.query, lake_error=lake_error)
        self._last_known = LastKnown()
        self._recently = Recently()
        self._renewers = Workers(concurrency=_RENEWING_THREADS, queue_size=waiting)
        self._crowd = Crowd(
            front=self._front, workers=self._workers, renewers=self._renewers, compute=self._answer
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let running queries end, and write down what was asked; nothing can be asked after it."""
        self._shadow.close()
        self._plans.close()
        self._front.close()
        self._renewers.close()
        self._workers.close()
        self._cache.close()
        self._history.close()

    def route_query(self, query_type: QueryType, params: Mapping[str, Any]) -> Route:
        """Where a query of that type goes, and why; `params` may name an `engine`."""
        asked = _engine(str(params.get("engine", "auto")))
        return route.choose(query_type, asked=asked, lake_off=self._engines.lake_off)

    async def ask(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        scope: Scope,
        engine: str = "auto",
        as_of: object = None,
        min_lsn: object = None,
        max_lag_s: object = None,
        tenant: str | None = None,
        as_json: bool = False,
    ) -> Answer:
        """Answer a question of the catalogue about the projects in scope.

        With `engine` auto the router chooses, and PostgreSQL answers where the lake cannot. With `as_of`, a time, the
        answer is what the lake held then; `meta.as_of` says since when it had.

        With `min_lsn` or `max_lag_s` the lake has to be so fresh: it is waited for a moment, then PostgreSQL answers,
        or, where the lake was asked for by name, nobody does.

        Where many wait, tenants take turns: `tenant` names whose question it is, else the projects that it is about do.

        With `as_json` the answer has its rows in JSON, and it may have no others.

        Raises:
            QuestionUnknown: there is no such question.
            ParameterInvalid: a parameter is missing, unknown or out of bounds, or there is no such project; or
                PostgreSQL is to say what was.
            SnapshotExpired: the lake does not reach back to `as_of`.
            LakeBehind: the lake was asked for by name, and is not as fresh as it has to be.
            QueryTimeout: the deadline passed.
            EngineUnavailable: the engine that was asked for is not there, or too many queries wait.
            DatabaseError: PostgreSQL could not answer.
        """
        question = named(name)
        started = time.perf_counter()
        try:
            at = None if as_of is None else _past(as_of)
            demand = Demand.read(min_lsn, max_lag_s)
            if at is None:
                chosen = self.route_query(question.query_type, {"engine": engine})
            else:
                chosen = route.as_of(asked=_engine(engine), lake_off=self._engines.lake_off)
            given = Asked(question, params, scope, chosen, started, at, demand, as_json=as_json)
            asked, answer = self._at_hand(given) or await self._crowd.answer(
                lambda: self._looked_up(given), scope=scope, tenant=tenant
            )
            if asked.ages:
                self._renew(asked, tenant)
            by_choice = answer.meta.engine is Engine.DUCKDB or answer.code is route.Reason.CHEAPER
            if asked.at is None and asked.chosen_freely and by_choice:
                self._shadow_of(asked)
        except ChronolakeError as error:
            metrics.QUERY_FAILURES.labels(question=name, error=type(error).__name__).inc()
            self._history.failed(name, params, scope, started, error)
            raise
        self._history.answered(name, params, asked.scope, started, answer)
        self._plans.answered(asked, answer)
        if as_json and answer.json is None:
            # It was computed for somebody who asked the same at the same time, and wanted rows.
            return replace(answer, json=JsonRows.of(answer.rows))
        return answer

    async def sql(
        self,
        text: str,
        *,
        scope: Scope,
        limit: int | None = None,
        as_table: bool = False,
        tenant: str | None = None,
    ) -> Answer:
        """Answer one SELECT over the lake's tables, at most `limit` rows (the setting's by default).

        With `as_table` the answer has a table of Arrow, in the engine's own types, and no rows.

        Raises:
            SqlRefused: it is not one SELECT over known tables, or the engine does not understand it.
            QueryTimeout: the deadline passed.
            EngineUnavailable: there is no lake, or too many queries wait.
        """
        started = time.perf_counter()
        if self._lake is None:
            no_lake = self._engines.no_lake("SQL is answered by the lake alone")
            self._history.failed("sql", text, scope, started, no_lake)
            raise no_lake
        lake, asked = self._lake, self._settings.query
        limits = adhoc.Limits(min(limit or asked.max_rows, asked.max_rows), asked.max_bytes, asked.timeout_s)

        def work() -> Answer:
            with self._engines.health.watching(Engine.DUCKDB):
                found = adhoc.run(lake, self._database, text, scope, limits, as_table=as_table)
            chosen = Route(Engine.DUCKDB, "SQL is answered by the lake", route.Reason.ASKED)
            notes = [] if found.cut is None else [found.cut]
            answer = _answered(
                "sql", found.rows, chosen, found.fresh, started, notes=notes, truncated=found.cut is not None
            )
            return replace(answer, table=found.table)

        try:
            answer = await self._workers.run(work, tenant=tenant or scope)
        except ChronolakeError as error:
            metrics.QUERY_FAILURES.labels(question="sql", error=type(error).__name__).inc()
            self._history.failed("sql", text, scope, started, error)
            raise
        self._history.answered("sql", text, scope, started, answer)
        self._plans.answered_sql(text, scope, answer)
        return answer

    def _at_hand(self, given: Asked) -> tuple[Asked, Answer] | None:
        """A small answer that allows a lag, from this process's memory: sooner given than handed to a thread.

        Null where there is none, or more has to be asked first. What is `given` has its parameters as they came.
        """
        is_lake = given.chosen.engine is Engine.DUCKDB and given.chosen_freely and given.at is None
        if not is_lake or given.demand.max_lag_s is None:
            return None
        values = read(given.question.name, given.question.params, given.values).model_dump()
        if names_projects(values) or live_rows.is_hybrid(given.statement):
            return None
        scope = narrowed_by(self._found_projects, given.scope, values)
        asked = replace(given, values=values, scope=scope)
        return self._lagging(asked, most_values=AT_HAND_VALUES)

    def _looked_up(self, given: Asked) -> tuple[Asked, Answer | None]:
        """The question with its parameters read, and its answer where the cache has it."""
        values = read(given.question.name, given.question.params, given.values).model_dump()
        scope = narrowed_by(self._found_projects, given.scope, values)
        asked = replace(given, values=values, scope=scope)
        if asked.at is not None or asked.chosen.engine is not Engine.DUCKDB:
            return asked, None
        if not asked.chosen_freely:
            return replace(asked, live=self._live_of(asked)), None
        # Who allows a lag is answered without PostgreSQL, save where names are joined as it has them now.
        lagging = None if live_rows.is_hybrid(asked.statement) else self._lagging(asked)
        return lagging or self._found(asked)

    def _found(self, asked: Asked, *, anew: bool = False) -> tuple[Asked, Answer | None]:
        """How the question is answered best, and its answer where the cache has it; `anew` of the lake as it is."""
        scope, demand = asked.scope, asked.demand
        hybrid = live_rows.is_hybrid(asked.statement)
        seen = None if hybrid else self._recently.seen(demand)
        if seen is not None:
            asked = replace(asked, fresh=seen.fresh)
            return (
                (asked, kept) if (kept := self._kept(asked)) else (self._planned(asked, seen.rollups), None)
            )
        try:
            with self._postgres() as conn:
                fresh = freshness.of_lake(conn)
                self._last_known.remember(fresh)
                live = live_rows.of_scope(conn, scope) if hybrid else None
                asked = replace(asked, fresh=fresh, live=live)
                kept = self._kept(asked)
                if kept is not None:
                    return asked, kept
                # Of the others it was looked for before PostgreSQL was asked.
                if hybrid and not anew and (lagging := self._lagging(asked)) is not None:
                    return lagging
                if not asked.can_be_told:
                    return self._weighed(asked), None
                seen = self._recently.look(conn, fresh)
        except (DatabaseUnavailable, EngineUnavailable) as error:
            asked = self._without_postgres(asked, error)
            return asked, self._kept(asked)
        return self._planned(replace(asked, fresh=seen.fresh), seen.rollups), None

    def _planned(self, asked: Asked, made: Sequence[RollupState]) -> Asked:
        """The same, with how rollups answer, or else the engine that is cheaper."""
        fresh = asked.fresh
        if fresh is None or not made:
            return self._weighed(asked)
        rolled = self._planner.plan(
            asked.question, asked.values, asked.scope, made, fresh=fresh, demand=asked.demand
        )
        return replace(asked, rolled=rolled) if rolled else self._weighed(asked)

    def _kept(self, asked: Asked) -> Answer | None:
        """The answer that the cache has of the lake as it is; null where it has none, or that is not fresh enough."""
        fresh = asked.fresh
        state = asked.state_of(fresh) if fresh is not None and asked.can_be_told else None
        if fresh is None or state is None:
            return None
        kept = self._cache.get(asked.key(state), asked.question)
        if kept is None:
            return None
        if asked.demand.max_lag_s is not None:
            kept = replace(kept, json=_json(asked, kept.rows))
            self._cache.put_newest(asked.key(None), kept, fresh)
        return _from_cache(asked, kept, route.cached(state.changed_in), fresh)

    def _weighed(self, asked: Asked) -> Asked:
        """The same, with the engine that is cheaper; the lake where nobody knows."""
        cheap_rows = self._settings.query.postgres_cheap_rows
        fresh = asked.fresh
        if not cheap_rows or fresh is None or fresh.as_of_lsn is None:
            return asked
        try:
            self._engines.weighing.recall(fresh)
            estimates = self._engines.weighing.estimates(asked.statement, asked.values, fresh)
        except (LakeError, DatabaseError) as error:
            _log.warning("query.not_weighed", question=asked.question.name, error=error.message)
            return asked
        costs = self._engines.weighing.costs(asked.question.name, estimates)
        if costs is None:
            return asked
        is_free = self._engines.postgres_places.free and self._engines.health.resting(Engine.POSTGRES) is None
        chosen = route.by_cost(asked.chosen, costs, cheap_rows=cheap_rows, postgres_is_free=is_free)
        return replace(asked, chosen=chosen)

    @contextmanager
    def _postgres(self) -> Iterator[Connection]:
        """A glance at PostgreSQL, of which its breaker hears.

        Raises:
            EngineUnavailable: it failed too often, and is let alone.
            DatabaseError: it could not be asked.
        """
        with self._engines.health.watching(Engine.POSTGRES), self._database.glance() as conn:
            yield conn

    def _found_projects(self, names: Sequence[str]) -> list[int | None]:
        """The ids of these projects; as they were found before where PostgreSQL cannot be asked."""
        try:
            with self._postgres() as conn:
                found = [projects.find(conn, name) for name in names]
        except (DatabaseUnavailable, EngineUnavailable):
            known = self._last_known.projects(names)
            if known is None:
                raise
            return known
        self._last_known.remember_projects(names, found)
        return found

    def _without_postgres(self, asked: Asked, error: ChronolakeError) -> Asked:
        """How to answer from the lake as it was known to be, while PostgreSQL cannot be asked.

        Raises:
            EngineUnavailable: that is not fresh enough, or its files are not known: then no engine can answer.
        """
        wanted = asked.statement.wanted(asked.values)
        fresh = self._last_known.answerable(self._lake, wanted, asked.demand) if self._lake else None
        if fresh is None:
            raise _neither("what the lake holds is not known, or not fresh enough", error)
        return replace(asked, fresh=fresh, chosen=route.without_postgres(error.message, fresh.lag_s))

    def _lagging(self, asked: Asked, *, most_values: int | None = None) -> tuple[Asked, Answer] | None:
        """The newest answer that there is, where it is as fresh as was asked for; null where nothing was.

        With `most_values` one that has more to be unpacked is left in the cache.
        """
        if asked.demand.max_lag_s is None:
            return None
        found = self._cache.newest(
            asked.key(None), asked.question, most_values=most_values, as_json=asked.as_json
        )
        if found is None:
            return None
        kept, before = found
        fresh = before.now()
        if before.lag_s is None or fresh.lag_s is None or asked.demand.unmet(fresh) is not None:
            return None
        # Half of the time for which it serves has passed: the next ones shall not have to wait.
        ages = fresh.lag_s > (before.lag_s + asked.demand.max_lag_s) / 2
        by = Engine.POSTGRES if before.snapshot_id is None else Engine.DUCKDB
        answer = _from_cache(asked, kept, route.cached_before(by, fresh.lag_s), fresh)
        return replace(asked, ages=ages), answer

    def _renew(self, asked: Asked, tenant: Hashable) -> None:
        """Answer the question anew in the background, unless that is done already."""
        anew = replace(asked, ages=False, started=time.perf_counter())

        def failed(error: BaseException) -> None:
            # Who asks once it is too old is told.
            _log.warning("query.not_renewed", question=asked.question.name, error=str(error))

        self._crowd.renew(
            asked.key(None),
            lambda: self._found(anew, anew=True),
            scope=asked.scope,
            tenant=tenant,
            failed=failed,
        )

    def _answer(self, asked: Asked) -> Answer:
        name, chosen = asked.question.name, asked.chosen
        if asked.at is not None:
            rows, fresh = self._engines.past(asked, asked.at)
            return _answered(name, rows, chosen, fresh, asked.started, json=_json(asked, rows))
        if (answer := self._kept_meanwhile(asked) or self._rolled_up(asked)) is not None:
            return answer
        try:
            rows, fresh = self._engines.on(chosen.engine, asked)
        except (LakeError, DatabaseUnavailable, EngineUnavailable) as error:
            chosen = self._instead(asked, error)
            try:
                rows, fresh = self._engines.on(chosen.engine, asked)
            except (LakeError, DatabaseUnavailable, EngineUnavailable) as other:
                raise _neither(error.message, other) from other
        json = _json(asked, rows)
        if chosen.engine is Engine.DUCKDB or asked.chosen_freely:
            self._keep(asked, rows, fresh, json=json)
        return _answered(name, rows, chosen, fresh, asked.started, notes=asked.notes, json=json)

    def _instead(self, asked: Asked, error: ChronolakeError) -> Route:
        """Where to go where the engine that was chosen cannot answer.

        Raises:
            ChronolakeError: the error, where there is no other engine.
            EngineUnavailable: the other is known to be out of reach.
        """
        chosen = asked.chosen
        if not asked.chosen_freely or chosen.code is route.Reason.LAKE_OFF:
            raise error
        if chosen.code is route.Reason.POSTGRES_FAILED:
            raise _neither(error.message, EngineUnavailable("PostgreSQL cannot be asked either")) from error
        _log.warning(
            "query.engine_failed", question=asked.question.name, engine=chosen.engine, error=error.message
        )
        if chosen.engine is Engine.POSTGRES:
            return route.after_postgres_failed(error)
        if isinstance(error, LakeError):
            return route.after_failure(error)
        return route.while_lake_rests(error.message)

    def _kept_meanwhile(self, asked: Asked) -> Answer | None:
        """The answer that somebody got between this one's look-up and now; a crowd has such."""
        fresh = asked.fresh
        if fresh is None or fresh.as_of_lsn is None or asked.demand.unmet(fresh) is not None:
            return None
        state = asked.state_of(fresh)
        if state is None:
            return None
        kept = self._cache.in_memory(asked.key(state), asked.question)
        return None if kept is None else _from_cache(asked, kept, route.cached(state.changed_in), fresh)

    def _rolled_up(self, asked: Asked) -> Answer | None:
        """The answer from rollups; null where none serves, or they cannot be read, as when one was dropped just now."""
        rolled = asked.rolled
        if self._lake is None or rolled is None:
            return None
        try:
            with self._engines.health.watching(Engine.DUCKDB):
                rows, is_exact = run_scanned(
                    self._lake,
                    rolled.statement,
                    rolled.values,
                    self._settings.query.timeout_s,
                    fresh=asked.fresh,
                    live=asked.live,
                )
        except (LakeError, EngineUnavailable) as error:
            _log.warning("query.rollup_failed", question=asked.question.name, error=error.message)
            return None
        json = _json(asked, rows)
        self._keep(asked, rows, replace(rolled.fresh, is_exact=is_exact), rollups=rolled.names, json=json)
        return _answered(
            asked.question.name,
            rows,
            route.rolled_up(rolled.names),
            rolled.fresh,
            asked.started,
            rollups=rolled.names,
            notes=asked.notes,
            json=json,
        )

    def _keep(
        self,
        asked: Asked,
        rows: Rows,
        before: Freshness,
        *,
        rollups: Sequence[str] = (),
        json: JsonRows | None = None,
    ) -> None:
        """Keep an answer of the lake, if it is known what it is true of: what it read did not change meanwhile.

        For those who allow a lag it is kept anyhow, one of PostgreSQL too: it holds as much as was there `before`.
        """
        is_told = asked.demand.max_lag_s is not None or before.snapshot_id is not None
        if self._cache.is_off or not is_told:
            return
        kept = Kept.of(rows, asked.question, rollups, json)
        if asked.demand.max_lag_s is not None:
            self._cache.put_newest(asked.key(None), kept, before)
        if asked.rolled is not None and asked.rolled.fresh is not asked.fresh:
            # Of a rollup that is behind: true of no state of its table that is now.
            return
        state = asked.state_of(before)
        if state is not None and (before.is_exact or state == self._state_now(asked)):
            self._cache.put(asked.key(state), kept)

    def _state_now(self, asked: Asked) -> State | None:
        """The state of the tables that it reads; null where that cannot be told."""
        try:
            with self._postgres() as conn:
                return asked.state_of(freshness.of_lake(conn))
        except (DatabaseUnavailable, EngineUnavailable):
            return None

    def _live_of(self, asked: Asked) -> Live | None:
        """Rows of PostgreSQL for a question whose engine was named; the lake's own where they cannot be had."""
        if not live_rows.is_hybrid(asked.statement):
            return None
        try:
            with self._postgres() as conn:
                return live_rows.of_scope(conn, asked.scope)
        except (DatabaseUnavailable, EngineUnavailable):
            return None

    def _shadow_of(self, asked: Asked) -> None:
        """Compare what both engines say of it now, in the background, if it is one of those that are compared."""
        lsns: list[str | None] = []

        def truth() -> Rows:
            rows, fresh = self._engines.in_postgres(asked)
            lsns.append(fresh.as_of_lsn)
            return rows

        def lake() -> Rows:
            demand = Demand.read(lsns[0], None)
            fresh = fresh_enough(self._database, demand)
            with self._database.glance() as conn:
                made = rollup_states(conn)
            rolled = self._planner.plan(
                asked.question, asked.values, asked.scope, made, fresh=fresh, demand=demand
            )
            answer = self._rolled_up(replace(asked, fresh=fresh, rolled=rolled))
            return (
                answer.rows
                if answer
                else self._engines.in_lake(replace(asked, demand=demand, fresh=fresh))[0]
            )

        self._shadow.maybe(asked.question.name, truth, lake)


def _neither(one: str, other: ChronolakeError) -> EngineUnavailable:
    """No engine can answer: why not the one, and why not the other."""
    retry_after_s = other.facts.get("retry_after_s", 1)
    return EngineUnavailable(
        f"neither engine can answer now: {one}; {other.message}",
        hint=other.hint or f"Ask again in {retry_after_s} s.",
        retry_after_s=retry_after_s,
    )


def _fair_workers(settings: QuerySettings) -> Workers:
    """Threads for queries, in which one tenant has neither all places nor all room to wait, unless it is told so."""
    weights = weights_of(settings.weights)

    def weight(tenant: Hashable) -> float:
        ids = tenant.project_ids if isinstance(tenant, Scope) else None
        return max((weights.get(project_id, 1.0) for project_id in ids or ()), default=1.0)

    return Workers(
        concurrency=settings.concurrency,
        queue_size=settings.queue_size,
        tenant_concurrency=settings.tenant_concurrency or max(1, settings.concurrency - 1),
        tenant_queue_size=settings.tenant_queue_size or max(1, settings.queue_size * 3 // 4),
        weight=weight,
    )


def _json(asked: Asked, rows: Rows) -> JsonRows | None:
    """The rows in JSON where that is wanted."""
    return JsonRows.of(rows) if asked.as_json else None


def _from_cache(asked: Asked, kept: Kept, chosen: Route, fresh: Freshness) -> Answer:
    return _answered(
        asked.question.name,
        kept.rows,
        chosen,
        fresh,
        asked.started,
        rollups=kept.rollups,
        notes=asked.notes,
        json=kept.json or _json(asked, kept.rows),
    )


def _answered(
    name: str,
    rows: Rows,
    chosen: Route,
    fresh: Freshness,
    started: float,
    *,
    notes: Sequence[str] = (),
    truncated: bool = False,
    rollups: Sequence[str] = (),
    json: JsonRows | None = None,
) -> Answer:
    elapsed_s = time.perf_counter() - started
    metrics.QUERY_SECONDS.labels(question=name, engine=chosen.engine.value, reason=chosen.code.value).observe(
        elapsed_s
    )
    count = json.count if json else len(rows)
    _log.info("query.answered", question=name, engine=chosen.engine, reason=chosen.reason, rows=count)
    meta = Meta(
        engine=chosen.engine,
        reason=chosen.reason,
        as_of_lsn=fresh.as_of_lsn,
        as_of=fresh.as_of,
        lag_s=fresh.lag_s,
        rows_read=None,
        elapsed_ms=round(elapsed_s * 1000, 3),
        cached=chosen.code is route.Reason.CACHED,
        rollups=list(rollups),
        truncated=truncated,
        notes=[*fresh.notes, *notes, _ROWS_READ_NOTE],
    )
    return Answer(rows=rows, meta=meta, code=chosen.code, json=json)


def _past(as_of: object) -> datetime:
    """The first instant that `as_of` covers, with its zone.

    Raises:
        ParameterInvalid: it is no time, or lies ahead.
    """
    try:
        at = moment.start_of(as_of).replace(tzinfo=UTC)
    except ValueError as error:
        raise ParameterInvalid(f"as_of={str(as_of)[:200]!r}: {error}", parameter="as_of") from None
    if at > datetime.now(UTC):
        raise ParameterInvalid(f"as_of={str(as_of)[:200]!r} lies ahead", parameter="as_of")
    return at


def _engine(asked: str) -> Engine | None:
    if asked == "auto":
        return None
    try:
        return Engine(asked)
    except ValueError:
        known = ", ".join(["auto", *Engine])
        raise ParameterInvalid(f"engine={asked[:200]!r} is none of: {known}", parameter="engine") from None
