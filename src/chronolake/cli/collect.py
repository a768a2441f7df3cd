"""`chronolake collect`: captures from web archives, going on where it stood."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType
from typing import Annotated, Any

import typer

from chronolake.cli.ingest import ProgressBar
from chronolake.cli.output import error_document, print_error, print_json, print_rows, stderr
from chronolake.errors import ArchiveQueryInvalid
from chronolake.ingest import CollectRequest, SessionReport
from chronolake.services import Services, open_services
from chronolake.settings import ArchiveSettings, load
from chronolake.sources.catalogue import Archive, Kind, archive
from chronolake.sources.query import Match, Query
from chronolake.sources.router import Policy

#: What a shell gives a command that Ctrl-C ended.
STOPPED = 130


class Source(StrEnum):
    """What `--source` takes: a policy of the project, or an archive with an address of its own."""

    WAYBACK = "wayback"
    COMMONCRAWL = "commoncrawl"
    HYBRID = "hybrid"
    CDX_SERVER = "cdx-server"
    TIMEMAP = "timemap"


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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Collect captures from web archives into PostgreSQL and the lake; begun and not ended, it goes on."""
    settings = load()
    request = None
    if resume is None:
        if domain is None or project is None:
            raise typer.BadParameter("name what to collect and --project, or --resume a session")
        request = CollectRequest(
            project=project,
            query=Query.parse(
                domain, match=match, start=start, end=end, filters=tuple(keep or ()), collapse=collapse
            ),
            archive=_archive(source, url, settings.archives),
            policy=None if url is not None else _policy(source),
        )
    elif domain is not None:
        raise typer.BadParameter("a session knows what it collects: name it, or --resume, not both")
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
        "failure": None if report.failure is None else error_document(report.failure),
    }


def _collected(
    services: Services, request: CollectRequest | None, resume: int | None, bar: ProgressBar
) -> list[SessionReport]:
    if request is not None:
        return services.collector.collect(request, bar.update)
    assert resume is not None  # noqa: S101  # one of the two is there
    return [services.collector.resume(resume, bar.update)]


def _archive(source: Source | None, url: str | None, settings: ArchiveSettings) -> Archive | None:
    """The archive that was named with its address; null where the project's policy chooses."""
    if source in (None, Source.HYBRID):
        if url is not None:
            raise ArchiveQueryInvalid("--url is the address of one archive", hint="Say which with --source.")
        return None
    if url is None and _policy(source) is not None:
        return None
    return archive(Kind(source), url, settings)


def _policy(source: Source | None) -> Policy | None:
    """The policy of that name, null where it names none."""
    return next((policy for policy in Policy if source is not None and policy.value == source.value), None)


@contextmanager
def stoppable(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C, or a SIGTERM, stops what runs in the block and keeps what it has; the second one ends all."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}

    def stopped(_signum: int, _frame: FrameType | None) -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        stop()

    for signum in before:
        signal.signal(signum, stopped)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
