"""`chronolake schedules`: what is collected again and again."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from chronolake.cli.output import print_json, print_rows
from chronolake.oltp.schedules import Schedule
from chronolake.services import open_schedules
from chronolake.settings import load

_Id = Annotated[int, typer.Argument(help="The schedule's number, as `chronolake schedules` lists it.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

app = typer.Typer(
    invoke_without_command=True,
    help="What is collected again and again: list, pause, resume, remove.",
    epilog="Examples:\n\n  chronolake schedules\n\n  chronolake schedules --json",
)


@app.callback()
def schedules(context: typer.Context, as_json: _Json = False) -> None:
    """List schedules, oldest first."""
    if context.invoked_subcommand is None:
        listed(as_json)


@app.command("list", epilog="Example:\n\n  chronolake schedules list --json")
def listed(as_json: _Json = False) -> None:
    """List schedules, oldest first."""
    with open_schedules(load()) as opened:
        show(opened.listed(), as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake schedules pause 3")
def pause(schedule_id: _Id, as_json: _Json = False) -> None:
    """Let a schedule rest until it is resumed."""
    with open_schedules(load()) as opened:
        show([opened.pause(schedule_id)], as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake schedules resume 3")
def resume(schedule_id: _Id, as_json: _Json = False) -> None:
    """Let a schedule go on; what it missed is made up for once."""
    with open_schedules(load()) as opened:
        show([opened.pause(schedule_id, paused=False)], as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake schedules remove 3")
def remove(schedule_id: _Id) -> None:
    """Forget a schedule; its sessions stay."""
    with open_schedules(load()) as opened:
        opened.remove(schedule_id)


def show(found: Sequence[Schedule], *, as_json: bool) -> None:
    """Print schedules."""
    if as_json:
        print_json({"schedules": [document(schedule) for schedule in found]})
    else:
        print_rows([_row(schedule) for schedule in found])


def document(schedule: Schedule) -> dict[str, Any]:
    """A schedule as `--json` prints it."""
    return vars(schedule).copy()


def _row(schedule: Schedule) -> dict[str, Any]:
    archive, error = schedule.archive or {}, schedule.error or {}
    return {
        "id": schedule.schedule_id,
        "project": schedule.project,
        "source": archive.get("base", "(as the project keeps)"),
        "what": schedule.query["url"],
        "every": schedule.every,
        "only new": schedule.incremental,
        "state": "paused" if schedule.paused else "on",
        "next": schedule.next_at,
        "last": schedule.last_at,
        "last session": schedule.last_session_id,
        "error": error.get("message"),
        "remedy": error.get("hint") or None,
    }
