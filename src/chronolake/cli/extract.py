"""`chronolake extract`: pages of captures, with an account of every capture."""

from typing import Annotated, Any, Self

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from chronolake.cli.collect import STOPPED
from chronolake.cli.output import print_error, print_json, print_rows, stderr
from chronolake.cli.signals import stoppable
from chronolake.ingest import OVERRIDABLE, ExtractCounts, ExtractReport, ExtractRequest
from chronolake.services import open_services
from chronolake.settings import load
from chronolake.sources.query import span


def extract(  # noqa: PLR0917  # typer passes them by name
    project: Annotated[str, typer.Option(help="Project whose captures become pages.")],
    domain: Annotated[str | None, typer.Option(help="Only captures of that domain.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First time: 2014, 201405, 2014-05-31.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last time, all of it.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Captures to look at, at most.")] = None,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--from-files", help="WARC, ARC or WACZ file, or folder of such, to read payloads from."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Only captures of that archive source: wayback, commoncrawl, local ...")
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(help="Address of an archive that replays captures of other sources, as pywb does."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Those too that were looked at before.")] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            help="Captures too that would be left out for that reason: status, list_page, digest ..."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Fetch the payloads of captures, take out what they say, and store a page for each, or why there is none."""
    unknown = sorted(set(include or ()) - set(OVERRIDABLE))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is no reason: {', '.join(OVERRIDABLE)}")
    first, last = span(start, end)
    request = ExtractRequest(
        project=project,
        domain=domain,
        start=first,
        end=last,
        archive_source=source,
        limit=limit,
        files=tuple(files or ()),
        replay=replay,
        again=again,
        included=frozenset(include or ()),
    )
    settings = load()
    with open_services(settings) as services:
        with (
            _Shown(enabled=stderr.is_terminal and not as_json) as shown,
            stoppable(services.extraction.stop),
        ):
            report = services.extraction.run(request, shown.update)
        lake_error = services.lake_error
    document = report_document(report)
    if as_json:
        print_json(document)
    else:
        told = {key: value for key, value in document.items() if value not in ({}, [])}
        print_rows([told], title=f"Extracted pages of project {project}")
        for failure in report.failures:
            print_error(failure, as_json=False)
        if lake_error is not None:
            stderr.print("[yellow]The lake was out of reach: its batches wait in the ledger.[/yellow]")
    if report.failures:
        raise typer.Exit(STOPPED if report.stopped else 1)


def report_document(report: ExtractReport) -> dict[str, Any]:
    """The account of a run as `--json` prints it."""
    counts = report.counts
    return {
        "import_id": report.import_id,
        "project_id": report.project_id,
        "considered": counts.considered,
        "extracted": counts.extracted,
        "failed": counts.failed.total(),
        "filtered": counts.filtered.total(),
        "not_fetched": counts.not_fetched.total(),
        "failed_by_kind": dict(counts.failed),
        "filtered_by_reason": dict(counts.filtered),
        "not_fetched_by_reason": dict(counts.not_fetched),
        "elapsed_s": round(report.elapsed_s, 3),
        "as_of_lsn": report.as_of_lsn,
        "in_lake": report.in_lake,
        "failures": [failure.document() for failure in report.failures],
    }


class _Shown:
    """Shows the account as it grows; silent where nobody watches."""

    def __init__(self, *, enabled: bool) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("extract {task.fields[said]}"),
            TimeElapsedColumn(),
            console=stderr,
            disable=not enabled,
        )
        self._task = self._progress.add_task("extract", total=None, said="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, counts: ExtractCounts) -> None:
        """Show how far it is."""
        self._progress.update(
            self._task,
            said=f"{counts.considered:,} captures: {counts.extracted:,} pages, {counts.failed.total():,} failed,"
            f" {counts.filtered.total():,} filtered, {counts.not_fetched.total():,} not fetched",
        )
