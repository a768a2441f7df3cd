"""Read the instant of a capture, whatever index wrote it; never invent one.

`parse` knows every form and the one repair; `parse_all` does the same for a column, where rows of the two
plain forms (14 digits, ISO 8601 in whole seconds UTC) never reach Python. Both give equal answers.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: What a missing timestamp looks like.
MISSING = frozenset({"", "-"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The calendar's ends: years 1 and 9999.
_EARLIEST_S = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_LATEST_S = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
#: What completes a timestamp that was cut: the first instant it can mean.
_LOW = "00000101000000"
#: Year; month, day, hour, minute, second: where each part of 14 digits ends.
_ENDS = (4, 6, 8, 10, 12, 14)
_ISO = re.compile(
    r"(\d{4})(?:-?(\d\d)(?:-?(\d\d)(?:[Tt ](\d\d)(?::?(\d\d)(?::?(\d\d))?)?)?)?)?"
    r"(?:[.,](\d+))?\s*(?:([Zz]|UTC)|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)
_DIGITS = re.compile(r"[0-9]+")
_ISO_PLAIN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}Z?$"
#: Digits after the second that a timestamp may have: nanoseconds.
_FRACTION_DIGITS = 9
_ISO_PLAIN_LENGTHS = (19, 20)


@dataclass(frozen=True)
class Parsed:
    """An instant in microseconds since 1970 UTC, and how it was come by.

    `raw` is the text as given where `micros` does not say all of it: repaired, completed or cut.
    """

    micros: int
    raw: str | None = None
    repaired: bool = False


@dataclass(frozen=True)
class ParsedColumn:
    """A column of instants: null in `timestamp` where the text is no date and cannot be repaired."""

    timestamp: pa.Array
    raw: pa.Array
    repaired: pa.Array


def parse(text: str) -> Parsed | None:
    """The instant that `text` names, or None where it names none.

    Read are 4 to 14 digits (an even number; what is missing is completed to the first instant it can mean),
    15 to 23 digits (a fraction of a second), and ISO 8601 with or without fraction and offset. A 14-digit
    text that is no date is repaired where the damage is known, see `_repair`.
    """
    text = text.strip()
    if _DIGITS.fullmatch(text):
        return _parse_digits(text)
    match = _ISO.fullmatch(text)
    return _parse_iso(text, match) if match else None


def _parse_digits(text: str) -> Parsed | None:
    if len(text) > 14 + _FRACTION_DIGITS or len(text) < 4 or (len(text) < 14 and len(text) % 2):
        return None
    seconds = _seconds(text[:14] + _LOW[len(text) :])
    fraction = text[14:]
    if seconds is not None:
        micros = seconds * 1_000_000 + int(fraction[:6].ljust(6, "0") if fraction else 0)
        # Six digits of a fraction fit; everything else loses something when written as an instant.
        exact = len(text) == 14 or (len(text) > 14 and not fraction[6:].strip("0"))
        return Parsed(micros, None if exact else text)
    repaired = _repair(text[:14]) if len(text) >= 14 else None
    return None if repaired is None else Parsed(repaired * 1_000_000, text, repaired=True)


def _parse_iso(text: str, match: re.Match[str]) -> Parsed | None:
    *parts, fraction, _, sign, hours, minutes = match.groups()
    if (fraction or sign) and parts[3] is None:
        return None
    if fraction and parts[5] is None:
        # A fraction of an hour or a minute is legal in ISO 8601, and no archive writes it.
        return None
    digits = "".join(part for part in parts if part)
    seconds = _seconds(digits + _LOW[len(digits) :])
    if seconds is None:
        repaired = _repair(digits) if len(digits) == 14 and not sign else None
        return None if repaired is None else Parsed(repaired * 1_000_000, text, repaired=True)
    if sign:
        offset = int(hours) * 3600 + int(minutes or 0) * 60
        seconds += offset if sign == "-" else -offset
        if not _EARLIEST_S <= seconds <= _LATEST_S:
            # An offset at either end of the calendar leads to a year that no store can hold.
            return None
    micros = seconds * 1_000_000 + int(fraction[:6].ljust(6, "0") if fraction else 0)
    exact = len(digits) == 14 and not (fraction or "")[6:].strip("0")
    return Parsed(micros, None if exact else text)


def _seconds(digits: str) -> int | None:
    """Seconds since 1970 of exactly 14 digits, None where they are no date."""
    year, month, day, hour, minute, second = (
        int(digits[a:b]) for a, b in zip((0, *_ENDS), _ENDS, strict=False)
    )
    try:
        instant = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return (instant - _EPOCH) // timedelta(seconds=1)


def _repair(digits: str) -> int | None:
    """Seconds of a 14-digit text that is no date, None where its day cannot be told.

    The Internet Archive's staff explained the common damage: a `00` was inserted before the month or the
    day and the tail cut off, so it is taken out and the lost seconds become 00. Where that gives no date,
    a valid day keeps its date and the time of day is cut at the first part that cannot be.
    """
    for start in (4, 6):
        if digits[start : start + 2] == "00":
            if not digits[start:].strip("0"):
                # Nothing but zeros follows: the date was only ever known so far.
                return _seconds(digits[:start] + _LOW[start:])
            restored = _seconds(digits[:start] + digits[start + 2 :] + "00")
            return restored if restored is not None else _cut(digits[:start] + digits[start + 2 :] + "00")
    return _cut(digits)


def _cut(digits: str) -> int | None:
    """Seconds of the longest valid beginning that has at least a day."""
    for end in (12, 10, 8):
        seconds = _seconds(digits[:end] + _LOW[end:])
        if seconds is not None:
            return seconds
    return None


def parse_all(texts: pa.StringArray) -> ParsedColumn:
    """Parse a column, as `parse` does each text; null in, null out."""
    count = len(texts)
    micros = np.zeros(count, dtype=np.int64)
    lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    valid = _read_plain(texts, lengths == 14, micros)
    iso = np.isin(lengths, _ISO_PLAIN_LENGTHS)
    if iso.any():
        iso &= pc.fill_null(pc.match_substring_regex(texts, _ISO_PLAIN), fill_value=False).to_numpy(
            zero_copy_only=False
        )
        bare = pc.replace_substring_regex(texts, "[-T :Z]", "") if iso.any() else texts
        valid |= _read_plain(bare, iso, micros)
    rest = np.flatnonzero(~valid & (lengths > 0))
    raw: pa.Array = pa.nulls(count, pa.string())
    repaired = np.zeros(count, dtype=bool)
    if rest.size:
        raws = np.full(count, None, dtype=object)
        for row, text in zip(rest.tolist(), texts.take(pa.array(rest)).to_pylist(), strict=True):
            parsed = parse(text)
            if parsed is not None:
                valid[row] = True
                micros[row], raws[row], repaired[row] = parsed.micros, parsed.raw, parsed.repaired
        raw = pa.array(raws, pa.string())
    timestamp = pa.array(micros, mask=~valid).view(pa.timestamp("us"))
    return ParsedColumn(timestamp, raw, pa.array(repaired))


def _read_plain(
    texts: pa.StringArray, rows: npt.NDArray[np.bool_], micros: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Write the instants of those `rows` that are 14 digits and a date; return which they were."""
    read = np.zeros(len(texts), dtype=bool)
    if not rows.any():
        return read
    chosen = texts if rows.all() else texts.filter(pa.array(rows))
    digits = _bytes_of(chosen).reshape(-1, 14).astype(np.int64) - ord("0")
    is_digits = ((digits >= 0) & (digits <= 9)).all(axis=1)
    pairs = digits[:, 0::2] * 10 + digits[:, 1::2]
    year = pairs[:, 0] * 100 + pairs[:, 1]
    month, day, hour, minute, second = (pairs[:, i] for i in range(2, 7))
    valid = is_digits & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    valid &= (hour <= 23) & (minute <= 59) & (second <= 59)
    days = _days(year, np.clip(month, 1, 12))
    valid &= day <= _days(year + (month >= 12), np.where(month >= 12, 1, month + 1)) - days
    instant = (((days + day - 1) * 24 + hour) * 60 + minute) * 60 + second
    read[rows] = valid
    micros[read] = instant[valid] * 1_000_000
    return read


def _bytes_of(texts: pa.StringArray) -> npt.NDArray[np.uint8]:
    """The bytes of all texts on end; null texts have none."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]]


def _days(year: npt.NDArray[np.int64], month: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Days from 1970-01-01 to the first of that month, in the proleptic Gregorian calendar."""
    months = (year - 1970) * 12 + month - 1
    days: npt.NDArray[np.int64] = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days
