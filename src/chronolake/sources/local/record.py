"""One WARC or ARC record, read where a capture says that it lies: its headers, and of its body as much as is wanted.

As tolerant as `archive.py`, whose rules it shares; nothing beyond the record is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chronolake.errors import InputUnreadable
from chronolake.sources.local.archive import (
    HTTP_BYTES,
    Reader,
    arc_fields,
    end_of_header,
    fields_of,
    http_of,
    length_of,
)
from chronolake.sources.local.inputs import Readable, Source

#: Bytes that are read from the disk at a time: a record is small, and what comes after it is nobody's business.
_PIECE = 64 * 1024
_AHEAD = 4096
_HINT = "The file is damaged, or it is another one than the index was made of."


@dataclass(frozen=True)
class Record:
    """What one record holds; `http` are the header fields of the answer, null where it is no HTTP answer.

    `damage` says what is wrong with the end of the body, null where it is whole. `cut`: more of it was left unread.
    """

    record_type: str
    url: str
    #: fields of the WARC header; of an ARC record its media type as `content-type`
    fields: Mapping[str, str]
    status: str | None
    http: Mapping[str, str] | None
    body: bytes
    cut: bool
    damage: str | None


def read_record(stream: Readable, name: str, most_bytes: int) -> Record:
    """The record that `stream` begins with, compressed or not, with at most `most_bytes` of its body.

    Raises:
        InputUnreadable: no record begins here, or its header does not end.
    """
    source = Source(stream, name, piece=_PIECE)
    reader = Reader(source, ahead=_AHEAD)
    if reader.peek(5) == b"WARC/":
        header = reader.header()
        fields = fields_of(header) if header is not None else {}
        length = length_of(fields.get("content-length"))
        if length is None:
            raise _unreadable(source, "the header of the record does not end, or says no length")
        url, record_type = fields.get("warc-target-uri", ""), fields.get("warc-type", "").lower()
        url = url[1:-1] if url[:1] == "<" and url[-1:] == ">" else url
    else:
        line = reader.peek(HTTP_BYTES).partition(b"\n")[0] + b"\n"
        told = arc_fields(line)
        length = length_of(told["length"]) if told is not None else None
        if told is None or length is None:
            raise _unreadable(source, "no record begins here")
        reader.skip(len(line))
        url, record_type, fields = told["url"], "response", {"content-type": told["mime"]}
    return _taken(source, reader, length, most_bytes, record_type=record_type, url=url, fields=fields)


def _taken(
    source: Source,
    reader: Reader,
    length: int,
    most_bytes: int,
    *,
    record_type: str,
    url: str,
    fields: Mapping[str, str],
) -> Record:
    head = reader.peek(min(length, HTTP_BYTES))
    status, http = http_of(head)
    ends = end_of_header(head) if status is not None else 0
    if ends is None:
        raise _unreadable(source, "the HTTP header of the record does not end")
    reader.skip(ends)
    left = length - ends
    body = reader.take(min(left, most_bytes))
    short = len(body) < min(left, most_bytes)
    return Record(
        record_type=record_type,
        url=url,
        fields=fields,
        status=status,
        http=http if status is not None else None,
        body=body,
        cut=left > most_bytes,
        damage=(source.damage or "the file ends within the record") if short else None,
    )


def _unreadable(source: Source, why: str) -> InputUnreadable:
    return InputUnreadable(source.damage or why, hint=_HINT)
