"""`chronolake sync`: keep the lake equal to PostgreSQL, and see how far it is."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from prometheus_client import start_http_server
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from chronolake.capture.columns import TABLES
from chronolake.cli.output import print_json, print_rows, stderr
from chronolake.errors import LakeUnavailable, ParameterInvalid, SettingsError, SyncError
from chronolake.loop import LoopState, running
from chronolake.services import Services, open_services
from chronolake.settings import load
from chronolake.sync import DataSyncService, SyncStatus, TableState, TableStatus
from chronolake.telemetry import metrics

#: How often the loops are looked after, in seconds.
_LOOK_S = 1.0

app = typer.Typer(help="Keep the lake equal to PostgreSQL.", no_args_is_help=True)


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
        with _metrics(metrics_port), running(*services.loops), _until_stopped() as stopped:
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
    names = table or list(TABLES)
    for name in names:
        if name not in TABLES:
            raise ParameterInvalid(
                f"there is no synced table {name}", hint=f"The synced tables are {', '.join(TABLES)}."
            )
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


@contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """An event that is set by SIGTERM or SIGINT."""
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
