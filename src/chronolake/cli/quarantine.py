"""`chronolake quarantine`: the lines that were not stored, and why."""

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from chronolake.cli.output import print_json, print_rows, stderr
from chronolake.errors import OutputError
from chronolake.oltp import Database, quarantine
from chronolake.settings import load

app = typer.Typer(
    invoke_without_command=True,
    help="Lines that were not stored: file, line number, reason, and the bytes as they were read.",
    epilog="Examples:\n\n  chronolake quarantine --project news --limit 20\n\n"
    "  chronolake quarantine export --out rejected.jsonl",
)


@app.callback()
def listed(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only this project's.")] = None,
    import_id: Annotated[int | None, typer.Option(help="Only this import's.")] = None,
    limit: Annotated[int, typer.Option(help="Rows at most.", min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List rejected lines, newest import first."""
    if context.invoked_subcommand is not None:
        return
    with Database.open(load()) as database, database.connection() as conn:
        rows = quarantine.listed(conn, limit=limit, import_id=import_id, project=project)
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)


@app.command(epilog="Example:\n\n  chronolake quarantine export --project news > rejected.jsonl")
def export(
    project: Annotated[str | None, typer.Option(help="Only this project's.")] = None,
    import_id: Annotated[int | None, typer.Option(help="Only this import's.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
) -> None:
    """Write rejected lines as JSON lines, the bytes in base64."""
    written = 0
    with Database.open(load()) as database, database.connection() as conn:
        lines = quarantine.export(conn, import_id=import_id, project=project)
        target = sys.stdout.buffer if out is None else _opened(out)
        try:
            for line in lines:
                target.write(line)
                written += 1
            target.flush()
        finally:
            if out is not None:
                target.close()
    stderr.print(f"{written:,} lines exported")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}", hint="Name a file in a folder that can be written."
        ) from error
