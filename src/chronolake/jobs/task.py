"""What a worker can do: a task is a plain function that runs in a thread of the worker, never on its event loop."""

from collections.abc import Callable
from dataclasses import dataclass

from chronolake.jobs.queue import Queue


@dataclass(frozen=True)
class Task:
    """The task of one queue, whose name it bears.

    `run` takes the job's arguments; `died` is asked, with the same, whether a job is to be run again whose worker is
    gone; `stop` has those that run end soon. With `cron`, the task runs by the clock, once for each tick however many
    workers there are, and gets the tick as `timestamp`.
    """

    queue: Queue
    run: Callable[..., None]
    died: Callable[..., bool] = lambda **_: True
    stop: Callable[[], None] = lambda: None
    cron: str | None = None
