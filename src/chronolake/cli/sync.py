"""`chronolake sync`: keep the lake equal to PostgreSQL, and see how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from prometheus_client import start_http_server
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from chronolake.capture.columns import TABLES, Table
from chronolake.cli.output import print_json, print_rows, stderr
from chronolake.cli.signals import until_stopped
from chronolake.errors import InputError, LakeUnavailable, SettingsError, SyncError
from chronolake.loop import LoopState, running
from chronolake.services import Services, open_services
from chronolake.settings import load
from chronolake.sync import DataSyncService, SyncStatus, TableState, TableStatus
from chronolake.telemetry import metrics

#: How often the loops are looked after, in seconds.
_LOOK_S = 1.0

app = typer.Typer(help="Keep the lake equal to PostgreSQL.", no_args_is_help=True)

letters = typer.Typer(
    invoke_without_command=True,
    help="Changes that the lake could not take, and what to do about them.",
    epilog="Examples:\n\n  chronolake sync dead-letters --table scrape_sessions --json",
)
app.add_typer(letters, name="dead-letters")
_LETTERS_HINT = "See which there are: chronolake sync dead-letters"


@app.command(epilog="Examples:\n\n  chronolake sync run\n\n  chronolake sync run --metrics-port 9187")
def run(
    metrics_port: Annotated[
        int | None,
        typer.Option(help="Serve metrics for Prometheus on 127.0.0.1 at this port.", min=1, max=65535),
    ] = None,
) -> None:
    """Bring to the lake what PostgreSQL commits, until Ctrl-C; stands by where another worker leads."""
    with open_services(load()) as services:
        of(services)
        with _metrics(metrics_port), running(*services.loops), until_stopped() as stopped:
            stderr.print("Following PostgreSQL (Ctrl-C stops)")
            while not stopped.wait(_LOOK_S):
                if any(loop.state is LoopState.FAILED for loop in services.loops):
                    # The log says why. Whoever watches over this process starts another; alive, it would look well.
                    raise typer.Exit(1)


@app.command(epilog="Examples:\n\n  chronolake sync status\n\n  chronolake sync status --json")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print how far the lake is behind PostgreSQL, and what is in the way."""
    with open_services(load()) as services:
        found = of(services).status()
    if as_json:
        print_json(document(found))
        return
    shown = document(found)
    slot, tables = shown.pop("slot"), shown.pop("tables")
    print_rows([shown], title="Sync")
    if slot:
        print_rows([slot], title="Replication slot")
    if tables:
        print_rows(tables, title="Tables")


@app.command(epilog="Example:\n\n  chronolake sync resume cdx_records")
def resume(
    table: Annotated[str, typer.Argument(help="The parked table, as `chronolake sync status` names it.")],
) -> None:
    """Copy a parked table anew and follow it again, once its hint has been followed."""
    with open_services(load()) as services, _progress() as progress:
        sync = of(services)
        sync.resume(table)
        found = sync.copied([table], told=progress)
    print_rows([asdict(status) for status in found], title="Table")
    _refuse_parked(found)


@app.command(
    epilog="Examples:\n\n  chronolake sync backfill\n\n  chronolake sync backfill --table cdx_records --json"
)
def backfill(
    table: Annotated[
        list[str] | None, typer.Option("--table", help="Only this table; may be given several times.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Copy tables from PostgreSQL into the lake anew, while both are in use; after a kill, the same again goes on."""
    names = [found.name for found in _tables(table)]
    with open_services(load()) as services, _progress() as progress:
        found = of(services).backfill(names, told=progress)
    rows = [asdict(status) for status in found]
    if as_json:
        print_json({"tables": rows})
    else:
        print_rows(rows, title="Tables")
    _refuse_parked(found)


def _refuse_parked(found: list[TableStatus]) -> None:
    if parked := [status for status in found if status.state == TableState.PARKED]:
        raise SyncError(
            f"{parked[0].table_name} could not be copied: {parked[0].last_error}", hint=parked[0].hint
        )


@contextmanager
def _progress() -> Iterator[Callable[[list[TableStatus]], None]]:
    """What shows how far tables are, with the time that is left; nothing where nobody looks."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of about {task.total:,.0f} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as shown:
        tasks: dict[str, TaskID] = {}

        def told(tables: list[TableStatus]) -> None:
            for status in tables:
                if status.rows_estimate is None:
                    continue
                if status.table_name not in tasks:
                    tasks[status.table_name] = shown.add_task(status.table_name)
                total = max(status.rows_estimate, status.rows_done, 1)
                done = status.rows_done if status.state == TableState.COPYING else total
                shown.update(tasks[status.table_name], total=total, completed=done)

        yield told


@app.command(
    epilog="Examples:\n\n  chronolake sync verify\n\n  chronolake sync verify --table cdx_records --repair --json"
)
def verify(
    table: Annotated[
        list[str] | None, typer.Option(help="Only this table; may be said several times.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Put right what differs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare the lake with PostgreSQL, row by row, while both go on; exit code 1 where they differ."""
    tables = _tables(table)
    with open_services(load()) as services:
        verdicts = of(services).verify(tables, repair=repair)
    equal = all(verdict.equal for verdict in verdicts)
    if as_json:
        print_json({"equal": equal, "tables": [asdict(verdict) for verdict in verdicts]})
    else:
        print_rows(
            [
                {
                    name: value
                    for name, value in asdict(verdict).items()
                    if name not in {"columns", "examples"}
                }
                for verdict in verdicts
            ],
            title="The same" if equal else "They differ",
        )
        for verdict in verdicts:
            for kind, keys in verdict.examples.items():
                stderr.print(f"{verdict.table}: {kind}: {', '.join(keys)}", soft_wrap=True, markup=False)
    if not equal:
        raise typer.Exit(1)


@letters.callback()
def listed(
    context: typer.Context,
    table: Annotated[str | None, typer.Option(help="Only this table's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List changes that the lake could not take, oldest first."""
    if context.invoked_subcommand is not None:
        return
    with open_services(load()) as services:
        found = [asdict(letter) for letter in of(services).dead_letters(table=table)]
    if as_json:
        print_json(found)
    else:
        print_rows(found)


@letters.command(
    epilog="Examples:\n\n  chronolake sync dead-letters retry 7\n\n  chronolake sync dead-letters retry --all"
)
def retry(
    letter_id: Annotated[int | None, typer.Argument(help="Number of the letter.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every one that is open.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Bring to the lake what PostgreSQL has of these rows now; exit code 1 where one still does not fit."""
    if (letter_id is None) != all_:
        raise InputError("say which letters are meant", hint="Name one by its number, or say --all.")
    with open_services(load()) as services:
        sync = of(services)
        chosen = sync.dead_letters(letter_id=letter_id)
        if letter_id is not None and not chosen:
            raise InputError(f"there is no open letter {letter_id}", hint=_LETTERS_HINT)
        left = sync.retry(chosen)
    retried = [letter.letter_id for letter in chosen if letter.letter_id not in left]
    if as_json:
        print_json({"retried": retried, "open": left})
    else:
        stderr.print(f"{len(retried)} retried, {len(left)} still open")
        print_rows([{"letter_id": number, "reason": reason} for number, reason in left.items()])
    if left:
        raise typer.Exit(1)


@letters.command(epilog="Example:\n\n  chronolake sync dead-letters dismiss 7")
def dismiss(letter_id: Annotated[int, typer.Argument(help="Number of the letter.")]) -> None:
    """Close a letter and leave the lake as it is."""
    with open_services(load()) as services:
        if not of(services).dismiss(letter_id):
            raise InputError(f"there is no open letter {letter_id}", hint=_LETTERS_HINT)


def _tables(names: list[str] | None) -> list[Table]:
    for name in names or ():
        if name not in TABLES:
            raise InputError(f"{name} is no synced table", hint=f"These are: {', '.join(TABLES)}")
    return [TABLES[name] for name in names or TABLES]


def of(services: Services) -> DataSyncService:
    """The sync of open services.

    Raises:
        LakeUnavailable: there is no lake to keep equal.
    """
    if services.sync is None:
        raise services.lake_error or LakeUnavailable("the lake is switched off (ANALYTICS_ENABLED)")
    return services.sync


def document(found: SyncStatus) -> dict[str, Any]:
    """The status as `--json` prints it."""
    return asdict(found)


@contextmanager
def _metrics(port: int | None) -> Iterator[None]:
    """Serve the metrics of this process within the block."""
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=metrics.REGISTRY)
    except OSError as error:
        raise SettingsError(
            f"port {port} cannot be used: {error.strerror}", hint="Choose another."
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
