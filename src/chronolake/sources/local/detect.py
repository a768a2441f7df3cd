"""What a file is, told by its content alone."""

import json
from dataclasses import dataclass
from enum import StrEnum

from chronolake.sources.local import cdx, jsons, links
from chronolake.sources.local.raw import text_of, whole

#: Decompressed bytes that are looked at.
HEAD_BYTES = 64 * 1024
_LINES = 50


class Format(StrEnum):
    """The formats that are read; the words stand in logs and decide the archive source."""

    CDX = "cdx"
    WAYBACK_TEXT = "wayback-text"
    CDXJ = "cdxj"
    COMMONCRAWL_CDXJ = "commoncrawl-cdxj"
    COMMONCRAWL_JSONL = "commoncrawl-jsonl"
    WAYBACK_JSON = "wayback-json"
    MEMENTOS = "timemap-json"
    LINKS = "timemap-link"
    WARC = "warc"
    ARC = "arc"
    WACZ = "wacz"
    COLUMNAR = "commoncrawl-parquet"


@dataclass(frozen=True)
class Detected:
    """A format; `columns` of its lines where it has them; or null, and `why` it is none."""

    format: Format | None
    columns: tuple[str | None, ...] = ()
    why: str = ""


def detect(head: bytes) -> Detected:
    """The format of a file that begins with `head`."""
    for magic, found in ((b"WARC/", Format.WARC), (b"filedesc:", Format.ARC), (b"PK\x03\x04", Format.WACZ),
                         (b"PAR1", Format.COLUMNAR)):  # fmt: skip
        if head.lstrip(b"\r\n").startswith(magic):
            return Detected(found)
    if b"\0" in head:
        return Detected(None, why=f"it is binary and begins with {head[:8]!r}")
    text = text_of(head).removeprefix("\ufeff")
    if text.lstrip()[:1] == "[":
        return _array(text)
    if text.lstrip()[:1] == "{":
        return _object(text)
    if text.lstrip()[:1] == "<" and links.link_of(text.lstrip().split("\n", 1)[0]) is not None:
        return Detected(Format.LINKS)
    return _lines([line.rstrip("\r") for line in text.split("\n")[:_LINES] if line.strip()])


def _array(text: str) -> Detected:
    start = text.lstrip()[1:].lstrip()
    try:
        first, _ = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return Detected(None, why="it is a JSON array without a capture")
    columns = jsons.array_columns(first) if isinstance(first, list) else None
    if columns is not None:
        return Detected(Format.WAYBACK_JSON, columns)
    if isinstance(first, dict) and jsons.is_index_object(first):
        return Detected(Format.COMMONCRAWL_JSONL)
    return Detected(None, why="it is a JSON array, but not of captures")


def _object(text: str) -> Detected:
    try:
        first, _ = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        first = None
    if isinstance(first, dict):
        if jsons.is_index_object(first):
            return Detected(Format.COMMONCRAWL_JSONL)
        message = first.get("message") or first.get("error")
        if message:
            return Detected(None, why=f"it is an API's message: {(whole(message) or '')[:200]}")
    if '"mementos"' in text:
        return Detected(Format.MEMENTOS)
    return Detected(None, why="it is JSON, but not of captures")


def _lines(lines: list[str]) -> Detected:
    for line in lines:
        columns = cdx.legend_of(line)
        if columns is not None:
            return Detected(Format.CDX, columns)
        if line.startswith("!"):
            return Detected(Format.CDXJ)
        if "\t" in line and len(line.split("\t")) in {4, 5} and line.split("\t")[2].isdigit():
            return Detected(
                None, why="it is the index of a ZipNum index; its captures are in the .cdx.gz parts"
            )
        if not isinstance(jsons.parse_cdxj(line), dict):
            columns = cdx.guess(line)
            if columns is not None:
                wayback = len(columns) == 7 and columns[0] == "url_key"
                return Detected(Format.WAYBACK_TEXT if wayback else Format.CDX, columns)
            continue
        return Detected(Format.COMMONCRAWL_CDXJ if '"mime-detected"' in line else Format.CDXJ)
    return Detected(None, why="no line of its beginning is a capture")
