"""`chronolake db` and `chronolake lake`: the two stores, seen from the shell."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from psycopg.pq import Conninfo

from chronolake.cli.output import print_json, print_rows, stdout
from chronolake.errors import DatabaseError, LakeUnavailable
from chronolake.lake import Lake, Merged
from chronolake.oltp import Database, client_program
from chronolake.services import open_reading
from chronolake.settings import load

db = typer.Typer(no_args_is_help=True, help="PostgreSQL: its address, its schema, a prompt.")
lake = typer.Typer(no_args_is_help=True, help="The lake: what it holds and how it lies.")


@db.command(epilog='Example:\n\n  psql "$(chronolake db url)"   # while another command keeps the server up')
def url(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Print the address of PostgreSQL, as libpq reads it."""
    with Database.open(load()) as database:
        if as_json:
            print_json({"url": database.url})
        else:
            stdout.print(database.url, soft_wrap=True, markup=False)


@db.command(epilog="Example:\n\n  DATABASE_URL=postgresql://me@db/archive chronolake db migrate")
def migrate(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Bring the schema up to date; harmless when it is."""
    with Database.open(load()) as database:
        document = {"server_version": database.server_version, "migrations": database.migrations()}
    if as_json:
        print_json(document)
    else:
        print_rows([document])


@db.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Examples:\n\n  chronolake db psql\n\n  chronolake db psql -c 'SELECT count(*) FROM cdx_records'",
)
def psql(context: typer.Context) -> None:
    """Open psql on the database; what follows goes to psql."""
    with Database.open(load()) as database:
        program = client_program("psql") or shutil.which("psql")
        if program is None:
            raise DatabaseError("there is no psql", hint="apt-get install postgresql-client")
        environment = os.environ | _libpq_variables(database.url)
        with _interrupts_left_to_it():
            done = subprocess.run([program, *context.args], env=environment, check=False)  # noqa: S603  # psql, the user's words
    raise typer.Exit(done.returncode)


def _libpq_variables(url: str) -> dict[str, str]:
    """The address as libpq's environment variables, for everybody on the machine sees a command's arguments."""
    found = {
        option.envvar.decode(): option.val.decode()
        for option in Conninfo.parse(url.encode())
        if option.envvar and option.val is not None
    }
    found["PGOPTIONS"] = f"{found.get('PGOPTIONS', '')} -c search_path=chronolake,public".strip()
    return found


@contextmanager
def _interrupts_left_to_it() -> Iterator[None]:
    """Ctrl-C ends psql's statement, and not psql with us."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@lake.command(
    epilog="Examples:\n\n  chronolake lake compact --once --json\n\n"
    "  chronolake lake compact --nice 10   # until Ctrl-C, as `serve` does by itself"
)
def compact(
    once: Annotated[bool, typer.Option("--once", help="End when there is nothing left to merge.")] = False,
    nice: Annotated[int, typer.Option(help="Lower the priority by this much.", min=0, max=19)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Merge the lake's small files into sorted ones; ingest and questions go on meanwhile."""
    os.nice(nice)
    settings = load()
    merged: list[Merged] = []
    with Database.open(settings) as database, Lake.open(settings, database.url) as opened:
        compactor = opened.compactor()
        while True:
            merged += compactor.compact()
            if once:
                break
            opened.retention().expire()
            time.sleep(settings.sync.interval_s)
    document = {
        "merges": len(merged),
        "files_in": sum(one.files_in for one in merged),
        "files_out": sum(one.files_out for one in merged),
        "rows": sum(one.rows for one in merged),
        "bytes_in": sum(one.bytes_in for one in merged),
        "bytes_out": sum(one.bytes_out for one in merged),
        "seconds": round(sum(one.seconds for one in merged), 3),
        "longest_swap_ms": round(max((one.swap_s for one in merged), default=0) * 1000, 1),
    }
    if as_json:
        print_json(document)
    else:
        print_rows([document], title="Compaction")


@lake.command(
    epilog="Examples:\n\n  chronolake lake expire --json\n\n  CHRONOLAKE_LAKE_RETENTION=36h chronolake lake expire"
)
def expire(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Let go of old snapshots, and remove files that none of the others sees; the newest state stays."""
    settings = load()
    with Database.open(settings) as database, Lake.open(settings, database.url) as opened:
        retention = opened.retention()
        expired, removed = retention.expire(), retention.remove_orphans()
    document = expired.document() | {"orphans": removed.orphans}
    if as_json:
        print_json(document)
    else:
        print_rows([document], title="Expired")


@lake.command(epilog="Example:\n\n  chronolake lake info --json")
def info(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Print the lake's tables with rows, files, bytes and layout, and its snapshots."""
    with open_reading(load()) as stores:
        if stores.lake is None:
            raise stores.lake_error or LakeUnavailable(
                "analytics are switched off", hint="Unset ANALYTICS_ENABLED or set it to true."
            )
        found = stores.lake.info()
    if as_json:
        print_json(found.document())
        return
    document = found.document()
    tables = document.pop("tables")
    print_rows([document], title="Lake")
    print_rows(tables, title="Tables")
