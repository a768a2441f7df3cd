"""`chronolake serve`: the API on this machine."""

from typing import Annotated

import typer

from chronolake.api import PREFIX
from chronolake.api import serve as serve_api
from chronolake.cli.output import stderr
from chronolake.ingest import LedgerCarrier
from chronolake.lake import LakeMaintenance
from chronolake.loop import Loop
from chronolake.services import open_services
from chronolake.settings import load


def announce(address: str, example: str = "archive-sources/comparison") -> None:
    """Print where to go, with one question of the catalogue as an example."""
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
    settings = load(CHRONOLAKE_PORT=port)
    with open_services(settings) as services:
        loops: list[Loop] = []
        if services.committer is not None:
            loops.append(LedgerCarrier(committer=services.committer, interval_s=settings.sync.interval_s))
        if services.lake is not None and services.lake.is_local:
            loops.append(LakeMaintenance(lake=services.lake, settings=settings))
        for loop in loops:
            loop.start()
        try:
            serve_api(services, settings.server.port, on_bound=announce)
        finally:
            for loop in reversed(loops):
                loop.stop()
