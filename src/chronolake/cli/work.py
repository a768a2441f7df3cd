"""`chronolake work`: carry out jobs that are queued."""

from typing import Annotated

import typer

from chronolake.cli.output import stderr
from chronolake.cli.signals import stoppable, until_stopped
from chronolake.errors import SettingsError
from chronolake.jobs import Queue
from chronolake.loop import LoopState, running
from chronolake.services import open_services
from chronolake.settings import Settings, load

#: Connections that one job may need at a time: an ingest's (`CHRONOLAKE_DB_POOL_SIZE`).
_OF_A_JOB = 5
#: And those that the process needs beside its jobs.
_OF_THE_PROCESS = 3
#: How often the worker is looked after, in seconds.
_LOOK_S = 1.0


def work(
    queues: Annotated[
        list[Queue] | None,
        typer.Option("--queues", help="Queue to work for; give it again for more. Unset: all."),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Jobs at a time; by the setting else.", min=1, max=32)
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when no job is due.")] = False,
) -> None:
    """Carry out queued jobs until Ctrl-C; those of a worker that died are taken up again."""
    settings = for_jobs(CHRONOLAKE_JOBS_CONCURRENCY=concurrency)
    with open_services(settings) as services:
        worker = services.jobs.worker(queues=queues, once=once)
        if once:
            with stoppable(worker.stop):
                worker.step()
            return
        with running(*services.loops, worker), until_stopped() as stopped:
            stderr.print("Working on jobs (Ctrl-C stops)")
            while not stopped.wait(_LOOK_S):
                if worker.state is LoopState.FAILED:
                    # The log says why. Whoever watches over this process starts another; alive, it would look well.
                    raise typer.Exit(1)


def for_jobs(**flags: object) -> Settings:
    """The settings, with as many connections as the jobs need that run at a time, unless a number was said.

    Raises:
        SettingsError: the number that was said is too small.
    """
    settings = load(None, **flags)
    needed = settings.jobs.concurrency * _OF_A_JOB + _OF_THE_PROCESS
    if settings.database.pool_size >= needed:
        return settings
    if "CHRONOLAKE_DB_POOL_SIZE" in settings.origins:
        raise SettingsError(
            f"{settings.jobs.concurrency} jobs at a time need {needed} connections, and CHRONOLAKE_DB_POOL_SIZE is"
            f" {settings.database.pool_size}",
            hint=f"Set CHRONOLAKE_DB_POOL_SIZE={needed}, or fewer jobs: --concurrency.",
        )
    return load(None, **flags, CHRONOLAKE_DB_POOL_SIZE=needed)
