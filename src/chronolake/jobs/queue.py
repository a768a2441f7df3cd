"""The queue: which there are, and putting a job into one in the transaction that it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from chronolake.oltp import queued

if TYPE_CHECKING:
    from procrastinate import App


class Queue(StrEnum):
    """What kinds of jobs there are, so that a worker can be for some of them."""

    COLLECT = "collect"  #: scrape sessions
    EXPORTS = "exports"  #: exports that were asked for over HTTP
    UPKEEP = "upkeep"  #: what comes by the clock: schedules, old exports


@dataclass(frozen=True)
class Job:
    """A job to be queued: the task's name with its arguments, and `key`, of which one waits and one runs at a time."""

    queue: Queue
    key: str
    arguments: Mapping[str, Any]


def put(conn: Connection, job: Job) -> None:
    """Queue a job in the transaction of `conn`; where one with its key waits already, that one is due now."""
    # The library takes longer to import than most commands take to run: only who queues waits for it.
    from procrastinate.exceptions import AlreadyEnqueued  # noqa: PLC0415

    try:
        with conn.transaction():
            _deferring().configure_task(
                job.queue.value, queue=job.queue.value, lock=job.key, queueing_lock=job.key, connection=conn
            ).defer(**job.arguments)
    except AlreadyEnqueued:
        queued.hasten(conn, job.key)


@cache
def _deferring() -> "App":
    """The library's application where jobs are put into the queue only, by connections of ours."""
    from procrastinate import App, SyncPsycopgConnector  # noqa: PLC0415  # as above

    return App(connector=SyncPsycopgConnector())
