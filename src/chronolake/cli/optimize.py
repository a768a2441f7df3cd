"""`chronolake optimize`: what makes questions cheaper."""

from dataclasses import asdict
from typing import Annotated

import typer

from chronolake.cli.ask import parameters
from chronolake.cli.output import print_json, print_rows, stdout
from chronolake.lake import Refreshed
from chronolake.services import open_services
from chronolake.settings import load

app = typer.Typer(help="Make questions cheaper.", no_args_is_help=True)

_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Examples:\n\n  chronolake optimize rollup domain_timeline --interval month\n\n"
    "  chronolake optimize rollup archive_sources_comparison --by-project --dry-run",
)
def rollup(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="The question that is to be answered from it.")],
    *,
    by_project: Annotated[
        bool, typer.Option("--by-project", help="Serve who asks about one project, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Keep what a question counts, so that it need not be counted again; its choices follow as --name value."""
    with open_services(load()) as services:
        wanted = services.optimizer.rollups_for(question, parameters(context.args), by_project=by_project)
        if dry_run:
            shown: list[dict[str, object]] = [
                {
                    "rollup": want.rollup.name,
                    "asked": want.asked,
                    "source": want.rollup.source,
                    "dimensions": [dimension.expression for dimension in want.rollup.dimensions],
                    "measures": [measure.expression for measure in want.rollup.measures],
                }
                for want in wanted
            ]
            _show(shown, "Rollups that would be made", as_json=as_json)
            return
        made = services.optimizer.make(wanted)
    _show_refreshed(made, "Made", as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake optimize rollups --json")
def rollups(as_json: _JSON = False) -> None:
    """List the rollups: what for, how many cells, and whether they are true of the newest rows."""
    with open_services(load()) as services:
        states = [state.document() for state in services.optimizer.rollups()]
    _show(states, "Rollups", as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake optimize refresh")
def refresh(as_json: _JSON = False) -> None:
    """Compute the cells anew whose rows came or went; `serve` and `sync run` do so by themselves."""
    with open_services(load()) as services:
        done = services.optimizer.refresh()
    _show_refreshed(done, "Refreshed", as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake optimize drop rollup_0123456789ab")
def drop(name: Annotated[str, typer.Argument(help="As `chronolake optimize rollups` names it.")]) -> None:
    """Forget a rollup; answers come from the captures again."""
    with open_services(load()) as services:
        services.optimizer.drop(name)
    stdout.print(f"{name} is gone")


def _show_refreshed(done: list[Refreshed], title: str, *, as_json: bool) -> None:
    _show([asdict(refreshed) for refreshed in done], title, as_json=as_json)


def _show(rows: list[dict[str, object]], title: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        print_rows(rows, title=title)
    else:
        stdout.print(f"{title}: none")
