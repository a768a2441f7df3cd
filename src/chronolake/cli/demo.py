"""`chronolake demo`: a generated archive through the ordinary door, three answers, then the API."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chronolake.cli.ask import show
from chronolake.cli.ingest import report_document
from chronolake.cli.output import print_rows
from chronolake.cli.serve import announce
from chronolake.ingest import IngestRequest
from chronolake.loop import running
from chronolake.query import Scope
from chronolake.services import Services, open_services
from chronolake.settings import Settings, load

DEMO_ROWS = 100_000
DEMO_SEED = 2026
DEMO_PROJECT = "demo"


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the answers.")] = False,
) -> None:
    """Generate 100 000 captures, ingest them, answer three questions, serve the API until Ctrl-C."""
    settings = load()
    archive = sample(settings)
    with open_services(settings) as services:
        report = services.pipeline.ingest(IngestRequest(paths=(str(archive),), project=DEMO_PROJECT))
        account = report_document(report)
        print_rows(
            [
                {
                    key: account[key]
                    for key in ("read", "stored", "duplicate", "rejected", "repaired", "elapsed_s")
                }
            ],
            title="1. A generated archive of ten years, through the ordinary door",
        )
        example = f"domains/{_answer(services)}/timeline?interval=year"
        if not once:
            from chronolake.api import serve as serve_api  # noqa: PLC0415  # as in serve.py

            with running(*services.loops):
                serve_api(services, settings.server.port, on_bound=partial(announce, example=example))


def sample(settings: Settings) -> Path:
    """The sample archive's file in the home, made where it is missing."""
    path = settings.home.root / "demo" / f"generated-{DEMO_ROWS}-{DEMO_SEED}.cdx.gz"
    if not path.exists():
        from chronolake.bench import generator  # noqa: PLC0415  # as in serve.py

        path.parent.mkdir(parents=True, exist_ok=True)
        # Under another name until it is whole: a demo that was interrupted leaves no half archive.
        half = path.with_name("half-" + path.name)
        generator.write("cdx", DEMO_ROWS, half, seed=DEMO_SEED)
        half.rename(path)
    return path


def _answer(services: Services) -> str:
    """Ask three questions; the domain that one of them is about."""
    scope = Scope.everything()

    async def ask() -> str:
        top = await services.router.ask("top_domains", {"limit": "5"}, scope=scope)
        show(top, "2. Which domains have the most captures?", as_json=False)
        domain = str(top.rows[0]["domain"])
        timeline = await services.router.ask(
            "domain_timeline", {"domain": domain, "interval": "year"}, scope=scope
        )
        show(timeline, f"3. How was {domain} captured over the years?", as_json=False)
        sources = await services.router.ask("archive_sources_comparison", {}, scope=scope)
        show(sources, "4. How do the archive sources compare?", as_json=False)
        return domain

    return asyncio.run(ask())
