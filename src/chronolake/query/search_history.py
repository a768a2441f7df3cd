"""What is asked, written down beside the answers: nobody who asks waits for it, and nothing that goes wrong here shows.

Questions wait in a queue of bounded size, and a thread of its own writes them to PostgreSQL about once a second. What
cannot be written, for the database is down or the role may only read, is counted and gone.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from chronolake.errors import ChronolakeError, DatabaseError
from chronolake.loop import Loop, LoopState
from chronolake.oltp import Database, query_plans, searches
from chronolake.oltp.searches import FORGOTTEN_AT_ONCE, FORGOTTEN_EVERY, Search
from chronolake.query.answer import Answer
from chronolake.query.scope import Scope
from chronolake.settings import HistorySettings
from chronolake.telemetry import logs, metrics

#: Questions that may wait to be written: some seconds of answers from the cache, the fastest that there are.
QUEUE_SIZE = 5000
#: Questions written by one statement.
BATCH_SIZE = 1000
#: Of SQL and parameters so much is kept: some thousand characters are more than people write.
TEXT_LENGTH = 10_000
#: Seconds between two batches: each is a commit in PostgreSQL, and becomes one of the lake.
INTERVAL_S = 1.0
#: Seconds to wait for a connection; those who ask need them more.
WAIT_S = 2.0

_log = logs.get_logger(__name__)
#: What PostgreSQL says to those who may only read: so it was meant.
_MAY_ONLY_READ = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)


class SearchHistory(Loop):
    """Writes down what is asked, and lets go of what was asked long ago. It starts with the first question."""

    def __init__(self, *, database: Database, settings: HistorySettings) -> None:
        super().__init__(interval_s=INTERVAL_S)
        self._database = database
        self._days = settings.days
        self._waiting: deque[Search] = deque()
        self._starting = threading.Lock()
        self._forgets_at = 0.0
        self._told = False

    def answered(
        self, question: str, asked: str | Mapping[str, Any], scope: Scope, started: float, answer: Answer
    ) -> None:
        """Note a question that was answered; `started` is by the performance counter."""
        self._note(
            question,
            asked,
            scope,
            started,
            engine=answer.meta.engine.value,
            reason=answer.code.value,
            rows=answer.count,
            rollups=",".join(answer.meta.rollups) or None,
        )

    def failed(
        self,
        question: str,
        asked: str | Mapping[str, Any],
        scope: Scope,
        started: float,
        error: ChronolakeError,
    ) -> None:
        """Note a question that was not answered."""
        self._note(question, asked, scope, started, error_class=type(error).__name__)

    def step(self) -> int:
        """Write what waits, and let go of old questions where it is time; how many were written."""
        written = 0
        while batch := self._batch():
            if not self._wrote(batch):
                # Others may fare better a second later; and who closes is not to wait for each of them.
                return written
            written += len(batch)
        if time.monotonic() >= self._forgets_at:
            self._forgets_at = time.monotonic() + FORGOTTEN_EVERY.total_seconds()
            self._forget()
        return written

    def close(self) -> None:
        """Write what still waits, and stop; what cannot be written now is lost. Calling it twice is safe."""
        self.stop()
        if self._waiting:
            self.step()
        metrics.SEARCHES.labels(outcome="refused").inc(len(self._waiting))
        self._waiting.clear()

    def _note(
        self,
        question: str,
        asked: str | Mapping[str, Any],
        scope: Scope,
        started: float,
        *,
        engine: str | None = None,
        reason: str | None = None,
        error_class: str | None = None,
        rollups: str | None = None,
        rows: int | None = None,
    ) -> None:
        if self._days and len(self._waiting) >= QUEUE_SIZE:
            metrics.SEARCHES.labels(outcome="crowded_out").inc()
        elif self._days:
            ids = scope.project_ids
            self._waiting.append(
                Search(
                    question=question,
                    query_text=_text(asked),
                    project_id=next(iter(ids)) if ids is not None and len(ids) == 1 else None,
                    project_count=None if ids is None else len(ids),
                    engine=engine,
                    reason=reason,
                    error_class=error_class,
                    rollups=rollups,
                    elapsed_ms=round((time.perf_counter() - started) * 1000, 3),
                    rows=rows,
                    searched_at=datetime.now(UTC).replace(tzinfo=None),
                )
            )
        if self.state is LoopState.STOPPED:
            self._start_once()

    def _start_once(self) -> None:
        with self._starting:
            if self._thread is None:
                self.start()

    def _batch(self) -> list[Search]:
        return [self._waiting.popleft() for _ in range(min(BATCH_SIZE, len(self._waiting)))]

    def _wrote(self, batch: list[Search]) -> bool:
        try:
            with self._database.connection(wait_s=WAIT_S) as conn:
                searches.add(conn, batch)
        except DatabaseError as error:
            metrics.SEARCHES.labels(outcome="refused").inc(len(batch))
            self._tell(error)
            return False
        metrics.SEARCHES.labels(outcome="written").inc(len(batch))
        self._told = False
        return True

    def _forget(self) -> None:
        before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=self._days)
        try:
            gone = FORGOTTEN_AT_ONCE
            while gone == FORGOTTEN_AT_ONCE:
                with self._database.connection(wait_s=WAIT_S) as conn:
                    gone = searches.forget(conn, before, at_once=not self._days)
                    query_plans.forget(conn, before.replace(tzinfo=UTC))
        except DatabaseError as error:
            self._tell(error)

    def _tell(self, error: DatabaseError) -> None:
        """Say so once, until it goes well again."""
        if self._told:
            return
        self._told = True
        say = _log.info if isinstance(error.__cause__, _MAY_ONLY_READ) else _log.warning
        say("search_history.refused", error=error.message)


def _text(asked: str | Mapping[str, Any]) -> str | None:
    """SQL as it is, parameters as JSON; null where they are what JSON has no form for."""
    try:
        text = asked if isinstance(asked, str) else json.dumps(asked, default=str, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
    # PostgreSQL's texts have no NUL, and no half of a surrogate pair.
    return text[:TEXT_LENGTH].replace("\x00", "\ufffd").encode(errors="replace").decode()
