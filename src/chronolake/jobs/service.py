"""`JobService`: what can be queued, and the workers that do it, over open services."""

from collections.abc import Iterable

from chronolake.ingest import CollectDesk, Collector, ParquetPipeline
from chronolake.jobs.collecting import CollectQueue, CollectTask
from chronolake.jobs.exporting import ExportQueue, ExportTask
from chronolake.jobs.queue import Queue
from chronolake.jobs.scheduling import Schedules
from chronolake.jobs.task import Task
from chronolake.jobs.upkeep import EACH_MINUTE, Upkeep
from chronolake.jobs.worker import JobWorker
from chronolake.oltp import Database
from chronolake.query.export import Exporter
from chronolake.settings import Settings


class JobService:
    """Asks for jobs, and makes workers."""

    def __init__(
        self, *, database: Database, pipeline: ParquetPipeline, exporter: Exporter, settings: Settings
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._exporter = exporter
        self._settings = settings
        self.collect = CollectQueue(database=database, desk=CollectDesk(database=database, settings=settings))
        self.exports = ExportQueue(database=database, settings=settings)
        self.schedules = Schedules(database=database, queue=self.collect)

    def worker(
        self,
        *,
        queues: Iterable[Queue] | None = None,
        concurrency: int | None = None,
        once: bool = False,
    ) -> JobWorker:
        """A worker for these queues, all of them where none is named; it has to be started."""
        return JobWorker(
            database=self._database,
            tasks=self._tasks(),
            settings=self._settings.jobs,
            queues=queues,
            concurrency=concurrency,
            once=once,
        )

    def _tasks(self) -> list[Task]:
        """Each worker has its own, for it stops what it runs and nothing else."""
        collect = CollectTask(
            database=self._database, queue=self.collect, collector=self._collector, settings=self._settings
        )
        exports = ExportTask(database=self._database, exporter=self._exporter, settings=self._settings)
        upkeep = Upkeep(schedules=self.schedules, exports=exports)
        return [
            Task(Queue.COLLECT, run=collect.run, died=collect.died, stop=collect.stop),
            Task(Queue.EXPORTS, run=exports.run, died=exports.died, stop=exports.stop),
            Task(Queue.UPKEEP, run=upkeep.run, cron=EACH_MINUTE),
        ]

    def _collector(self) -> Collector:
        # One collects at a time, so each job has one of its own.
        return Collector(database=self._database, pipeline=self._pipeline, settings=self._settings)
