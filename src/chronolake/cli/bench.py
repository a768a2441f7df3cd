"""`chronolake bench`: generate captures of any number, and time the engines on them.

What measures is imported by the command that needs it: other commands need not wait for it.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from chronolake.bench.scale import HUGE_ROWS, IDLE_S
from chronolake.cli.output import print_json, print_rows, stderr
from chronolake.errors import SettingsError
from chronolake.settings import load

app = typer.Typer(no_args_is_help=True, help="Generated captures, and the measure of every engine.")


@app.command(
    epilog="Examples:\n\n  chronolake bench generate --rows 1000000 --format cdx --out sample.cdx.gz\n\n"
    "  chronolake bench generate --rows 10000000 --format lake --out bench-home"
)
def generate(
    rows: Annotated[int, typer.Option(help="Captures to generate.", min=1)],
    out: Annotated[
        Path, typer.Option(help="File to write; for lake and stores, the home folder that takes them.")
    ],
    format_: Annotated[
        str, typer.Option("--format", help="cdx, parquet, lake, or stores: PostgreSQL and lake.")
    ] = "cdx",
    seed: Annotated[int, typer.Option(help="The same seed gives the same captures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write realistic captures, marked as generated: CDX text, Parquet, or straight into the stores."""
    from chronolake.bench import generator  # noqa: PLC0415

    report = generator.write(format_, rows, out, seed=seed)
    document = vars(report)
    if as_json:
        print_json(document)
    else:
        print_rows([document])


@app.command(
    epilog="Examples:\n\n  chronolake bench run --rows 1000000 --out results\n\n"
    "  chronolake bench run --rows 100000 --no-targets"
)
def run(
    *,
    rows: Annotated[int, typer.Option(help="Captures to measure on.", min=1000)] = 1_000_000,
    out: Annotated[Path, typer.Option(help="Folder for the report, Markdown and JSON.")] = Path("bench-out"),
    repeat: Annotated[int, typer.Option(help="Times each question is asked of each engine.", min=5)] = 5,
    targets: Annotated[
        bool, typer.Option(help="Measure the plan's targets, each at the scale that the plan names.")
    ] = True,
    targets_up_to: Annotated[
        int, typer.Option(help="Captures of the largest scale that a target may run at.", min=1)
    ] = 50_000_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report's JSON instead of its Markdown.")
    ] = False,
) -> None:
    """Time the plan's targets and the design's questions on every engine in one run, interleaved."""
    from chronolake.bench import runner  # noqa: PLC0415

    report = runner.run(
        rows=rows,
        out=out,
        repeat=repeat,
        settings=load(),
        targets_up_to=targets_up_to if targets else None,
    )
    if as_json:
        print_json(report.document())
    else:
        typer.echo(report.markdown())


@app.command(epilog="Example:\n\n  chronolake bench sync --rows 1000000 --out results")
def sync(
    *,
    rows: Annotated[int, typer.Option(help="Captures that the lake has.", min=10_000)] = 1_000_000,
    out: Annotated[Path, typer.Option(help="Folder for the report, Markdown and JSON.")] = Path("bench-out"),
    catch_up: Annotated[
        int, typer.Option(help="Captures that are inserted to catch up on.", min=10_000)
    ] = 1_000_000,
    huge: Annotated[int, typer.Option(help="Captures of one huge transaction.", min=10_000)] = HUGE_ROWS,
    idle_s: Annotated[
        float, typer.Option(help="Seconds for which the slot is watched while nothing comes.", min=1)
    ] = IDLE_S,
    trying: Annotated[
        bool,
        typer.Option(
            "--trials/--no-trials", help="Try differences, kills, the huge transaction and idleness too."
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure how fast the lake catches up with PostgreSQL, and how soon a commit is seen there."""
    from chronolake.bench import syncing  # noqa: PLC0415

    found = syncing.run(
        rows=rows,
        out=out,
        settings=load(),
        catch_up=catch_up,
        huge_rows=huge,
        idle_s=idle_s,
        trying=trying,
    )
    measures = asdict(found)
    measures |= measures.pop("trials") or {}
    if as_json:
        print_json(measures)
    else:
        print_rows([measures], title="Sync")


@app.command(
    epilog="Examples:\n\n  chronolake bench questions --rows 1000000 --out results\n\n"
    "  chronolake bench questions --rows 10000000 --home bench-home"
)
def questions(
    *,
    rows: Annotated[int, typer.Option(help="Captures to measure on.", min=10_000)] = 1_000_000,
    clients: Annotated[int, typer.Option(help="Clients that ask at once.", min=1, max=1000)] = 50,
    seconds: Annotated[float, typer.Option(help="Seconds for which they ask.", min=1)] = 60,
    repeat: Annotated[int, typer.Option(help="Times each question is asked.", min=5, max=900)] = 50,
    out: Annotated[Path, typer.Option(help="Folder for the report, Markdown and JSON.")] = Path("bench-out"),
    home: Annotated[
        Path | None,
        typer.Option(help="Home to fill and keep, or one that an earlier run with as many rows filled."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report's JSON instead of its Markdown.")
    ] = False,
) -> None:
    """Measure the questions as users meet them, over HTTP, and judge them by what they must reach."""
    if find_spec("aiohttp") is None:
        raise SettingsError(
            "the package aiohttp is not installed", hint="Install the extra: chronolake[bench]"
        )
    from chronolake.bench import questioning  # noqa: PLC0415

    report = questioning.run(
        rows=rows,
        out=out,
        settings=load(),
        clients=clients,
        seconds=seconds,
        repeat=repeat,
        home=home,
        told=lambda what: stderr.print(f"{datetime.now(UTC):%H:%M:%S} {what}"),
    )
    if as_json:
        print_json(report.document())
    else:
        typer.echo(report.markdown())


@app.command(
    epilog="Examples:\n\n  chronolake bench extract --pages 2000\n\n"
    "  chronolake bench extract --warc crawl.warc.gz --workers 2"
)
def extract(
    *,
    warc: Annotated[
        list[Path] | None,
        typer.Option(help="WARC file whose HTML is read; may be said again. None: generated pages."),
    ] = None,
    pages: Annotated[
        int, typer.Option(help="Pages to read, the same over again where there are fewer.", min=1)
    ] = 2000,
    workers: Annotated[int | None, typer.Option(help="Processes that read.", min=1, max=256)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure how many pages a second become text, language, quality and entities."""
    if find_spec("fastwarc") is None:
        raise SettingsError(
            "the package fastwarc is not installed", hint="Install the extra: chronolake[bench]"
        )
    from chronolake.bench import extracting  # noqa: PLC0415

    found = extracting.run(
        warcs=warc or [],
        count=pages,
        workers=workers,
        settings=load().extract,
        told=lambda what: stderr.print(f"{datetime.now(UTC):%H:%M:%S} {what}"),
    )
    if as_json:
        print_json(asdict(found))
    else:
        print_rows([asdict(found)], title="Extraction")


@app.command(
    epilog="Examples:\n\n  chronolake bench collect --out results\n\n"
    "  chronolake bench collect --captures 1000 --share 0.3 --seed 7"
)
def collect(
    *,
    captures: Annotated[int, typer.Option(help="Captures that the archive has.", min=10)] = 10_000,
    share: Annotated[float, typer.Option(help="Part of all requests that fails.", min=0, max=0.5)] = 0.1,
    seed: Annotated[int, typer.Option(help="The same seed draws the same faults.")] = 1,
    per_minute: Annotated[
        float, typer.Option(help="Requests a minute that the archive may be sent.", min=60, max=60_000)
    ] = 6000,
    page_rows: Annotated[int, typer.Option(help="Captures of a page of the index.", min=1)] = 10,
    out: Annotated[Path, typer.Option(help="Folder for the report, Markdown and JSON.")] = Path("bench-out"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Collect from an archive that fails now and then, and check what was kept against what it holds and was asked."""
    from chronolake.bench import collecting, plain_report  # noqa: PLC0415

    found = collecting.run(
        captures=captures,
        share=share,
        seed=seed,
        per_minute=per_minute,
        page_rows=page_rows,
        out=out,
        settings=load(),
        told=lambda what: stderr.print(f"{datetime.now(UTC):%H:%M:%S} {what}"),
    )
    if as_json:
        print_json(asdict(found))
    else:
        print_rows([dict(plain_report.figures(asdict(found)))], title="Collecting")
    if found.broken:
        raise typer.Exit(1)
