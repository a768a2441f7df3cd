"""What the commands print: JSON documents, tables, errors. Standard output is for answers only."""

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import singledispatch
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chronolake.errors import ChronolakeError

#: Errors, progress and remarks go here, so that standard output stays one document.
stderr = Console(stderr=True, highlight=False)
stdout = Console(highlight=False)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


#: What stands between two columns of a table: a line, with a blank on each side.
_BETWEEN = 3


def print_json(document: object) -> None:
    """Print `document` as one JSON document, non-ASCII text readable."""
    text = json.dumps(_speakable(document), default=_plain, ensure_ascii=False, indent=2, allow_nan=False)
    # A file's name may hold bytes that are no text; as JSON's own escapes they come through.
    sys.stdout.write(_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def print_rows(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows as a table whose columns are the keys of the first row; one row stands upright.

    So do all where the terminal has not even room for the columns' names, one below the other.
    """
    if title:
        # On its own, for a table breaks its title at the table's width.
        stdout.print(f"[italic]{escape(title)}[/italic]", soft_wrap=True)
    if not rows:
        stdout.print("[dim]no rows[/dim]")
        return
    # One midnight alone does not make a column of days.
    days = {key for key in rows[0] if len(rows) > 1 and all(_is_day(row[key]) for row in rows)}
    shown = [
        {key: f"{value:%Y-%m-%d}" if key in days else _cell(value) for key, value in row.items()}
        for row in rows
    ]
    if len(rows) == 1 or sum(len(key) + _BETWEEN for key in rows[0]) > stdout.width:
        stdout.print(_upright(shown))
        return
    table = Table(header_style="bold", show_edge=False)
    for key, value in rows[0].items():
        is_number = isinstance(value, int | float | Decimal)
        table.add_column(key, justify="right" if is_number else "left", overflow="fold")
    for cells in shown:
        table.add_row(*cells.values())
    stdout.print(table)


def _upright(shown: Sequence[Mapping[str, str]]) -> Table:
    table = Table(header_style="bold", show_edge=False)
    table.add_column("field")
    table.add_column("value", overflow="fold")
    for cells in shown:
        for key, cell in cells.items():
            table.add_row(key, cell)
        table.add_section()
    return table


def print_error(error: ChronolakeError, *, as_json: bool) -> None:
    """Print what happened and the remedy; as a JSON document where that was asked for."""
    if as_json:
        print_json({"error": error.document()})
        return
    stderr.print(f"[red]error:[/red] {escape(error.message)}", soft_wrap=True)
    if error.hint:
        stderr.print(f"       {escape(error.hint)}", soft_wrap=True)


def _shown(text: str) -> str:
    """`text` with control characters written out: what archives hold must not steer the terminal."""
    return escape(_CONTROL.sub(lambda found: repr(found[0])[1:-1], text))


def _is_day(value: object) -> bool:
    return isinstance(value, datetime) and value.time() == time.min


def _cell(value: object) -> str:
    if value is None:
        return "[dim]-[/dim]"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, dict | list):
        return _shown(json.dumps(_speakable(value), default=_plain, ensure_ascii=False))
    if isinstance(value, datetime):
        # With a blank between date and time: a narrow terminal breaks the line there, and no column is ever cut.
        return str(_plain(value)).replace("T", " ")
    return _shown(str(value))


def _speakable(value: object) -> object:
    """`value` with what JSON cannot say made sayable: null for NaN and infinity, texts for keys."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _speakable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_speakable(item) for item in value]
    return value


@singledispatch
def _plain(value: object) -> object:
    """The JSON form of a value that json does not know."""
    raise TypeError(f"{type(value).__name__} has no JSON form")


@_plain.register
def _(value: datetime) -> str:
    # Every timestamp of ours is UTC, with or without a zone on it.
    return value.replace(tzinfo=None).isoformat() + "Z"


@_plain.register
def _(value: date) -> str:
    return value.isoformat()


@_plain.register
def _(value: BaseModel) -> dict[str, Any]:
    return value.model_dump()


@_plain.register
def _(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


@_plain.register
def _(value: bytes) -> str:
    return value.hex()


@_plain.register
def _(value: timedelta) -> float:
    # Seconds, as every duration of ours.
    return value.total_seconds()


@_plain.register(time)
@_plain.register(UUID)
@_plain.register(Path)
def _(value: object) -> str:
    return str(value)


@_plain.register
def _(value: Enum) -> object:
    return value.value
