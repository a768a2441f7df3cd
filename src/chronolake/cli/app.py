"""The commands and how errors leave the program."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from typer.exceptions import TyperException

from chronolake import settings as settings_module
from chronolake.cli import (
    ask,
    bench,
    collect,
    database,
    demo,
    export,
    extract,
    ingest,
    optimize,
    quarantine,
    records,
    schedules,
    serve,
    sessions,
    sync,
    work,
)
from chronolake.cli.output import print_error, print_json, print_rows
from chronolake.errors import ChronolakeError, InputError
from chronolake.telemetry import logs

_USAGE_HINT = "chronolake --help lists the commands, and each tells with --help what it takes."

app = typer.Typer(
    name="chronolake",
    help="A hybrid analytics engine for web archives: PostgreSQL holds the truth, a lake of Parquet answers.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command(
    epilog="Examples:\n\n  chronolake ingest captures.cdx.gz --project news\n\n"
    "  chronolake ingest warcs/ 'more/*.wacz' --project news --json\n\n"
    "  zcat big.cdx.gz | chronolake ingest - --project news"
)(ingest.ingest)
app.command(
    epilog="Examples:\n\n  chronolake records crawl.warc.gz\n\n  chronolake records --json collection.wacz old.arc"
)(records.records)
app.command(
    epilog="Examples:\n\n  chronolake collect example.com --project news --from 2014 --to 2016\n\n"
    "  chronolake collect example.com --project news --source hybrid\n\n"
    "  chronolake collect example.com --project news --source cdx-server --url https://archive.example/cdx\n\n"
    "  chronolake collect example.com --project news --source commoncrawl-columnar --from 2025\n\n"
    "  chronolake collect example.com --project news --later\n\n"
    "  chronolake collect example.com --project news --since-last\n\n"
    "  chronolake collect example.com --project news --every 1d\n\n"
    "  chronolake collect --resume 7 --json"
)(collect.collect)
app.add_typer(sessions.app, name="sessions")
app.add_typer(schedules.app, name="schedules")
app.command(
    epilog="Examples:\n\n  chronolake work\n\n  chronolake work --queues collect --concurrency 2\n\n"
    "  chronolake work --once"
)(work.work)
app.command(
    epilog="Examples:\n\n  chronolake extract --project news --from-files warcs/\n\n"
    "  chronolake extract --project news --domain example.com --from 2014 --limit 1000 --json\n\n"
    "  chronolake extract --project news --again --include list_page"
)(extract.extract)
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Examples:\n\n  chronolake ask --list\n\n"
    "  chronolake ask project_summary --project news\n\n"
    "  chronolake ask domain_timeline --domain nasa.gov --interval year --json\n\n"
    "  chronolake ask source_status --as-of 2026-11-01T12:00",
)(ask.ask)
app.command(
    epilog="Examples:\n\n  chronolake sql 'SELECT status_code, count(*) FROM cdx_records GROUP BY 1'\n\n"
    "  chronolake sql 'SELECT url, timestamp FROM cdx_records' --limit 5 --json"
)(ask.sql)
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Examples:\n\n  chronolake export captures --to news/ --format parquet --project news\n\n"
    "  chronolake export captures --to nasa.csv --domain nasa.gov --start 2014\n\n"
    "  chronolake export top_domains --to top.xlsx --limit 1000",
)(export.export)
app.command(epilog="Example:\n\n  chronolake serve --port 8000")(serve.serve)
app.command(hidden=True, epilog="Example:\n\n  chronolake demo --once")(demo.demo)
app.add_typer(database.db, name="db")
app.add_typer(database.lake, name="lake")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(sync.app, name="sync")
app.add_typer(optimize.app, name="optimize")
app.add_typer(bench.app, name="bench")


@app.command(name="settings", epilog="Example:\n\n  PARQUET_COMPRESSION=LZ4 chronolake settings --json")
def show_settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print every setting in force, where its value came from and what it does; secrets never."""
    lines = settings_module.show(settings_module.load())
    if as_json:
        print_json([vars(line) for line in lines])
    else:
        print_rows([vars(line) for line in lines])


def main() -> None:
    """Run the command line; exit 0 done, 1 an error that was explained, 2 a command that was misspelt."""
    as_json = "--json" in sys.argv[1:]
    with _explained(as_json=as_json):
        settings = settings_module.load()
        logs.configure(settings.log)
        # Outside click's own mode an exit comes back as its code.
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def _explained(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except ChronolakeError as error:
        print_error(error, as_json=as_json)
        sys.exit(1)
    except typer.Exit as exit_:
        sys.exit(exit_.exit_code)
    except TyperException as error:
        # Where help was printed in its stead, there is no message.
        if message := error.format_message():
            print_error(InputError(message, hint=_USAGE_HINT), as_json=as_json)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
