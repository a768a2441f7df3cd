"""Times as people write them in a question: what they leave out is padded low for a start, high for an end.

One to fourteen digits are a prefix of `YYYYMMDDhhmmss`, as archives' APIs take them; `2014` as an end is the last
instant of 2014. Pure: no clock, no zone of the machine. Moments are UTC and bear no zone, as captures do.
"""

import calendar
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone

#: Bounds of an open time range, so that one statement serves with and without.
EARLIEST = datetime(1, 1, 1)  # noqa: DTZ001  # timestamps of captures are UTC and bear no zone
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001  # as above

_DIGITS = re.compile(r"[0-9]{1,14}")
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[T ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?",
    re.IGNORECASE,
)
_FORMS = "write 1 to 14 digits of YYYYMMDDhhmmss, or an ISO date or time such as 2014-06-01T12:00:00Z"


def start_of(value: object) -> datetime:
    """The first instant that `value` covers: text, a date, or a datetime (with a zone or in UTC).

    Raises:
        ValueError: it is no time; the message says how to write one.
    """
    return _moment(value, high=False)


def end_of(value: object) -> datetime:
    """The last instant that `value` covers, to the microsecond; a datetime covers itself alone.

    Raises:
        ValueError: it is no time; the message says how to write one.
    """
    return _moment(value, high=True)


def _moment(value: object, *, high: bool) -> datetime:
    if isinstance(value, datetime):
        return _utc(value)
    text = value.isoformat() if isinstance(value, date) else str(value).strip()
    if _DIGITS.fullmatch(text):
        return _padded(text, high=high)
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError(_FORMS)
    *parts, fraction, zone = found.groups()
    moment = _padded("".join(part for part in parts if part), high=high)
    if fraction:
        moment = moment.replace(microsecond=int(fraction[:6].ljust(6, "9" if high else "0")))
    return _utc(moment.replace(tzinfo=_zone(zone))) if zone else moment


def _padded(digits: str, *, high: bool) -> datetime:
    """The least or greatest moment whose fourteen digits begin with these."""
    year = _part(digits[0:4], range(1, 10_000), 4, "year", high=high)
    month = _part(digits[4:6], range(1, 13), 2, "month", high=high)
    last_day = calendar.monthrange(year, month)[1]
    day = _part(digits[6:8], range(1, last_day + 1), 2, "day", high=high)
    hour = _part(digits[8:10], range(24), 2, "hour", high=high)
    minute = _part(digits[10:12], range(60), 2, "minute", high=high)
    second = _part(digits[12:14], range(60), 2, "second", high=high)
    # Captures may bear fractions of a second, and the end is inclusive.
    micro = 999_999 if high else 0
    return datetime(year, month, day, hour, minute, second, micro)  # noqa: DTZ001  # UTC, without a zone


def _part(given: str, bounds: Iterable[int], width: int, name: str, *, high: bool) -> int:
    fits = [number for number in bounds if f"{number:0{width}}".startswith(given)]
    if not fits:
        raise ValueError(f"there is no {name} {given}; {_FORMS}")
    return fits[-1] if high else fits[0]


def _zone(text: str) -> timezone:
    if text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError("the year lies outside 1 to 9999") from None
