"""`chronolake sync`: keep the lake equal to PostgreSQL, and see how far it is."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from prometheus_client import start_http_server

from chronolake.cli.output import print_json, print_rows, stderr
from chronolake.errors import LakeUnavailable, SettingsError
from chronolake.loop import LoopState, running
from chronolake.services import Services, open_services
from chronolake.settings import load
from chronolake.sync import DataSyncService, SyncStatus
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
    with open_services(load()) as services:
        sync = of(services)
        sync.resume(table)
        sync.reach()
        found = next(known for known in sync.status().tables if known.table_name == table)
    print_rows([asdict(found)], title="Table")


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
