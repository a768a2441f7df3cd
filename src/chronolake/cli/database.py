"""`chronolake db` and `chronolake lake`: the two stores, seen from the shell."""

import os
import shutil
import subprocess
from typing import Annotated

import typer

from chronolake.cli.output import print_json, print_rows, stdout
from chronolake.errors import LakeUnavailable
from chronolake.oltp import Database, client_program
from chronolake.services import open_services
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
            raise typer.Exit(127)
        environment = os.environ | {"PGOPTIONS": "-c search_path=chronolake,public"}
        done = subprocess.run([program, database.url, *context.args], env=environment, check=False)  # noqa: S603  # psql, the user's words
    raise typer.Exit(done.returncode)


@lake.command(epilog="Example:\n\n  chronolake lake info --json")
def info(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Print the lake's tables with rows, files, bytes and layout, and its snapshots."""
    with open_services(load()) as services:
        if services.lake is None:
            raise services.lake_error or LakeUnavailable(
                "analytics are switched off", hint="Unset ANALYTICS_ENABLED or set it to true."
            )
        found = services.lake.info()
    if as_json:
        print_json(found.document())
        return
    document = found.document()
    tables = document.pop("tables")
    print_rows([document], title="Lake")
    print_rows(tables, title="Tables")
