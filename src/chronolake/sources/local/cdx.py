"""CDX: a line a capture, fields apart by spaces, columns named by the letters of a legend.

The letters are those of the Internet Archive's CDX file format reference (2003) and CDX 2015. A block whose
lines all have the legend's number of fields is taken apart by Arrow; any other line by `parse`, one at a time.
"""

import re
from collections.abc import Sequence

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
#: What only `parse` knows: other line ends, blank lines, and spaces around a line.
_ODD = (b"\r", b"\n\n", b"\n ", b" \n", b"\0")
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
    if surplus <= 0 or "url" not in columns or "status" not in columns:
        return None
    at = columns.index("url")
    joined = [*fields[:at], " ".join(fields[at : at + surplus + 1]), *fields[at + surplus + 1 :]]
    timestamp, status = joined[columns.index("timestamp")], joined[columns.index("status")]
    return joined if _TIME.fullmatch(timestamp) and _STATUS.fullmatch(status) else None


def fast(data: bytes, first: int, columns: Columns, rows: Rows) -> pa.Table | None:
    """A block's lines as a table; null where the block has anything that only `parse` knows.

    Lines with another number of fields are handed to `rows` one by one.
    """
    if data.startswith(b" CDX "):
        header, _, rest = data.partition(b"\n")
        if rest and legend_of(text_of(header)) == columns:
            return fast(rest, first + 1, columns, rows)
    if data[:1] in {b"\n", b" "} or data[-1:] == b" " or any(odd in data for odd in _ODD) or not _utf8(data):
        return None
    unlike: list[tuple[int, str]] = []

    def skip(row: csv.InvalidRow) -> str:
        unlike.append((row.number, row.text))
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
    count = table.num_rows
    skipped = {number for number, _ in unlike}
    if count + len(unlike) != data.count(b"\n") + (not data.endswith(b"\n")):
        return None
    for number, line in unlike:
        rows.add(first + number - 1, line.encode(), parse(line, columns))
    positions = [first + n for n in range(count + len(unlike)) if n + 1 not in skipped]
    found = {name: table[str(number)] for number, name in enumerate(columns) if name is not None}
    return table_of({"position": pa.array(positions, pa.int64()), **found}, count)


def slow(data: bytes, first: int, columns: Columns, rows: Rows) -> Columns:
    """A block's lines one by one; the columns in force after it, for a legend may stand anywhere.

    A line of one field after a blank line is a resume key of the Wayback API, and no capture.
    """
    blank = False
    for number, line in enumerate(data.split(b"\n"), start=first):
        text = text_of(line.removesuffix(b"\r"))
        columns = legend_of(text) or columns
        resume_key = blank and text.strip() and " " not in text.strip()
        if not resume_key:
            rows.add(number, line, parse(text, columns))
        blank = not text.strip()
    return columns


def _utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
