"""The fields of a column as CSV has them, for the types that captures have: Arrow in, texts out. Pure.

What DuckDB's COPY writes, byte by byte: null is nothing, an empty text is "", and a text is quoted where it has to be
(for DuckDB also where it holds a #, with which a comment might begin).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.query.export.csv_lines import Coded, Codes, Piece, dense

#: Between these times have a text here: the table of their days takes half a megabyte.
EARLIEST = datetime.fromisoformat("1970-01-01")
LATEST = datetime.fromisoformat("2099-12-31T23:59:59.999999")
_KINDS = (pa.uuid(), pa.string(), pa.binary(), pa.bool_(), pa.timestamp("us"))
_QUOTE = ord('"')
_QUOTED_FOR = b'"\n\r#,'
_PATTERN = '["\n\r#,]'
#: From the least to the greatest of so many whole numbers, each has a text at hand.
_NEAR = 4096
_DAY_S = 86_400
_MICROSECONDS = 1_000_000
#: What DuckDB leaves as it is when it writes bytes as text.
_PLAIN_BYTES = frozenset(range(32, 127)) - frozenset(b"\\'\"")
_TIME_TEXT = np.dtype([("day", "S10"), ("second", "S10"), ("microsecond", "S6"), ("zone", "S1")])
#: Where the four digits of each 16 bits of a UUID stand, and its dashes.
_UUID_DIGITS, _UUID_DASHES, _UUID_LENGTH = (0, 4, 9, 14, 19, 24, 28, 32), (8, 13, 18, 23), 36


def knows(kind: pa.DataType) -> bool:
    """Whether columns of this type have a text here."""
    return pa.types.is_signed_integer(kind) or kind in _KINDS


def pieces(column: pa.Array, *, always_quoted: bool) -> list[Piece]:
    """The fields of a column, whose type is known here or a dictionary of texts or bytes.

    Times are in UTC and from EARLIEST to LATEST. `always_quoted` is for texts.
    """
    kind = column.type
    if column.null_count == len(column):
        return [""]
    if pa.types.is_dictionary(kind):
        return [_of_few(column, always_quoted=always_quoted)]
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _texts_of(column, always_quoted=always_quoted)
    return [_plain(column)]


def _plain(column: pa.Array) -> Piece:
    """What never needs quotes."""
    kind = column.type
    if pa.types.is_integer(kind):
        return _number(column)
    if pa.types.is_boolean(kind):
        return _coded(column.cast(pa.int8()), pa.array(["false", "true"]))
    return _time(column) if pa.types.is_timestamp(kind) else _uuid(column.storage)


def _texts_of(column: pa.Array, *, always_quoted: bool) -> list[Piece]:
    texts = _escaped(column) if pa.types.is_binary(column.type) else column
    if always_quoted and not texts.null_count:
        return ['"', _doubled(texts), '"']
    return [_quoted(texts, always=always_quoted)]


def _of_few(column: pa.DictionaryArray, *, always_quoted: bool) -> Coded:
    """Only what of the dictionary occurs is made a field."""
    index, size = column.indices, len(column.dictionary)
    codes, used = dense(_codes(index, size), size + bool(index.null_count))
    given = pa.array(used, mask=used == size)
    texts = column.dictionary.take(given)
    texts = _escaped(texts) if pa.types.is_binary(texts.type) else texts
    return Coded.of(codes, _quoted(texts, always=always_quoted).fill_null(""))


def _number(column: pa.Array) -> Piece:
    low, high = (bound.as_py() for bound in pc.min_max(column).values())
    if high - low >= _NEAR:
        return column.cast(pa.string())
    numbers = pa.array(range(low, high + 1), column.type).cast(pa.string())
    return _coded(pc.subtract(column, pa.scalar(low, column.type)), numbers)


def _coded(index: pa.Array, texts: pa.StringArray) -> Coded:
    size = len(texts)
    return Coded.of(
        _codes(index, size), pa.concat_arrays([texts, pa.array([""])]) if index.null_count else texts
    )


def _codes(index: pa.Array, of_null: int) -> Codes:
    filled = index.cast(pa.int32()).fill_null(of_null) if index.null_count else index
    return np.asarray(filled).astype(np.int32, copy=False)


def _quoted(texts: pa.StringArray, *, always: bool) -> pa.StringArray:
    if always:
        return pc.binary_join_element_wise('"', _doubled(texts), '"', "")
    offsets, data = _laid(texts)
    lengths = np.diff(offsets)
    if lengths.all() and not any(bool((data == byte).any()) for byte in _QUOTED_FOR):
        return texts
    needed = pc.or_(pc.match_substring_regex(texts, _PATTERN), pc.equal(texts, ""))
    return pc.if_else(needed, pc.binary_join_element_wise('"', _doubled(texts), '"', ""), texts)


def _doubled(texts: pa.StringArray) -> pa.StringArray:
    _, data = _laid(texts)
    return pc.replace_substring(texts, '"', '""') if (data == _QUOTE).any() else texts


def _escaped(values: pa.BinaryArray) -> pa.StringArray:
    """Bytes as DuckDB tells them: printable ASCII as it is, of all else the number."""
    _, data = _laid(values)
    present = set(np.flatnonzero(np.bincount(data, minlength=256)).tolist()) - _PLAIN_BYTES
    # The backslash first, for those that are put in are none of the value's own.
    for byte in sorted(present, key=lambda byte: byte != ord("\\")):
        values = pc.replace_substring(values, bytes([byte]), f"\\x{byte:02X}")
    return values.cast(pa.string())


def _laid(values: pa.StringArray | pa.BinaryArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Where each value begins, and one more; and the bytes from the first to the last of them."""
    _, offsets, data = values.buffers()
    begins = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    held = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return begins, held[begins[0] : begins[-1]]


def _uuid(storage: pa.FixedSizeBinaryArray) -> pa.StringArray:
    rows = len(storage)
    words = np.frombuffer(storage.buffers()[1], ">u2", 8 * rows, 16 * storage.offset).reshape(rows, 8)
    characters = np.empty((rows, _UUID_LENGTH), np.uint8)
    for place, start in enumerate(_UUID_DIGITS):
        digits = np.ndarray((rows,), np.uint32, characters, start, (_UUID_LENGTH,))
        digits[:] = _four_digits()[words[:, place]]
    characters[:, _UUID_DASHES] = ord("-")
    return _with_nulls(_of_one_length(characters), storage)


def _time(column: pa.TimestampArray) -> pa.StringArray:
    instants = np.asarray(column.fill_null(0) if column.null_count else column).view(np.int64)
    seconds = instants // _MICROSECONDS
    microseconds = instants - seconds * _MICROSECONDS
    days = seconds // _DAY_S
    texts = np.empty(len(column), _TIME_TEXT)
    texts["day"] = _days()[days]
    texts["second"] = _seconds()[seconds - days * _DAY_S]
    texts["microsecond"] = b"000000" if not microseconds.any() else _six_digits(microseconds)
    texts["zone"] = b"Z"
    return _with_nulls(_of_one_length(texts.view(np.uint8).reshape(len(column), -1)), column)


def _with_nulls(texts: pa.StringArray, column: pa.Array) -> pa.StringArray:
    return pc.if_else(column.is_valid(), texts, None) if column.null_count else texts


def _of_one_length(characters: npt.NDArray[np.uint8]) -> pa.StringArray:
    rows, length = characters.shape
    offsets = np.arange(0, (rows + 1) * length, length, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(characters))


def _texts(texts: Sequence[str]) -> npt.NDArray[np.bytes_]:
    return np.array(texts, np.bytes_)


def _six_digits(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bytes_]:
    thousands, rest = numbers // 1000, numbers % 1000
    pairs = np.stack([_three_digits()[thousands], _three_digits()[rest]], axis=1)
    return pairs.view("S6").reshape(-1)


@cache
def _four_digits() -> npt.NDArray[np.uint32]:
    return np.frombuffer("".join(f"{number:04x}" for number in range(1 << 16)).encode(), np.uint32)


@cache
def _three_digits() -> npt.NDArray[np.bytes_]:
    return _texts([f"{number:03}" for number in range(1000)])


@cache
def _seconds() -> npt.NDArray[np.bytes_]:
    clock = [(second // 3600, second // 60 % 60, second % 60) for second in range(_DAY_S)]
    return _texts([f"T{hour:02}:{minute:02}:{second:02}." for hour, minute, second in clock])


@cache
def _days() -> npt.NDArray[np.bytes_]:
    days = range((LATEST - EARLIEST).days + 1)
    return _texts([f"{EARLIEST + timedelta(days=day):%Y-%m-%d}" for day in days])
