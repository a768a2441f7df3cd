"""Captures as they lie in the lake, filtered: what an export can have beside the answers of questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from chronolake.capture.columns import CDX_RECORDS
from chronolake.query.export.csv_fields import EARLIEST, LATEST
from chronolake.query.params import Domain
from chronolake.query.question.base import InTime
from chronolake.query.scope import Scope
from chronolake.query.text import SCOPE_PARAMETER, bound

#: What this export is called where questions are called by their names.
NAME = "captures"


def _text(value: object) -> object:
    text = str(value)
    if not text or "\x00" in text:
        raise ValueError("write a text")
    return text


_Text = Annotated[str, BeforeValidator(_text)]


class CapturesFilter(InTime):
    """Which captures: all in scope, less those that a parameter leaves out."""

    domain: Domain | None = Field(default=None, description="captures of this domain")
    archive_source: _Text | None = Field(default=None, description="captures collected from this archive")
    record_type: _Text | None = Field(default=None, description="response, revisit, resource ...")
    status_code: int | None = Field(default=None, ge=0, le=9999, description="captures with this status")
    mime_type: _Text | None = Field(default=None, description="captures with this media type, as sent")


#: Columns whose texts stand in quotes in CSV always: keys have commas, and URLs may have.
ALWAYS_QUOTED = ("url", "url_key")
#: Parameters that name the one value of a column.
_EQUAL = ("domain", "archive_source", "record_type", "status_code", "mime_type")


@dataclass(frozen=True)
class CapturesStatement:
    """The statement that selects the captures, its values, and the bounds within which they lie.

    `bounds` is null where bounds cannot say which rows are meant.
    """

    text: str
    values: dict[str, Any]
    bounds: dict[str, tuple[Any, Any]] | None


def statement(
    values: dict[str, Any], scope: Scope, *, snapshot_id: int | None = None, without: Sequence[Path] = ()
) -> CapturesStatement:
    """The captures that the filter's `values` leave, in one snapshot if it is given, `without` those in some files."""
    given = {name: values[name] for name in _EQUAL if values[name] is not None}
    within: dict[str, tuple[Any, Any]] = {name: (value, value) for name, value in given.items()}
    within["timestamp"] = (values["start"], values["end"])
    conditions = [f"{name} = ${name}" for name in given]
    conditions.append('"timestamp" BETWEEN $start AND $end')
    taken = bound({**given, "start": values["start"], "end": values["end"]}, scope)
    if scope.project_ids is not None:
        conditions.append(f"project_id = ANY(CAST(${SCOPE_PARAMETER} AS INTEGER[]))")
    if without:
        # DuckDB opens no file that this leaves out; with NOT IN it would.
        conditions.append("NOT list_contains(CAST($without AS VARCHAR[]), filename)")
        taken["without"] = [str(path) for path in without]
    columns = ", ".join(f'"{column.name}"' for column in CDX_RECORDS.columns)
    at = "" if snapshot_id is None else f" AT (VERSION => {int(snapshot_id)})"
    text = f"SELECT {columns} FROM {CDX_RECORDS.name}{at} WHERE {' AND '.join(conditions)}"
    return CapturesStatement(text, taken, _with_scope(within, scope))


def with_text(bounds: dict[str, tuple[Any, Any]] | None) -> dict[str, tuple[Any, Any]] | None:
    """The bounds without times that `csv_fields` has no texts for."""
    if bounds is None:
        return None
    start, end = bounds["timestamp"]
    return {**bounds, "timestamp": (max(start, EARLIEST), min(end, LATEST))}


def _with_scope(within: dict[str, tuple[Any, Any]], scope: Scope) -> dict[str, tuple[Any, Any]] | None:
    """The bounds with the projects in scope, where these follow one upon the other."""
    if scope.project_ids is None:
        return within
    if not scope.project_ids:
        return None
    first, last = min(scope.project_ids), max(scope.project_ids)
    return {**within, "project_id": (first, last)} if last - first + 1 == len(scope.project_ids) else None
