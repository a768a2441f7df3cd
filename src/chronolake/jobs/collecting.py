"""Collecting as a job: a session that is queued, and the run that a worker makes of it.

A session's row says how it stands; a job is no more than the wish that somebody runs it. So a job may be lost, doubled
or late, and nothing is stored twice: whoever runs a session has it alone, and goes on where it stands.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from chronolake.capture.session import SessionEvent, SessionState, Wanted
from chronolake.clock import Clock, SystemClock
from chronolake.errors import (
    ChronolakeError,
    CollectStopped,
    SessionBusy,
    SessionEnded,
    SessionUnknown,
    SourceError,
    SourceUnavailable,
    WorkerLost,
)
from chronolake.ingest import CollectDesk, Collector, CollectRequest
from chronolake.jobs.queue import Job, Queue, put
from chronolake.jobs.retrying import GivenUp, TryAgain, pause_before
from chronolake.oltp import Database, imports, projects, sessions
from chronolake.oltp.sessions import ScrapeSession
from chronolake.settings import Settings
from chronolake.sources.query import Query
from chronolake.sources.router import Policy
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)


class CollectQueue:
    """Sessions that are asked for, listed, paused, resumed and cancelled. Nothing is collected here."""

    def __init__(self, *, database: Database, desk: CollectDesk) -> None:
        self._database = database
        self._desk = desk

    def later(
        self,
        request: CollectRequest,
        failed: Mapping[str, str] | None = None,
        *,
        unasked: bool = False,
    ) -> list[ScrapeSession]:
        """Queue what is asked: a new session, or those that ask the same and have not come to their end.

        `failed` are archives that were asked for this in vain. With `unasked`, no person asks: what is paused stays so.

        Raises:
            SourceUnavailable: no archive may be asked now.
            SessionEnded: what would go on is paused.
        """
        session_ids, reason = self._desk.begin(request, failed)
        _log.info("collect.queued", session_ids=session_ids, reason=reason)
        if unasked:
            for session_id in session_ids:
                session = self.find(session_id)
                if session.wanted != Wanted.RUN:
                    hint = f"Resume it: chronolake sessions resume {session_id}"
                    raise SessionEnded(f"the scrape session {session_id} is {session.state}", hint=hint)
        arguments = {"routed": request.archive is None, "failed": dict(failed or {})}
        return [self._queued(session_id, arguments) for session_id in session_ids]

    def resume(self, session_id: int) -> ScrapeSession:
        """Queue a session that is paused, failed, or waits for another try.

        Raises:
            SessionUnknown, SessionEnded: as `ask`.
        """
        return self._queued(session_id, {})

    def ask(self, session_id: int, event: SessionEvent) -> ScrapeSession:
        """Have a session paused or cancelled. A run that has it ends itself within about a second.

        Raises:
            SessionUnknown: there is none of that number.
            SessionEnded: nothing of that kind can happen to it.
        """
        with self._database.connection() as conn:
            sessions.ask(conn, session_id, event)
        return self.find(session_id)

    def find(self, session_id: int) -> ScrapeSession:
        """The session of that number.

        Raises:
            SessionUnknown: there is none.
        """
        with self._database.connection() as conn:
            session = sessions.find(conn, session_id)
        if session is None:
            raise SessionUnknown(f"there is no scrape session {session_id}")
        return session

    def listed(
        self, *, project: str | None = None, state: SessionState | None = None, limit: int = 100
    ) -> list[ScrapeSession]:
        """The newest sessions."""
        with self._database.connection() as conn:
            return sessions.listed(conn, project=project, state=state, limit=limit)

    def has_another(self, session_id: int, failed: Iterable[str]) -> bool:
        """Whether the policy of the session's project has an archive beside the session's and those that failed.

        Raises:
            SessionUnknown: there is no session of that number.
        """
        session = self.find(session_id)
        with self._database.connection() as conn:
            policy = Policy(projects.archive_policy(conn, session.project_id, None))
        return self._desk.has_another(policy, [*failed, session.archive_source])

    def _queued(self, session_id: int, arguments: Mapping[str, Any]) -> ScrapeSession:
        with self._database.connection() as conn:
            sessions.ask(conn, session_id, SessionEvent.RESUMED)
            put(conn, job_of(session_id, arguments))
        return self.find(session_id)


def job_of(session_id: int, arguments: Mapping[str, Any]) -> Job:
    """The job that runs a session."""
    return Job(Queue.COLLECT, f"session {session_id}", {"session_id": session_id, **arguments})


class CollectTask:
    """Runs sessions for a worker."""

    def __init__(
        self,
        *,
        database: Database,
        queue: CollectQueue,
        collector: Callable[[], Collector],
        settings: Settings,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._collector = collector
        self._settings = settings
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._stopping = False
        self._running: set[Collector] = set()

    def stop(self) -> None:
        """End what runs: what has come is stored, and the sessions wait for another worker."""
        with self._lock:
            self._stopping = True
            for collector in self._running:
                collector.stop()

    def run(self, session_id: int, *, routed: bool = False, failed: Mapping[str, str] | None = None) -> None:
        """Run a session until it ends, fails, or is not wanted any more.

        Where the project's policy chose the archive (`routed`), the next one is queued when this one fails.

        Raises:
            TryAgain: it is to be run again.
            GivenUp: it failed, and another try is no help.
        """
        refused = dict(failed or {})

        def again(error: ChronolakeError, failures: int) -> float | None:
            if routed and isinstance(error, SourceError) and self._elsewhere(session_id, refused, error):
                return None
            return pause_before(error, failures, self._settings.jobs)

        try:
            with self._stoppable() as collector:
                hasty = routed and self._queue.has_another(session_id, refused)
                report = collector.go_on(session_id, again, hasty=hasty)
        except (SessionUnknown, SessionEnded) as error:
            _log.info("collect.not_run", session_id=session_id, reason=error.message)
            return
        except SessionBusy as error:
            raise TryAgain(self._settings.jobs.stalled_s, error) from error
        except ChronolakeError as error:
            self._after(session_id, error)
        else:
            self._after(session_id, report.failure)

    def died(self, session_id: int, **_: object) -> bool:
        """Note that the worker died that ran a session; whether it is to be run again."""
        error = WorkerLost(f"the worker that ran the scrape session {session_id} is gone")
        with self._database.connection() as conn:
            session = sessions.find(conn, session_id)
            if session is None or session.state != SessionState.RUNNING:
                return session is not None and session.wanted == Wanted.RUN
            if session.import_id is not None and imports.is_held(conn, session.import_id):
                # It lives, and was only slow to say so: the job waits until it is done.
                return True
            again_s = pause_before(error, session.failures + 1, self._settings.jobs)
            event = SessionEvent.FAILED if again_s is None else SessionEvent.STOPPED
            sessions.over(
                conn,
                session_id,
                session.import_id,
                error,
                event=event,
                again_s=None if again_s is None else 0,
            )
        return again_s is not None

    def _after(self, session_id: int, failure: ChronolakeError | None) -> None:
        """Say what becomes of the job whose run ended.

        Raises:
            TryAgain: the session waits.
            GivenUp: it has failed.
            ChronolakeError: how it stands could not be noted.
        """
        session = self._queue.find(session_id)
        if session.state == SessionState.WAITING:
            cause = None if isinstance(failure, CollectStopped) else failure
            raise TryAgain(self._until(session.next_at), cause) from failure
        if failure is not None and session.state == SessionState.FAILED:
            raise GivenUp(failure) from failure
        if failure is not None and session.state == SessionState.RUNNING:
            raise failure

    def _until(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else max(0.0, (moment - self._clock.now()).total_seconds())

    def _elsewhere(self, session_id: int, refused: dict[str, str], error: SourceError) -> bool:
        """Queue the next archive of the project's policy; whether there is one."""
        session = self._queue.find(session_id)
        refused[session.archive_source] = error.message
        try:
            request = CollectRequest(session.project, Query.of(session.query))
            [other] = self._queue.later(request, refused)
        except SourceUnavailable:
            return False
        return other.session_id != session_id

    @contextmanager
    def _stoppable(self) -> Iterator[Collector]:
        collector = self._collector()
        with self._lock:
            self._running.add(collector)
            if self._stopping:
                collector.stop()
        try:
            yield collector
        finally:
            with self._lock:
                self._running.discard(collector)
