"""Work that outlives whoever asked for it: queued in PostgreSQL, done by workers, taken up again when one dies."""

from chronolake.jobs.collecting import CollectQueue
from chronolake.jobs.queue import Queue
from chronolake.jobs.scheduling import Schedules
from chronolake.jobs.service import JobService
from chronolake.jobs.worker import JobWorker

__all__ = ["CollectQueue", "JobService", "JobWorker", "Queue", "Schedules"]
