"""How questions are answered, looked at beside the answers: nobody who asks waits for it.

What took long, and a share of the rest, is run once more by a thread of its own, and the engine tells what it did. One
at a time in a process, few a minute, none of a shape that was looked at shortly before, and of a shape one at a time
in all processes.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from time import monotonic

from psycopg import Connection

from chronolake import chance
from chronolake.errors import ChronolakeError
from chronolake.lake import Lake
from chronolake.oltp import Database, query_plans
from chronolake.oltp.query_plans import Planned
from chronolake.query import adhoc, freshness
from chronolake.query.answer import Answer
from chronolake.query.asked import Asked
from chronolake.query.explain import duckdb, postgres, running
from chronolake.query.explain.regression import regressions
from chronolake.query.explain.step import Step, fingerprint
from chronolake.query.rollup import shape_of
from chronolake.query.route import Engine, Reason
from chronolake.query.scope import Scope
from chronolake.query.text import bound, written
from chronolake.query.wording import asked_in_words, without_values
from chronolake.settings import Settings
from chronolake.telemetry import logs, metrics

#: Looks that may wait; while more do, the machine has better things to do.
WAITING = 4
#: Seconds that a shape rests after it was looked at: of many alike, some are enough.
SHAPE_RESTS_S = 60.0
#: Shapes of which it is known when they were looked at.
SHAPES_KNOWN = 1000
#: Seconds between two counts of what has become slower, which looks at all plans.
COUNTED_EVERY_S = 60.0
#: Seconds to wait for a connection; those who ask need them more.
WAIT_S = 2.0

_log = logs.get_logger(__name__)

#: What runs the statement once more, and tells the plan and the milliseconds.
Look = Callable[[Connection], tuple[Step, float]]


class Looked(StrEnum):
    """What came of a look; labels the metric."""

    KEPT = "kept"
    FAILED = "failed"  #: the engine gave no answer in time, or PostgreSQL did not take it down
    SKIPPED = "skipped"  #: too many waited, or there were enough in this minute
    BUSY = "busy"  #: another process looks at the same shape


@dataclass(frozen=True)
class _Told:
    """What is kept of a question: its name, its words and shape, and who answered."""

    question: str
    asked: str
    shape: str
    engine: Engine


class PlanCapture:
    """Looks at how a share of the questions is answered, and all that take long. Thread-safe."""

    def __init__(self, *, database: Database, lake: Lake | None, settings: Settings) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings
        self._wanted = settings.plans
        self._off = not settings.history.days or not (settings.plans.slow_ms or settings.plans.share)
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(WAITING)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="plans")
        self._next_at = 0.0
        self._looked_at: dict[str, float] = {}
        self._counted_at = 0.0
        self._stopping = running.Stopping()

    def close(self) -> None:
        """Stop the look that runs, and drop those that wait: nobody waits for a look, who closes neither."""
        self._stopping.now()
        self._worker.shutdown(cancel_futures=True)

    def answered(self, asked: Asked, answer: Answer) -> None:
        """Look at how a question was answered, if it is one of those that are looked at; returns at once."""
        # What is kept was read by nobody, and a past state is not how things are.
        if answer.code in (Reason.CACHED, Reason.AS_OF) or not self._is_wanted(answer.meta.elapsed_ms):
            return
        question, ids = asked.question, asked.scope.project_ids
        projects = None if ids is None else min(len(ids), 2)
        words = asked_in_words(question, asked.values, projects)
        shape = _hashed(question.name, shape_of(asked.values), projects)
        given, timeout_s = bound(asked.values, asked.scope), self._settings.query.timeout_s
        lake = self._lake

        def by_postgres(conn: Connection) -> tuple[Step, float]:
            text = written(question, Engine.POSTGRES, scoped=projects is not None)
            told = running.by_postgres(conn, text, given, timeout_s, self._stopping)
            return postgres.normalised(told), postgres.elapsed_ms(told)

        def by_lake(conn: Connection) -> tuple[Step, float]:
            if lake is None:
                raise LookupError(question.name)
            statement, of_it = asked.statement, given
            if asked.rolled is not None and answer.meta.rollups:
                statement, of_it = asked.rolled.statement, dict(asked.rolled.values)
            fresh = freshness.of_lake(conn)
            told = running.by_lake(
                lake, statement, of_it, timeout_s, self._stopping, fresh=fresh, live=asked.live
            )
            return duckdb.normalised(told), duckdb.elapsed_ms(told)

        engine = answer.meta.engine
        look = by_postgres if engine is Engine.POSTGRES else by_lake
        self._submit(_Told(question.name, words, shape, engine), look)

    def answered_sql(self, text: str, scope: Scope, answer: Answer) -> None:
        """The same of SQL."""
        if not self._is_wanted(answer.meta.elapsed_ms) or self._lake is None:
            return
        plain = without_values(text)
        lake, asked = self._lake, self._settings.query

        def look(_conn: Connection) -> tuple[Step, float]:
            statement, values = adhoc.prepared(text, scope, limit=asked.max_rows)
            told = running.by_sandbox(lake, statement, values, asked.timeout_s, self._stopping)
            return duckdb.normalised(told), duckdb.elapsed_ms(told)

        shape = _hashed("sql", plain, scope.project_ids is not None)
        self._submit(_Told("sql", plain, shape, Engine.DUCKDB), look)

    def _is_wanted(self, elapsed_ms: float) -> bool:
        if self._off:
            return False
        slow = self._wanted.slow_ms and elapsed_ms >= self._wanted.slow_ms
        return bool(slow) or chance.fraction() < self._wanted.share

    def _submit(self, asked: _Told, look: Look) -> None:
        if not self._has_turn(f"{asked.engine} {asked.shape}"):
            metrics.PLANS.labels(outcome=Looked.SKIPPED.value).inc()
            return
        try:
            running_ = self._worker.submit(self._look, asked, look)
        except RuntimeError:
            # It was closed meanwhile.
            self._room.release()
        else:
            running_.add_done_callback(lambda _: self._room.release())

    def _has_turn(self, shape: str) -> bool:
        """Whether it is time for another look, and for one at that shape of an engine; then there is room for it."""
        now = monotonic()
        with self._lock:
            rests = now - self._looked_at.get(shape, -SHAPE_RESTS_S) < SHAPE_RESTS_S
            if rests or now < self._next_at or not self._room.acquire(blocking=False):
                return False
            self._next_at = now + 60.0 / self._wanted.per_minute
            self._looked_at.pop(shape, None)
            self._looked_at[shape] = now
            while len(self._looked_at) > SHAPES_KNOWN:
                del self._looked_at[next(iter(self._looked_at))]
            return True

    def _look(self, asked: _Told, look: Look) -> None:
        try:
            outcome = self._kept(asked, look)
        except ChronolakeError as error:
            outcome = Looked.FAILED
            _log.info("plans.not_told", question=asked.question, error=error.message)
        except Exception as error:  # noqa: BLE001  # a plan of a form that nobody foresaw; somebody must hear of it
            outcome = Looked.FAILED
            _log.exception("plans.not_read", question=asked.question, error=type(error).__name__)
        metrics.PLANS.labels(outcome=outcome.value).inc()

    def _kept(self, asked: _Told, look: Look) -> Looked:
        with self._database.connection(wait_s=WAIT_S) as conn:
            if not query_plans.alone(conn, asked.shape):
                return Looked.BUSY
            step, elapsed_ms = look(conn)
        planned = Planned(
            asked.shape, asked.engine.value, fingerprint(step), asked.question, asked.asked, step.document()
        )
        with self._database.connection(wait_s=WAIT_S) as conn:
            query_plans.keep(conn, planned, elapsed_ms)
            if monotonic() >= self._counted_at:
                self._counted_at = monotonic() + COUNTED_EVERY_S
                since = datetime.now(UTC) - timedelta(days=self._settings.history.days)
                slower = regressions(query_plans.listed(conn, since), self._wanted.regression_ratio)
                metrics.PLAN_REGRESSIONS.set(len(slower))
        return Looked.KEPT


def _hashed(*told: object) -> str:
    return blake2b(repr(told).encode(), digest_size=8).hexdigest()
