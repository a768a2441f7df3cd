"""`chronolake serve`: the API on this machine."""

from dataclasses import replace
from typing import Annotated

import typer

from chronolake.cli.output import stderr
from chronolake.cli.work import for_jobs
from chronolake.loop import running
from chronolake.services import Services, open_services
from chronolake.settings import load


def announce(address: str, example: str = "archive-sources/comparison") -> None:
    """Print where to go, with one question of the catalogue as an example."""
    from chronolake.api import PREFIX  # noqa: PLC0415  # as below

    stderr.print(f"\nServing on {address}  (Ctrl-C stops)")
    for path, meaning in (
        ("/docs", "every route"),
        (f"{PREFIX}/{example}", "a question"),
        ("/health/ready", "whether each part works"),
        ("/metrics", "for Prometheus"),
    ):
        stderr.print(f"  {meaning:<24}{address}{path}", soft_wrap=True)


def serve(
    port: Annotated[int | None, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = None,
) -> None:
    """Serve the API, health checks and metrics on 127.0.0.1 until Ctrl-C."""
    # A web framework takes longer to import than most commands take to run: only who serves waits for it.
    from chronolake.api import serve as serve_api  # noqa: PLC0415

    settings = load(CHRONOLAKE_PORT=port)
    if settings.jobs.in_server:
        settings = for_jobs(CHRONOLAKE_PORT=port)
    with open_services(settings) as opened:
        services = with_worker(opened)
        with running(*services.loops):
            serve_api(services, settings.server.port, on_bound=announce)


def with_worker(services: Services) -> Services:
    """The services with a worker for jobs among their loops, if the settings say so."""
    if not services.settings.jobs.in_server:
        return services
    return replace(services, loops=(*services.loops, services.jobs.worker()))
