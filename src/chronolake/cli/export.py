"""`chronolake export`: captures, or the answer of a question, as a file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from chronolake.cli.ask import parameters
from chronolake.cli.output import print_json, print_rows, stderr
from chronolake.query import Scope
from chronolake.query.export import Format, Progress
from chronolake.services import open_reading
from chronolake.settings import load


def export(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="captures, or the name of a question; ask --list shows these.")],
    to: Annotated[Path, typer.Option(help="File to write; for captures in Parquet, a folder will do.")],
    *,
    format_: Annotated[
        str | None, typer.Option("--format", help="parquet, csv, jsonl, arrow or xlsx; by the suffix else.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Export captures, or the answer of a question; its parameters follow as --name value."""
    form = Format.of(to, format_)
    params = parameters(context.args)
    with (
        open_reading(load()) as stores,
        Bar(
            TextColumn("exporting"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), console=stderr
        ) as bar,
    ):
        task = bar.add_task("export", total=None)

        def show(progress: Progress) -> None:
            if progress.share is not None:
                bar.update(task, completed=progress.share, total=1)

        found = stores.exporter.export(
            what,
            params,
            scope=Scope.everything(),
            path=to,
            format_=form,
            replace=replace,
            on_progress=show,
        )
    document = vars(found) | {"path": str(found.path)}
    if as_json:
        print_json(document)
    else:
        print_rows([document])
