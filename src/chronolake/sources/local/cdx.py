"""CDX: a line a capture, fields apart by spaces, columns named by the letters of a legend.

The letters are those of the Internet Archive's CDX file format reference (2003) and CDX 2015. Arrow takes
apart the lines of a block that have the legend's number of fields; `parse` any other, one at a time.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from chronolake.capture.record import Reason
from chronolake.sources.local.raw import Parsed, Refused, Rows, table_of, text_of

#: What each letter means; letters that are missing here name nothing that a capture has.
_LETTERS = {
    "N": "url_key", "b": "timestamp", "a": "url", "m": "mime_type", "s": "status", "k": "digest",
    "r": "redirect_url", "M": "robot_flags", "S": "length", "V": "offset", "g": "filename", "e": "ip",
}  # fmt: skip
Columns = tuple[str | None, ...]
#: Columns of files without a legend, by their number.
_HEADERLESS: dict[int, Columns] = {
    11: tuple(_LETTERS[letter] for letter in "NbamskrMSVg"),
    10: tuple(_LETTERS[letter] for letter in "NbamskrMVg"),
    9: tuple(_LETTERS[letter] for letter in "NbamskrVg"),
    7: ("url_key", "timestamp", "url", "mime_type", "status", "digest", "length"),
}
#: NetarchiveSuite's: no key and no status, and an MD5 at the end of the newer ones.
_NETARCHIVE: Columns = ("url", "ip", "timestamp", "mime_type", "length", "filename", "offset", "digest")
_NEWLINE, _SPACE, _C, _D = b"\n CD"
#: No plain line has them: NUL, and the carriage return of other line ends.
_NEVER_PLAIN = (b"\r", b"\0")
#: One odd line in so many, and a block is read line by line.
_MOST_ODD = 16
_Places = np.ndarray[Any, np.dtype[np.int64]]
_Marks = np.ndarray[Any, np.dtype[np.bool_]]
_TIME = re.compile(r"[0-9]{8,20}")
_STATUS = re.compile(r"[0-9]{1,3}|-")
_IP = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")


def legend_of(line: str) -> Columns | None:
    """The columns that a ` CDX N b a ...` line names; null for any other line."""
    words = line.split()
    if len(words) < 2 or words[0] != "CDX" or not all(len(word) == 1 for word in words[1:]):
        return None
    letters = words[1:]
    return tuple(_meaning(letter, letters) for letter in letters)


def _meaning(letter: str, letters: Sequence[str]) -> str | None:
    if letter == "A" and "N" not in letters:
        return "url_key"
    # The uncompressed length stands in where the compressed one is not given.
    if letter == "n" and "S" not in letters:
        return "length"
    return _LETTERS.get(letter)


def guess(line: str) -> Columns | None:
    """The columns of a line without a legend, by their number and where its timestamp stands."""
    fields = line.split(" ")
    if len(fields) in {7, 8} and _IP.fullmatch(fields[1]) and _TIME.fullmatch(fields[2]):
        return _NETARCHIVE[: len(fields)]
    columns = _HEADERLESS.get(len(fields))
    if columns is not None and (_TIME.fullmatch(fields[1]) or _STATUS.fullmatch(fields[4])):
        return columns
    return None


def parse(line: str, columns: Columns) -> Parsed:
    """One line as a row by `columns`, or by what its own number of fields says."""
    if not line.strip() or legend_of(line) is not None:
        return None
    fields = line.strip(" ").split(" ")
    if len(fields) == len(columns):
        return _row(fields, columns)
    guessed = guess(line.strip(" "))
    if guessed is not None:
        return _row(fields, guessed)
    joined = _with_spaces_in_url(fields, columns)
    if joined is not None:
        return _row(joined, columns)
    return Refused(Reason.FIELDS, f"{len(fields)} fields, expected {len(columns)}")


def _row(fields: Sequence[str], columns: Columns) -> dict[str, str | None]:
    return {name: value for name, value in zip(columns, fields, strict=True) if name is not None}


def _with_spaces_in_url(fields: Sequence[str], columns: Columns) -> list[str] | None:
    """The fields, the surplus joined to the URL, where the others then are what they should be."""
    surplus = len(fields) - len(columns)
    if surplus <= 0 or not {"url", "timestamp", "status"} <= set(columns):
        return None
    at = columns.index("url")
    joined = [*fields[:at], " ".join(fields[at : at + surplus + 1]), *fields[at + surplus + 1 :]]
    timestamp, status = joined[columns.index("timestamp")], joined[columns.index("status")]
    return joined if _TIME.fullmatch(timestamp) and _STATUS.fullmatch(status) else None


def take_apart(data: bytes, first: int, columns: Columns, rows: Rows) -> tuple[pa.Table | None, Columns]:
    """A block's lines as a table, and the columns in force after it.

    Lines that only `parse` knows are added to `rows` one by one: a few where the block is in order but for
    them, all of them, and no table, where it has a new legend, mostly such lines, or what Arrow refuses.
    """
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE) + 1
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate(([0], ends[:-1]))
    odd = _odd(data, starts, ends)
    few = odd.nonzero()[0].tolist()
    lines = [(first + at, data[starts[at] : ends[at]].removesuffix(b"\n")) for at in few]
    if len(few) * _MOST_ODD > len(odd) or any(_changes(line, columns) for _, line in lines):
        return None, _slow(enumerate(data.split(b"\n"), start=first), columns, rows)
    regular = data
    if few:
        bounds = np.array([0, *(edge for at in few for edge in (starts[at], ends[at])), len(data)])
        regular = b"".join(data[start:end] for start, end in bounds.reshape(-1, 2).tolist())
    table = _fast(regular, first + np.flatnonzero(~odd), columns, rows)
    if table is None:
        return None, _slow(enumerate(data.split(b"\n"), start=first), columns, rows)
    return table, _slow(lines, columns, rows)


def _odd(data: bytes, starts: _Places, ends: _Places) -> _Marks:
    """Which lines may be no plain row: blank ones and the next, spaces around, legends, CR, NUL, not UTF-8."""
    content = np.frombuffer(data, np.uint8)
    head, last = content[starts], content[np.maximum(ends - 2, 0)]
    blank = ends - starts <= 1
    odd: _Marks = (
        blank | (head == _SPACE) | (last == _SPACE) | ((head == _C) & (content[starts + (~blank)] == _D))
    )
    if data[-1:] == b" ":
        odd[-1] = True
    places = [np.flatnonzero(content == ord(byte)) for byte in _NEVER_PLAIN if byte in data]
    places.append(np.array(_undecodable(data), dtype=np.int64))
    odd[np.searchsorted(ends, np.concatenate(places), side="right")] = True
    odd[1:] |= odd[:-1] & (blank | (head == _SPACE))[:-1]
    return odd


def _undecodable(data: bytes) -> list[int]:
    """A place in each line that is not UTF-8."""
    found: list[int] = []
    start = 0
    while start < len(data):
        try:
            data[start:].decode() if start else data.decode()
        except UnicodeDecodeError as error:
            found.append(start + error.start)
            start = data.find(b"\n", found[-1]) + 1 or len(data)
        else:
            break
    return found


def _changes(line: bytes, columns: Columns) -> bool:
    return legend_of(text_of(line)) not in {None, columns}


def _fast(data: bytes, numbers: _Places, columns: Columns, rows: Rows) -> pa.Table | None:
    """Lines of the given numbers as a table; null where Arrow cannot tell them apart.

    Lines with another number of fields are handed to `rows` one by one.
    """
    if not data:
        return table_of({}, 0)
    unlike: list[tuple[int, str]] = []

    def skip(row: csv.InvalidRow) -> str:
        unlike.append((row.number - 1, row.text))
        return "skip"

    names = [str(number) for number in range(len(columns))]
    try:
        table = csv.read_csv(
            pa.py_buffer(data),
            read_options=csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            parse_options=csv.ParseOptions(
                delimiter=" ", quote_char=False, double_quote=False, invalid_row_handler=skip
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows + len(unlike) != len(numbers):
        return None
    for at, line in unlike:
        rows.add(int(numbers[at]), line.encode(), parse(line, columns))
    positions = np.delete(numbers, [at for at, _ in unlike])
    found = {name: table[str(number)] for number, name in enumerate(columns) if name is not None}
    return table_of({"position": pa.array(positions, pa.int64()), **found}, table.num_rows)


def _slow(lines: Iterable[tuple[int, bytes]], columns: Columns, rows: Rows) -> Columns:
    """Numbered lines one by one; the columns in force after them, for a legend may stand anywhere.

    A line of one field after a blank line is a resume key of the Wayback API, and no capture.
    """
    blank = False
    for number, line in lines:
        text = text_of(line.removesuffix(b"\r"))
        columns = legend_of(text) or columns
        resume_key = blank and text.strip() and " " not in text.strip()
        if not resume_key:
            rows.add(number, line, parse(text, columns))
        blank = not text.strip()
    return columns
