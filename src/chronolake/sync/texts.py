"""Read columns of values that PostgreSQL wrote as text, with DateStyle ISO.

Arrow reads what it can; a column in which it stumbles is read value by value.
"""

import re
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.errors import DecodeError
from chronolake.sync.cells import Mask

_INT64 = np.iinfo(np.int64)
_INT32 = np.iinfo(np.int32)

#: A column's values, and the rows that the Arrow type cannot hold, where there are any; these are null.
Column = tuple[pa.Array, Mask | None]


def nulls_of(array: pa.Array) -> Mask:
    """Which values are null."""
    nulls: Mask = array.is_null().to_numpy(zero_copy_only=False)
    return nulls


def read_texts(column: Column, wanted: pa.DataType) -> Column:
    """Read texts as an Arrow type.

    Raises:
        DecodeError: a text is no such value, or there is no way from text to that type.
    """
    texts, bad = column
    if pa.types.is_string(wanted):
        return column
    try:
        if pa.types.is_floating(wanted):
            return _floats_of(texts, wanted, bad)
        if wanted in _ARROW_READS or pa.types.is_timestamp(wanted):
            return texts.cast(wanted), bad
    except pa.ArrowInvalid:
        # Infinities, years before Christ and the like: one by one.
        pass
    return _one_by_one(texts, bad, wanted)


_ARROW_READS = {pa.int16(), pa.int32(), pa.int64(), pa.date32()}


def _floats_of(texts: pa.Array, wanted: pa.DataType, bad: Mask | None) -> Column:
    numbers = texts.cast(wanted)
    # A numeric can be greater than any float, which Arrow reads as infinite without a word.
    endless = pc.fill_null(pc.and_not(pc.is_inf(numbers), pc.ends_with(texts, "Infinity")), fill_value=False)
    too_great = endless.to_numpy(zero_copy_only=False)
    if not too_great.any():
        return numbers, bad
    fitting = pc.if_else(pa.array(~too_great), numbers, pa.scalar(None, wanted))
    return fitting, too_great if bad is None else bad | too_great


def _one_by_one(texts: pa.Array, bad: Mask | None, wanted: pa.DataType) -> Column:
    read = _text_reader(wanted)
    bad = np.zeros(len(texts), np.bool_) if bad is None else bad.copy()
    values: list[Any] = [None] * len(texts)
    for row, text in enumerate(texts.to_pylist()):
        if text is None:
            continue
        try:
            values[row] = read(text)
        except OverflowError:
            bad[row] = True
        except ValueError as error:
            raise DecodeError(f"{text[:64]!r} is no text of {wanted}", row=row) from error
    storage = pa.binary(16) if wanted == pa.uuid() else wanted
    array = pa.array(values, storage)
    return (array.cast(wanted) if storage != wanted else array), bad


def _text_reader(wanted: pa.DataType) -> Callable[[str], Any]:
    """What reads one text: ValueError says that it is no such value, OverflowError that it does not fit."""
    if pa.types.is_timestamp(wanted) and wanted.unit == "us":
        return _read_timestamp
    if pa.types.is_integer(wanted):
        return _int_reader(np.iinfo(wanted.to_pandas_dtype()))
    read = _TEXT_READERS.get(wanted)
    if read is None:
        raise DecodeError(f"there is no way from text to {wanted}", wanted=str(wanted))
    return read


_NUMBER = re.compile(r"-?[0-9]{1,40}")


def _int_reader(bounds: np.iinfo) -> Callable[[str], int]:
    def read(text: str) -> int:
        if _NUMBER.fullmatch(text) is None:
            raise ValueError(text)
        number = int(text)
        if not bounds.min <= number <= bounds.max:
            raise OverflowError(text)
        return number

    return read


_FLOAT = re.compile(r"-?(\d+(\.\d*)?(e[+-]?\d+)?|Infinity)|NaN")


def _read_float(text: str) -> float:
    if _FLOAT.fullmatch(text) is None:
        raise ValueError(text)
    return float(text)


def _read_bool(text: str) -> bool:
    if text not in {"t", "f"}:
        raise ValueError(text)
    return text == "t"


def _read_uuid(text: str) -> bytes:
    return uuid.UUID(text).bytes


_ESCAPED = re.compile(r"(?:[^\\]|\\\\|\\[0-3][0-7]{2})*", re.DOTALL)


def _read_blob(text: str) -> bytes:
    if text.startswith(r"\x"):
        return bytes.fromhex(text[2:])
    # bytea_output = escape: a backslash is doubled, what cannot be printed is three octal digits.
    if _ESCAPED.fullmatch(text) is None:
        raise ValueError(text)
    return re.sub(rb"\\(\\|[0-3][0-7]{2})", _unescape, text.encode())


def _unescape(match: re.Match[bytes]) -> bytes:
    return b"\\" if match[1] == b"\\" else bytes([int(match[1], 8)])


_DAY = re.compile(r"(\d{4,7})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?([+-][\d:]+)?( BC)?")


def _read_timestamp(text: str) -> int:
    days, match = _read_day(text)
    hours, minutes, seconds = (int(part or 0) for part in match.group(4, 5, 6))
    time = 3600 * hours + 60 * minutes + seconds - _offset_s(match[8] or "")
    microseconds = (86_400 * days + time) * 1_000_000 + int((match[7] or "").ljust(6, "0"))
    if not _INT64.min < microseconds < _INT64.max:
        raise OverflowError(text)
    return microseconds


def _read_date(text: str) -> int:
    days, _ = _read_day(text)
    if not _INT32.min < days < _INT32.max:
        raise OverflowError(text)
    return days


def _read_day(text: str) -> tuple[int, re.Match[str]]:
    if text.lstrip("-") == "infinity":
        raise OverflowError(text)
    match = _DAY.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year = 1 - int(match[1]) if match[9] else int(match[1])
    sign = "-" if year < 0 else ""
    return int(np.datetime64(f"{sign}{abs(year):04}-{match[2]}-{match[3]}", "D").astype(np.int64)), match


def _offset_s(text: str) -> int:
    """Seconds east of UTC, from as little as `+05` to as much as `+05:53:28`."""
    parts = [int(part) for part in text[1:].split(":")] if text else [0]
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    return -seconds if text.startswith("-") else seconds


_TEXT_READERS: dict[pa.DataType, Callable[[str], Any]] = {
    pa.bool_(): _read_bool,
    pa.uuid(): _read_uuid,
    pa.binary(): _read_blob,
    pa.date32(): _read_date,
    pa.float32(): _read_float,
    pa.float64(): _read_float,
}
