"""Raw rows: what every reader makes of a line, and the table that many of them become."""

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from chronolake.capture.record import RAW_SCHEMA, Reason, Rejection

#: Bytes of a rejected line that are kept: enough to see what it is, and 100 000 of them stay below a gigabyte.
RAW_KEPT = 8 * 1024
#: Rows gathered one by one before they are handed on, and bytes of the lines they came from.
GATHERED_ROWS = 20_000
_GATHERED_BYTES = 32 << 20
_NAMES = [field.name for field in RAW_SCHEMA]


@dataclass(frozen=True)
class Refused:
    """Why a line is no row."""

    reason: Reason
    detail: str


#: What a line becomes: the columns it has, null where it is no data line, or the reason why it is no row.
Parsed = Mapping[str, str | None] | Refused | None


def _percent(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("chronolake-percent", _percent)
_SURROGATE = re.compile("[\ud800-\udfff]")


def text_of(line: bytes) -> str:
    r"""The line as text; bytes that are not UTF-8 become `%E9` and the like."""
    return line.decode("utf-8", "chronolake-percent")


def name_of(path: str) -> str:
    r"""A file's name as text that can be printed and stored; bytes of it that are not UTF-8 become `%E9`."""
    return _SURROGATE.sub(_odd_byte, path)


def _odd_byte(found: re.Match[str]) -> str:
    # Python hands out such a byte of a path as a half of a surrogate pair, U+DC80 to U+DCFF (PEP 383).
    byte = ord(found[0]) - 0xDC00
    return f"%{byte:02X}" if 0x80 <= byte <= 0xFF else "\ufffd"


def whole(value: object) -> str | None:
    """A value of JSON as text, as an index would write it; halves of surrogate pairs become U+FFFD."""
    if value is None:
        return None
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


class Rows:
    """Gathers rows and rejections of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.rejected: list[Rejection] = []
        self._bytes = 0
        self._rows: list[tuple[int, Mapping[str, str | None], bytes | None]] = []

    def add(self, position: int, line: bytes, parsed: Parsed) -> None:
        """Take what a line became; `line` is kept with the row where it is not UTF-8."""
        if parsed is None:
            return
        if isinstance(parsed, Refused):
            self.reject(position, line, parsed)
            return
        self._bytes += len(line)
        self._rows.append((position, parsed, None if _is_utf8(line) else line))

    def reject(self, position: int, line: bytes, refused: Refused) -> None:
        """Keep the beginning of a line that is no row."""
        kept = bytes(line[:RAW_KEPT])
        self._bytes += len(kept)
        self.rejected.append(Rejection(self.file, position, refused.reason, refused.detail, kept))

    @property
    def full(self) -> bool:
        """Whether there are enough, by number or by bytes, to hand them on."""
        return len(self) >= GATHERED_ROWS or self._bytes >= _GATHERED_BYTES

    def __len__(self) -> int:
        return len(self._rows) + len(self.rejected)

    def table(self) -> pa.Table:
        """The rows in RAW_SCHEMA."""
        columns: list[pa.Array] = []
        for name in _NAMES:
            if name == "position":
                columns.append(pa.array([position for position, _, _ in self._rows], pa.int64()))
            elif name == "raw_line":
                columns.append(pa.array([raw for _, _, raw in self._rows], pa.binary()))
            else:
                columns.append(pa.array([row.get(name) for _, row, _ in self._rows], pa.string()))
        return pa.Table.from_arrays(columns, schema=RAW_SCHEMA)


def table_of(columns: Mapping[str, pa.Array | pa.ChunkedArray], count: int) -> pa.Table:
    """Whole columns in RAW_SCHEMA, null where there is none of that name."""
    arrays: Sequence[pa.Array] = [
        columns[field.name] if field.name in columns else pa.nulls(count, field.type) for field in RAW_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=RAW_SCHEMA)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
