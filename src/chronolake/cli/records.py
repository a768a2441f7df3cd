"""`chronolake records`: what WARC and ARC files hold, record by record type, and what is odd about them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chronolake.cli.output import print_json, print_rows
from chronolake.sources.local import count_records


def records(
    paths: Annotated[list[Path], typer.Argument(help="WARC, ARC and WACZ files, folders, globs.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Count the records of WARC and ARC files by type, those without a capture too, and say what is odd about them."""
    found: list[dict[str, Any]] = [
        {
            "file": name,
            "records": tally.types.total(),
            "types": dict(sorted(tally.types.items())),
            "remarks": {remark.value: count for remark, count in sorted(tally.remarks.items())},
        }
        for path in paths
        for name, tally in count_records(str(path))
    ]
    if as_json:
        print_json(found)
        return
    print_rows([{**row, "types": _told(row["types"]), "remarks": _told(row["remarks"])} for row in found])


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
