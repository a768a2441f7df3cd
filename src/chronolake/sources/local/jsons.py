"""Capture indexes made of JSON: CDXJ lines, API answers as lines, arrays or one object.

Formats: pywb CDXJ, OpenWayback CDXJ 1.0, ipwb, Common Crawl's index and its API; the Wayback API's arrays, whose
first row names the columns; MemGator's TimeMap.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chronolake.capture.record import Reason
from chronolake.sources.local.raw import Parsed, Refused, whole

#: What the fields of JSON indexes are called, by column; the first that is there counts.
_FIELDS = {
    "url_key": ("urlkey",),
    "timestamp": ("timestamp", "datetime"),
    "url": ("url", "original", "uri", "original_uri"),
    "mime_type": ("mime", "mimetype", "mime_type", "mct"),
    "mime_detected": ("mime-detected",),
    "status": ("status", "statuscode", "status_code", "hsc"),
    "digest": ("digest", "sha"),
    "redirect_url": ("redirect", "rou"),
    "robot_flags": ("robotflags",),
    "length": ("length", "rle"),
    "offset": ("offset",),
    "filename": ("filename",),
    "languages": ("languages",),
    "charset": ("charset", "encoding"),
    "truncated": ("truncated",),
}
_NAMES = {alias: column for column, aliases in _FIELDS.items() for alias in aliases}
_TIME = re.compile(r"[0-9]{4,20}|[0-9]{4}-[0-9]{2}[0-9T:.Z+-]*|-")
_WARC_REFERENCE = re.compile(r"warcfile:([^#]*)(?:#([0-9]+))?")
_CRAWL = re.compile(r"CC-MAIN-[0-9]{4}-[0-9]{2}")


def named(values: Mapping[str, Any]) -> dict[str, str | None]:
    """The columns of one JSON object."""
    found: dict[str, str | None] = {}
    for column, aliases in _FIELDS.items():
        value = next((values[alias] for alias in aliases if values.get(alias) is not None), None)
        if value is not None:
            found[column] = whole(value)
    reference = _WARC_REFERENCE.match(whole(values.get("ref")) or "")
    if reference:
        found |= {"filename": reference[1] or None, "offset": reference[2]}
    crawl = _CRAWL.search(found.get("filename") or "")
    if crawl:
        found["crawl"] = crawl[0]
    return found


def parse_cdxj(line: str) -> Parsed:
    """`key timestamp {json}`, or `key timestamp type {json}` in OpenWayback's; `!` begins a header line."""
    text = line.strip()
    if not text or text.startswith("!"):
        return None
    # A key may hold braces, but no space.
    words = text.split(" ", 2)
    if len(words) < 3 or not _TIME.fullmatch(words[1]):
        return Refused(Reason.FIELDS, "no key, timestamp and JSON object in the line")
    record_type, brace, rest = words[2].partition("{")
    values = _object(brace + rest)
    if isinstance(values, Refused):
        return values
    found = named(values)
    return {**found, "url_key": words[0], "timestamp": words[1], "record_type": record_type.strip() or None}


def parse_object(line: str) -> Parsed:
    """One JSON object a line, as Common Crawl's API answers."""
    text = line.strip().rstrip(",")
    if text in {"", "[", "]"}:
        return None
    values = _object(text)
    return values if isinstance(values, Refused) else named(values)


def _object(text: str) -> dict[str, Any] | Refused:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Refused(Reason.JSON, str(error))
    if not isinstance(values, dict):
        return Refused(Reason.JSON, "no JSON object")
    return values


def is_index_object(values: Mapping[str, Any]) -> bool:
    """Whether an object is a capture of an index."""
    return "timestamp" in values and ("url" in values or "urlkey" in values)


def array_columns(header: Sequence[Any]) -> tuple[str | None, ...] | None:
    """The columns that the first row of a Wayback API array names; null where it is no such row."""
    if not header or not all(isinstance(name, str) for name in header):
        return None
    columns = tuple(_NAMES.get(name) for name in header)
    return columns if "timestamp" in columns or "url_key" in columns else None


def parse_array_row(line: str, columns: tuple[str | None, ...]) -> Parsed:
    """One row of a Wayback API array, on a line of its own. A row of one field is a resume key."""
    text = line.strip().rstrip(",")
    if text.startswith("[["):
        text = text[1:]
    if text.endswith("]]"):
        text = text[:-1]
    if text in {"", "[", "]"}:
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Refused(Reason.JSON, str(error))
    return parse_row(row, columns)


def parse_row(row: object, columns: tuple[str | None, ...]) -> Parsed:
    """One row of a Wayback API array as JSON gives it."""
    if not isinstance(row, list):
        return Refused(Reason.JSON, "no JSON array")
    if len(row) != len(columns):
        return (
            None if len(row) <= 1 else Refused(Reason.FIELDS, f"{len(row)} fields, expected {len(columns)}")
        )
    if array_columns(row) == columns:
        return None
    return {name: whole(value) for name, value in zip(columns, row, strict=True) if name is not None}


def mementos(document: object) -> tuple[str | None, list[Any]] | None:
    """Original URL and mementos of a TimeMap in JSON; null where it is none."""
    if not isinstance(document, dict):
        return None
    listed = document.get("mementos")
    found = listed.get("list") if isinstance(listed, dict) else None
    return (whole(document.get("original_uri")), found) if isinstance(found, list) else None


def parse_memento(memento: object, url: str | None) -> Parsed:
    """One memento: when, of which URL."""
    if not isinstance(memento, dict):
        return Refused(Reason.JSON, "no JSON object")
    return {"timestamp": whole(memento.get("datetime")), "url": url}
