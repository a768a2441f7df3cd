"""`chronolake collect`: captures from web archives, going on where it stood."""

from typing import Annotated, Any

import typer

from chronolake.cli.ingest import ProgressBar
from chronolake.cli.output import print_error, print_json, print_rows, stderr
from chronolake.cli.schedules import show as show_schedules
from chronolake.cli.sessions import document as session_document
from chronolake.cli.signals import stoppable
from chronolake.ingest import CollectRequest, SessionReport, Source, request_of
from chronolake.services import Services, open_queue, open_schedules, open_services
from chronolake.settings import Settings, load
from chronolake.sources.query import Match

#: What a shell gives a command that Ctrl-C ended.
STOPPED = 130


def collect(  # noqa: PLR0917  # typer passes them by name
    domain: Annotated[
        str | None, typer.Argument(help="What to collect: example.com, example.com/news/*, or a URL.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Project that the captures belong to; made where it is new.")
    ] = None,
    source: Annotated[
        Source | None,
        typer.Option(
            help="Archive to ask; the project keeps wayback, commoncrawl or hybrid. Unset: as it keeps."
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the archive's API.")] = None,
    match: Annotated[Match, typer.Option(help="How much of the web it is about.")] = Match.DOMAIN,
    start: Annotated[str | None, typer.Option("--from", help="First time: 2014, 201405, 2014-05-31.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last time, all of it.")] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--filter", help="Only captures that match: status:200, !mime:image/.*"),
    ] = None,
    collapse: Annotated[
        str | None, typer.Option(help="One of adjacent captures alike in it: digest, timestamp:8 (wayback).")
    ] = None,
    resume: Annotated[int | None, typer.Option(help="Go on with the scrape session of that number.")] = None,
    later: Annotated[
        bool,
        typer.Option("--later", help="Queue it for a worker (`chronolake work`), and print the session."),
    ] = False,
    every: Annotated[
        str | None, typer.Option(help="Again and again, by a worker: 6h, 1d, 2w, or five cron fields in UTC.")
    ] = None,
    since_last: Annotated[
        bool | None,
        typer.Option(
            "--since-last/--whole",
            help="Only what is newer than all that came, and what did not end. With --every it is so unset.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Collect captures from web archives into PostgreSQL and the lake; begun and not ended, it goes on."""
    settings = load()
    request = None
    if resume is None:
        if domain is None or project is None:
            raise typer.BadParameter("name what to collect and --project, or --resume a session")
        request = request_of(
            settings.archives,
            project=project,
            domain=domain,
            source=source,
            url=url,
            match=match,
            start=start,
            end=end,
            filters=tuple(keep or ()),
            collapse=collapse,
            since_last=every is not None if since_last is None else since_last,
        )
    elif domain is not None:
        raise typer.BadParameter("a session knows what it collects: name it, or --resume, not both")
    if every is not None:
        if request is None:
            raise typer.BadParameter("a session is resumed once; say what to collect again and again")
        with open_schedules(settings) as schedules:
            show_schedules([schedules.add(request, every)], as_json=as_json)
        return
    if later:
        _queue(settings, request, resume, as_json=as_json)
        return
    with open_services(settings) as services:
        with (
            ProgressBar("collect", enabled=stderr.is_terminal and not as_json) as bar,
            stoppable(services.collector.stop),
        ):
            reports = _collected(services, request, resume, bar)
        lake_error = services.lake_error
    documents = [document(report) for report in reports]
    if as_json:
        print_json({"sessions": documents})
    else:
        for shown, report in zip(documents, reports, strict=True):
            told = {
                key: value for key, value in shown.items() if value not in (None, {}) and key != "failure"
            }
            print_rows([told])
            if report.failure is not None:
                print_error(report.failure, as_json=False)
        if lake_error is not None:
            stderr.print("[yellow]The lake was out of reach: its batches wait in the ledger.[/yellow]")
    if reports[-1].failure is not None:
        raise typer.Exit(STOPPED if reports[-1].stopped else 1)


def _queue(settings: Settings, request: CollectRequest | None, resume: int | None, *, as_json: bool) -> None:
    with open_queue(settings) as queue:
        if request is not None:
            queued = queue.later(request)
        else:
            assert resume is not None  # noqa: S101  # one of the two is there
            queued = [queue.resume(resume)]
    if as_json:
        print_json({"sessions": [session_document(session) for session in queued]})
    else:
        stderr.print("Queued; chronolake sessions shows how it goes, once chronolake work or serve runs.")
        for session in queued:
            print_json(session.session_id)


def document(report: SessionReport) -> dict[str, Any]:
    """A session's account as `--json` prints it."""
    session, ingest = report.session, report.ingest
    return {
        "session_id": session.session_id,
        "project_id": session.project_id,
        "archive_source": session.archive_source,
        "reason": report.reason,
        "state": session.state,
        "pages": session.pages,
        "read": session.read,
        "stored": session.stored,
        "duplicate": session.duplicate,
        "rejected": session.rejected,
        "outside": session.outside,
        "place": session.place,
        "attempts": dict(report.attempts),
        "import_id": session.import_id,
        "elapsed_s": None if ingest is None else round(ingest.elapsed_s, 3),
        "as_of_lsn": None if ingest is None else ingest.as_of_lsn,
        "in_lake": None if ingest is None else ingest.in_lake,
        "failure": None if report.failure is None else report.failure.document(),
    }


def _collected(
    services: Services, request: CollectRequest | None, resume: int | None, bar: ProgressBar
) -> list[SessionReport]:
    if request is not None:
        return services.collector.collect(request, bar.update)
    assert resume is not None  # noqa: S101  # one of the two is there
    return [services.collector.resume(resume, bar.update)]
