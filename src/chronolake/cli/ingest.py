"""`chronolake ingest`: captures in, with an account of every line."""

import sys
from typing import Annotated, Any, Self

import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from chronolake.cli.output import print_error, print_json, print_rows, stderr
from chronolake.ingest import IngestReport, IngestRequest
from chronolake.ingest import Progress as IngestProgress
from chronolake.services import open_services
from chronolake.settings import load


def ingest(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, globs, or - for standard input.")],
    project: Annotated[str, typer.Option(help="Project that the captures belong to; made where it is new.")],
    source: Annotated[
        str | None,
        typer.Option(help="Where they come from. Unset: wayback, commoncrawl or local, by the format."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Read captures of any format into PostgreSQL and the lake; what is stored already is not stored twice."""
    settings = load()
    request = IngestRequest(
        paths=tuple(paths),
        project=project,
        archive_source=source,
        stdin=sys.stdin.buffer if "-" in paths else None,
    )
    with open_services(settings) as services:
        with ProgressBar("ingest", enabled=stderr.is_terminal and not as_json) as bar:
            report = services.pipeline.ingest(request, bar.update)
        document = report_document(report)
        lake_error = services.lake_error
    if as_json:
        print_json(document)
    else:
        shown = {key: value for key, value in document.items() if value != []}
        print_rows([shown], title=f"Ingested into project {project}")
        for failure in report.failures:
            print_error(failure, as_json=False)
        if lake_error is not None:
            stderr.print("[yellow]The lake was out of reach: its batches wait in the ledger.[/yellow]")
        elif not report.in_lake and settings.sync.dual_write:
            stderr.print(
                "[yellow]The lake was busy: its batches wait in the ledger for the next run.[/yellow]"
            )
    if report.failures:
        raise typer.Exit(1)


def report_document(report: IngestReport) -> dict[str, Any]:
    """The account of an import as `--json` prints it."""
    counts = report.counts
    return {
        "import_id": report.import_id,
        "project_id": report.project_id,
        "read": counts.read,
        "stored": counts.stored,
        "duplicate": counts.duplicate,
        "rejected": counts.rejected,
        "repaired": counts.repaired,
        "rejected_by_reason": dict(counts.rejected_by_reason),
        "elapsed_s": round(report.elapsed_s, 3),
        "captures_per_s": round(counts.read / report.elapsed_s) if report.elapsed_s else None,
        "as_of_lsn": report.as_of_lsn,
        "in_lake": report.in_lake,
        "unreadable": [failure.document() for failure in report.failures],
    }


class ProgressBar:
    """Shows bytes done, captures a second and the time that remains; silent where nobody watches."""

    def __init__(self, name: str, *, enabled: bool) -> None:
        self._progress = Progress(
            TextColumn(name),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[lines]:,} lines"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
            console=stderr,
            disable=not enabled,
        )
        self._task = self._progress.add_task(name, total=None, lines=0, rate=0.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, progress: IngestProgress) -> None:
        """Show how far it is."""
        elapsed = self._progress.tasks[0].elapsed or 0.0
        self._progress.update(
            self._task,
            completed=progress.bytes_read,
            total=progress.bytes_total,
            lines=progress.counts.read,
            rate=progress.counts.read / elapsed if elapsed else 0.0,
        )
