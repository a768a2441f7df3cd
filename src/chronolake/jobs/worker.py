"""`JobWorker`: takes jobs from the queue and runs each in a thread; the library (procrastinate) keeps the queue.

The guarantee: a job that was queued runs until it ends, at least once. A worker says every few seconds that it lives;
jobs of one that does not are taken up by another. So a job may run twice at once where a worker was only slow: tasks
let the second know and change nothing.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psycopg import AsyncConnection

from chronolake.errors import ChronolakeError, DatabaseUnavailable
from chronolake.jobs.queue import Queue
from chronolake.jobs.retrying import GivenUp, TryAgain, pause_before
from chronolake.jobs.task import Task
from chronolake.loop import Loop
from chronolake.oltp import Database
from chronolake.oltp.migrate import SCHEMA
from chronolake.settings import JobSettings
from chronolake.telemetry import logs, metrics

if TYPE_CHECKING:
    from procrastinate import App, JobContext
    from procrastinate.jobs import Job as QueuedJob
    from procrastinate.retry import BaseRetryStrategy

#: Seconds between two looks into the queue. New jobs announce themselves; those whose time has come do not.
POLL_S = 1.0
#: Heartbeats within the time after which a worker counts as gone.
_HEARTBEATS = 4
#: Seconds before a worker that lost PostgreSQL tries again.
_RESTART_S = 2.0
#: How long jobs that failed are kept to be looked at, and how often it is looked which are older.
_KEPT_HOURS = 30 * 24
_TIDY_S = 3600.0
#: Connections of the worker itself, beside those of its jobs: one asks for jobs while another says that it lives.
_CONNECTIONS = 3

_log = logs.get_logger(__name__)


class JobWorker(Loop):
    """Runs jobs of some queues, `concurrency` at a time. A step ends when it is stopped, or PostgreSQL is lost.

    With `once`, a step ends when no job is due.
    """

    def __init__(
        self,
        *,
        database: Database,
        tasks: Sequence[Task],
        settings: JobSettings,
        queues: Iterable[Queue] | None = None,
        concurrency: int | None = None,
        once: bool = False,
    ) -> None:
        super().__init__(interval_s=_RESTART_S)
        self._url = database.url
        self._tasks = {task.queue: task for task in tasks}
        self._settings = settings
        self._queues = list(queues or Queue)
        self._concurrency = concurrency or settings.concurrency
        self._once = once
        self._working: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None

    def stop(self) -> None:
        """Have running jobs end soon, take no other, and return when they have. Calling it twice is safe."""
        self._stopped.set()
        for task in self._tasks.values():
            task.stop()
        if self._working is not None:
            loop, working = self._working
            with contextlib.suppress(RuntimeError):
                # A loop that is closed has nothing left to be stopped.
                loop.call_soon_threadsafe(working.cancel)
        super().stop()

    def step(self) -> None:
        """Work until stopped; with `once`, until no job is due.

        Raises:
            DatabaseUnavailable: PostgreSQL is out of reach; jobs that ran are taken up again.
        """
        from procrastinate.exceptions import ConnectorException  # noqa: PLC0415  # only who works waits for it

        try:
            asyncio.run(self._work())
        except ConnectorException as error:
            cause = error.__cause__
            raise DatabaseUnavailable(f"the job worker lost PostgreSQL: {cause or error}") from error
        if not self._once and not self._stopped.is_set():
            raise DatabaseUnavailable("the job worker lost PostgreSQL")

    async def _work(self) -> None:
        app = self._app()
        async with app.open_async():
            await self._rescue(app)
            working = asyncio.create_task(
                app.run_worker_async(
                    queues=[queue.value for queue in self._queues],
                    concurrency=self._concurrency,
                    wait=not self._once,
                    fetch_job_polling_interval=POLL_S,
                    install_signal_handlers=False,
                    # What has ended well needs no row: what it did stands where it did it.
                    delete_jobs="successful",
                    update_heartbeat_interval=self._settings.stalled_s / _HEARTBEATS,
                    stalled_worker_timeout=self._settings.stalled_s,
                )
            )
            rescuing = asyncio.create_task(self._rescuing(app))
            self._working = asyncio.get_running_loop(), working
            if self._stopped.is_set():
                working.cancel()
            try:
                # Cancelled is how the library's worker is told to end in order.
                with contextlib.suppress(asyncio.CancelledError):
                    await working
            finally:
                self._working = None
                rescuing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await rescuing

    async def _rescuing(self, app: "App") -> None:
        tidied_at = -math.inf
        while True:
            if time.monotonic() - tidied_at > _TIDY_S:
                tidied_at = time.monotonic()
                await app.job_manager.delete_old_jobs(
                    nb_hours=_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
                )
            await asyncio.sleep(self._settings.stalled_s / _HEARTBEATS)
            await self._rescue(app)

    async def _rescue(self, app: "App") -> None:
        """Have the jobs taken up again whose worker has not said for a while that it lives."""
        from procrastinate.jobs import Status  # noqa: PLC0415  # as above

        stalled = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._settings.stalled_s)
        for job in stalled:
            task = self._tasks.get(Queue(job.queue)) if job.queue in set(Queue) else None
            again = task is None or await asyncio.to_thread(task.died, **job.task_kwargs)
            _log.warning("job.stalled", job_id=job.id, task=job.task_name, again=again)
            metrics.JOBS_STALLED.inc()
            if again:
                await app.job_manager.retry_job(job)
            else:
                await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=False)

    def _app(self) -> "App":
        """The library's application with our tasks."""
        from procrastinate import App, PsycopgConnector  # noqa: PLC0415  # as above

        app = App(
            connector=PsycopgConnector(
                conninfo=self._url, min_size=1, max_size=_CONNECTIONS, configure=_configure
            )
        )
        for task in self._tasks.values():
            made = app.task(
                name=task.queue.value, queue=task.queue.value, retry=_strategy(), pass_context=True
            )(self._running(task))
            if task.cron is not None:
                # Where no worker is for this queue, one tick waits, and no more.
                key = task.queue.value
                app.periodic(cron=task.cron, periodic_id=key, lock=key, queueing_lock=key)(made)
        return app

    def _running(self, task: Task) -> Callable[..., None]:
        """What runs a job of the task, in a thread."""

        def run(context: "JobContext", **arguments: Any) -> None:
            with logs.bound(job_id=context.job.id):
                self._done(task, context.job.attempts, arguments)

        return run

    def _done(self, task: Task, attempts: int, arguments: Mapping[str, Any]) -> None:
        started = time.perf_counter()
        outcome = "failed"
        try:
            task.run(**arguments)
            outcome = "done"
        except TryAgain as wish:
            outcome = "again"
            _log.info("job.again", task=task.queue.value, pause_s=wish.pause_s, reason=str(wish.cause or ""))
            raise
        except GivenUp as end:
            _log.warning("job.failed", task=task.queue.value, error=end.cause.message, hint=end.cause.hint)
            raise
        except ChronolakeError as error:
            pause_s = pause_before(error, attempts + 1, self._settings)
            _log.warning("job.failed", task=task.queue.value, error=error.message, again_in_s=pause_s)
            if pause_s is None:
                raise
            outcome = "again"
            raise TryAgain(pause_s, error) from error
        except Exception as error:
            _log.exception("job.unforeseen", task=task.queue.value, error=type(error).__name__)
            raise
        finally:
            elapsed = time.perf_counter() - started
            metrics.JOB_SECONDS.labels(queue=task.queue.value, outcome=outcome).observe(elapsed)


def _strategy() -> "BaseRetryStrategy":
    """The library's way to be told whether a job runs again: it does where it said so."""
    from procrastinate.retry import BaseRetryStrategy, RetryDecision  # noqa: PLC0415  # as above

    class AsToldByTheJob(BaseRetryStrategy):
        def get_retry_decision(self, *, exception: BaseException, job: "QueuedJob") -> RetryDecision | None:  # noqa: ARG002  # the library's call
            if isinstance(exception, TryAgain):
                return RetryDecision(retry_in={"milliseconds": round(exception.pause_s * 1000)})
            return None

    return AsToldByTheJob()


async def _configure(conn: AsyncConnection) -> None:
    await conn.execute(b"SET search_path TO " + SCHEMA.encode() + b", public")
    await conn.commit()
