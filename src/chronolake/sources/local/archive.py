"""WARC and ARC files, record by record, as tolerant as the files in the wild need.

Header lines may end in LF alone, target URIs may stand in angle brackets, lengths may be wrong: where the next
record does not begin where it should, it is looked for. Only records that hold a capture become rows: response,
resource and revisit of WARC, everything but the file description of ARC.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from chronolake.capture.record import Reason
from chronolake.sources.local.inputs import Source
from chronolake.sources.local.raw import Parsed, Refused, name_of
from chronolake.sources.local.tally import Remark, Tally

_CAPTURES = frozenset({"response", "resource", "revisit"})
_ARC_LINE = re.compile(rb"([^\r\n]*?) ([0-9a-fA-F.:]+|-) ([0-9]{8,20}) ([^\r\n]*?) (-?[0-9]+)\r?\n")
#: A header longer than this is none.
_MOST_HEADER = 1 << 20
#: Bytes at the start of a block in which the HTTP header is looked for.
HTTP_BYTES = 64 * 1024
_WARC_START = re.compile(rb"(?:^|\n)(WARC/[01]\.[0-9]+\r?\n)")
#: A length of more digits is none: no file has an exabyte.
_LENGTH = re.compile(r"[0-9]{1,18}")
_STATUS = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3})|HTTP/[0-9.]+ +(-?[0-9]+)")


@dataclass(frozen=True)
class Found:
    """One record: its number in the file from 1, what it became, its header as read."""

    position: int
    parsed: Parsed
    raw: bytes


class Reader:
    """A source with a place, from which headers and blocks are taken; at least `ahead` bytes are read at a time."""

    def __init__(self, source: Source, *, ahead: int = 1 << 20) -> None:
        self._source = source
        self._ahead = ahead
        self._held = bytearray()
        self.place = 0
        #: line ends that were passed over last
        self.line_ends = 0

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end; they stay to be taken."""
        while (lacks := size - len(self._held)) > 0:
            data = self._source.read(max(lacks, self._ahead))
            if not data:
                break
            self._held += data
        return bytes(self._held[:size])

    def take(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        data = self.peek(size)
        del self._held[: len(data)]
        self.place += len(data)
        return data

    def skip(self, size: int) -> int:
        """Pass over `size` bytes; how many there were."""
        left = size
        while left > 0 and (passed := len(self.take(min(left, 1 << 20)))):
            left -= passed
        return size - left

    def header(self) -> bytes | None:
        """Everything up to and with the next empty line; null where there is none."""
        size = 4096
        while True:
            data = self.peek(size)
            end = end_of_header(data)
            if end is not None:
                return self.take(end)
            if len(data) < size or size > _MOST_HEADER:
                return None
            size *= 4

    def to_next(self, pattern: re.Pattern[bytes]) -> bool:
        """Pass over everything before the next match; False at the end."""
        while True:
            data = self.peek(1 << 20)
            match = pattern.search(data)
            if match:
                self.skip(match.start(1))
                return True
            if len(data) < (1 << 20):
                self.skip(len(data))
                return False
            self.skip(len(data) - 1024)

    def past_newlines(self) -> bool:
        """Pass over line ends between records; False at the end."""
        self.line_ends = 0
        while (data := self.peek(4096)) and not data.lstrip(b"\r\n"):
            self.line_ends += self.take(len(data)).count(b"\n")
        self.line_ends += self.take(len(data) - len(data.lstrip(b"\r\n"))).count(b"\n")
        return bool(data)


def end_of_header(data: bytes) -> int | None:
    """Where the header ends that `data` begins with, its empty line included; null where it does not."""
    ends = [
        place + len(mark) for mark in (b"\r\n\r\n", b"\n\n", b"\n\r\n") if (place := data.find(mark)) >= 0
    ]
    return min(ends) if ends else None


def warc_records(source: Source, name: str, tally: Tally | None = None) -> Iterator[Found]:
    """The captures of a WARC file, and what could not be read of it; `tally` counts all records."""
    tally = tally or Tally()
    reader = Reader(source)
    position = 0
    # Only after a line end may a record begin: what else is there belongs to a block whose length was too short.
    ended = sought = True
    while reader.past_newlines():
        if not reader.peek(5).startswith(b"WARC/"):
            tally.remarks[Remark.JUNK if ended else Remark.BLOCK_LONGER] += 1
            if ended:
                position += 1
                yield Found(position, Refused(Reason.RECORD, "no WARC record begins here"), reader.peek(4096))
            ended = sought = True
            if not reader.to_next(_WARC_START):
                return
            tally.remarks[Remark.SOUGHT] += 1
            continue
        if not sought and not reader.line_ends:
            tally.remarks[Remark.UNSEPARATED] += 1
        place = reader.place
        header = reader.header()
        position += 1
        if header is None:
            raw = reader.peek(4096)
            tally.remarks[Remark.CUT_HEADER] += 1
            yield Found(position, Refused(Reason.TRUNCATED, "the record's header does not end"), raw)
            sought = True
            reader.skip(5)
            if not reader.to_next(_WARC_START):
                return
            continue
        fields = fields_of(header)
        length = length_of(fields.get("content-length"))
        record_type = fields.get("warc-type", "").lower()
        http = reader.peek(min(length or 0, HTTP_BYTES)) if length else b""
        passed = reader.skip(length or 0)
        ended = reader.peek(1) in {b"\r", b"\n"}
        tally.remarks.update(_remarks(header, length, passed, source, place))
        tally.types.update([record_type] if record_type else [])
        if not record_type:
            tally.remarks[Remark.NO_TYPE] += 1
            yield Found(position, Refused(Reason.RECORD, "the record has no WARC-Type"), header)
        elif record_type in _CAPTURES:
            row = _warc_row(fields, record_type, http, name_of(PurePath(name).name))
            row |= _place(source, place, reader.place - place)
            yield Found(position, row, header)
        if passed < (length or 0):
            return
        sought = length is None
        if sought and not reader.to_next(_WARC_START):
            return


def _remarks(header: bytes, length: int | None, passed: int, source: Source, place: int) -> Iterator[Remark]:
    """What is odd about a record of a WARC file; of its block `passed` bytes were there."""
    if b"\r\n" not in header:
        yield Remark.LF_HEADER
    if length is None:
        yield Remark.NO_LENGTH
    elif passed < length:
        yield Remark.CUT_BLOCK
    if source.compressed and source.member_at(place) is None:
        yield Remark.SHARED_MEMBER


def _place(source: Source, place: int, length: int) -> dict[str, str | None]:
    """Where a record lies in its file: the member that begins with it, where the file is compressed."""
    if not source.compressed:
        return {"offset": str(place), "length": str(length)}
    begins = source.member_at(place)
    return {} if begins is None else {"offset": str(begins)}


def fields_of(header: bytes) -> dict[str, str]:
    """The fields of a header by their names in small letters; of one that comes twice the first."""
    fields: dict[str, str] = {}
    last = ""
    for line in header.decode("utf-8", "chronolake-percent").splitlines()[1:]:
        if line[:1] in {" ", "\t"} and last:
            fields[last] += " " + line.strip()
            continue
        field, colon, value = line.partition(":")
        if colon:
            last = field.strip().lower()
            fields.setdefault(last, value.strip())
    return fields


def length_of(text: str | None) -> int | None:
    """The length that a field says; null where it says none."""
    return int(text) if text is not None and _LENGTH.fullmatch(text) else None


def _warc_row(fields: Mapping[str, str], record_type: str, block: bytes, name: str) -> dict[str, str | None]:
    status, http = http_of(block)
    mime = http.get("content-type") if status is not None else fields.get("content-type")
    url = fields.get("warc-target-uri", "")
    if url.startswith("<") and url.endswith(">"):
        url = url[1:-1]
    return {
        "url": url or None,
        "timestamp": fields.get("warc-date"),
        "mime_type": plain_mime(mime),
        "charset": charset_of(mime),
        "mime_detected": fields.get("warc-identified-payload-type"),
        "status": status,
        "digest": fields.get("warc-payload-digest"),
        "redirect_url": http.get("location"),
        "ip": fields.get("warc-ip-address"),
        "truncated": fields.get("warc-truncated"),
        "record_type": record_type,
        "filename": name,
    }


def http_of(block: bytes) -> tuple[str | None, dict[str, str]]:
    """Status and header fields of an HTTP answer; a null status where the block is none."""
    match = _STATUS.match(block)
    if match is None:
        return None, {}
    return (match[1] or match[2]).decode(), fields_of(block[: end_of_header(block)])


def plain_mime(mime: str | None) -> str | None:
    """A media type without its parameters."""
    return mime.partition(";")[0].strip() or None if mime else None


def charset_of(mime: str | None) -> str | None:
    """The charset among the parameters of a media type."""
    match = re.search(r"charset=[\"']?([\w.:-]+)", mime or "", re.IGNORECASE)
    return match[1] if match else None


def arc_records(source: Source, name: str, tally: Tally | None = None) -> Iterator[Found]:
    """The captures of an ARC file, version 1 or 2, and what could not be read of it; `tally` counts all records."""
    tally = tally or Tally()
    tally.arc = True
    reader = Reader(source)
    position = 0
    sought = True
    while reader.past_newlines():
        line = reader.peek(HTTP_BYTES).partition(b"\n")[0] + b"\n"
        fields = arc_fields(line)
        if fields is None:
            position += 1
            tally.remarks[Remark.JUNK] += 1
            yield Found(position, Refused(Reason.RECORD, "no ARC record begins here"), line)
            if not reader.to_next(re.compile(rb"\n(" + _ARC_LINE.pattern + rb")")):
                return
            tally.remarks[Remark.SOUGHT] += 1
            sought = True
            continue
        if not sought and not reader.line_ends:
            tally.remarks[Remark.UNSEPARATED] += 1
        sought = False
        place = reader.place
        record_type = _arc_type(fields["url"])
        tally.types[record_type] += 1
        if length_of(fields["length"]) is None:
            tally.remarks[Remark.NO_LENGTH] += 1
            sought = True
        if source.compressed and source.member_at(place) is None:
            tally.remarks[Remark.SHARED_MEMBER] += 1
        reader.skip(len(line))
        # A length that is none says nothing about the capture; where the next record begins is then looked for.
        length = length_of(fields["length"]) or 0
        if record_type == "filedesc":
            if length_of(fields["length"]) is None:
                reader.header()
            reader.skip(length)
            continue
        position += 1
        status, http = http_of(reader.peek(min(length, HTTP_BYTES)))
        passed = reader.skip(length)
        if passed < length:
            tally.remarks[Remark.CUT_BLOCK] += 1
        if passed < length and not status:
            yield Found(position, Refused(Reason.TRUNCATED, "the file ends within the record"), line)
            return
        row: dict[str, str | None] = {
            "url": fields["url"],
            "ip": fields["ip"],
            "timestamp": fields["timestamp"],
            "mime_type": plain_mime(fields["mime"]),
            "status": status,
            "redirect_url": http.get("location"),
            "charset": charset_of(http.get("content-type")),
            "record_type": record_type,
            "filename": name_of(PurePath(name).name),
        }
        row |= _place(source, place, reader.place - place)
        yield Found(position, row, line)


def _arc_type(url: str) -> str:
    """An ARC file names no types: they are told by what a record is about."""
    scheme = url.partition(":")[0]
    return scheme if scheme in {"filedesc", "dns"} else "response"


def arc_fields(line: bytes) -> dict[str, str] | None:
    """`URL IP date mime length`, or version 2 with status, checksum, location, offset and file before length."""
    words = line.decode("utf-8", "chronolake-percent").strip().split(" ")
    time = next((n for n in range(2, len(words)) if re.fullmatch(r"[0-9]{8,20}", words[n])), None)
    if time is None or len(words) < time + 3:
        return None
    url, ip = " ".join(words[: time - 1]), words[time - 1]
    later = words[time + 1 : -1]
    return {
        "url": url,
        "ip": ip,
        "timestamp": words[time],
        "mime": " ".join(later[:1] or later),
        "length": words[-1],
    }
