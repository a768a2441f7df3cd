"""Write one value of PostgreSQL's binary wire format as PostgreSQL itself would print it.

For types that the lake holds as text and that arrive in binary: numeric, inet, arrays and the like. One value at a
time, so slow; the types of our own tables take the quick road in `cells.py`.
"""

import ipaddress
import re
import struct
import uuid
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

JSONB = 3802
#: Types whose binary form is their text.
PLAIN_TEXT = frozenset({18, 19, 25, 114, 142, 705, 1042, 1043})

_EPOCH_DAYS = 10_957  # from 1970-01-01 to 2000-01-01
_DAY_US = 86_400_000_000
_INET_FAMILIES = {2: (4, 32), 3: (16, 128)}
_NUMERIC_SPECIAL = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_NUMERIC_NEGATIVE = 0x4000
# What PostgreSQL puts in quotes within an array.
_QUOTED = re.compile(r'[ \t\n\r\v\f{}",\\]|^$|^null$', re.IGNORECASE)


def can_render(type_oid: int) -> bool:
    """Whether `render` knows the binary form of this type."""
    return type_oid in _RENDERERS


def render(type_oid: int, value: bytes) -> str:
    """Write the value as text, as with `DateStyle = ISO` and `TimeZone = UTC`.

    Raises:
        ValueError: the bytes are no value of this type.
    """
    try:
        return _RENDERERS[type_oid](value)
    except (struct.error, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"{value[:64]!r} is no binary value of type {type_oid}") from error


def _unpack(layout: str, value: bytes) -> int:
    (number,) = struct.unpack(layout, value)
    return int(number)


def _bool(value: bytes) -> str:
    return "t" if _unpack(">?", value) else "f"


def _text(value: bytes) -> str:
    return value.decode()


def _jsonb(value: bytes) -> str:
    if value[0] != 1:
        raise ValueError(f"version {value[0]} of jsonb is unknown")
    return value[1:].decode()


def _float4(value: bytes) -> str:
    # Beyond six digits PostgreSQL writes an exponent, as C does for a float.
    return _shortest(np.float32(struct.unpack(">f", value)[0]), exponent_from=6)


def _float8(value: bytes) -> str:
    return _shortest(np.float64(struct.unpack(">d", value)[0]), exponent_from=15)


def _shortest(number: np.floating, *, exponent_from: int) -> str:
    if np.isnan(number):
        return "NaN"
    if np.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    mantissa, _, exponent = np.format_float_scientific(number, trim="-", exp_digits=2).partition("e")
    if -4 <= int(exponent) < exponent_from:
        return np.format_float_positional(number, trim="-")
    return f"{mantissa}e{exponent}"


def _numeric(value: bytes) -> str:
    count, weight, sign, scale = struct.unpack_from(">HhHH", value)
    if sign in _NUMERIC_SPECIAL:
        return _NUMERIC_SPECIAL[sign]
    # Digits are of base 10 000; the first counts 10 000 to the power `weight`.
    groups = struct.unpack(f">{count}H", value[8:])
    if sign not in {0, _NUMERIC_NEGATIVE} or any(group > 9999 for group in groups):
        raise ValueError("no numeric")
    before = "".join(f"{group:04}" for group in groups[: max(weight + 1, 0)])
    before = before.ljust(4 * (weight + 1), "0").lstrip("0") or "0"
    after = "0000" * max(-weight - 1, 0) + "".join(f"{group:04}" for group in groups[max(weight + 1, 0) :])
    text = f"{before}.{after[:scale].ljust(scale, '0')}" if scale else before
    return f"-{text}" if sign else text


def _date(value: bytes) -> str:
    days = _unpack(">i", value)
    if days in {-(2**31), 2**31 - 1}:
        return "infinity" if days > 0 else "-infinity"
    return " ".join(_day(days)).strip()


def _day(days: int) -> tuple[str, str]:
    """The day and its era, `BC` or nothing."""
    sign, year, rest = _split_year(str(np.datetime64(days + _EPOCH_DAYS, "D")))
    # There is no year 0: what ISO 8601 calls so is 1 BC.
    return (f"{1 + year:04}{rest}", "BC") if sign or not year else (f"{year:04}{rest}", "")


def _split_year(text: str) -> tuple[str, int, str]:
    match = re.fullmatch(r"(-?)\+?(\d+)(-\d\d-\d\d)", text)
    if match is None:
        raise ValueError(f"{text} is no day")
    return match[1], int(match[2]), match[3]


def _clock(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def _timestamp(value: bytes, zone: str = "") -> str:
    microseconds = _unpack(">q", value)
    if microseconds in {-(2**63), 2**63 - 1}:
        return "infinity" if microseconds > 0 else "-infinity"
    days, rest = divmod(microseconds, _DAY_US)
    day, era = _day(days)
    return f"{day} {_clock(rest)}{zone} {era}".strip()


def _timestamptz(value: bytes) -> str:
    return _timestamp(value, "+00")


def _time(value: bytes) -> str:
    microseconds = _unpack(">q", value)
    if not 0 <= microseconds <= _DAY_US:
        raise ValueError("no time of day")
    return _clock(microseconds)


def _inet(value: bytes, *, mask_always: bool = False) -> str:
    family, bits, _is_cidr, size = struct.unpack_from("BBBB", value)
    width, full = _INET_FAMILIES[family]
    if size != width or len(value) != 4 + width or bits > full:
        raise ValueError("no address")
    text = _dotted(value[4:]) or str(ipaddress.ip_address(value[4:]))
    return f"{text}/{bits}" if mask_always or bits != full else text


def _dotted(address: bytes) -> str | None:
    """An IPv6 address that holds an IPv4 one, as PostgreSQL writes it; it sees one in all that begin with zeros."""
    zeros, last = address[:-4], address[-4:]
    if zeros == bytes(10) + b"\xff\xff":
        return f"::ffff:{ipaddress.ip_address(last)}"
    if zeros == bytes(12) and any(last[:2]):
        return f"::{ipaddress.ip_address(last)}"
    return None


def _cidr(value: bytes) -> str:
    return _inet(value, mask_always=True)


def _macaddr(value: bytes) -> str:
    if len(value) not in {6, 8}:
        raise ValueError("no hardware address")
    return value.hex(":")


def _uuid(value: bytes) -> str:
    return str(uuid.UUID(bytes=value))


def _bytea(value: bytes) -> str:
    return rf"\x{value.hex()}"


def _lsn(value: bytes) -> str:
    lsn = _unpack(">Q", value)
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def _array(value: bytes) -> str:
    dimensions, _has_null, element_oid = struct.unpack_from(">iiI", value)
    # Six is PostgreSQL's own limit.
    if not 0 <= dimensions <= 6 or _RENDERERS[element_oid] is _array:
        raise ValueError("no array")
    sizes = [struct.unpack_from(">ii", value, 12 + 8 * i) for i in range(dimensions)]
    elements = list(_elements(value, 12 + 8 * dimensions, element_oid))
    total = int(np.prod([size for size, _ in sizes], dtype=object)) if sizes else 0
    if total != len(elements) or any(size < 1 for size, _ in sizes):
        raise ValueError("an array's sizes are not those of its content")
    bounds = "".join(f"[{lower}:{lower + size - 1}]" for size, lower in sizes)
    prefix = f"{bounds}=" if any(lower != 1 for _, lower in sizes) else ""
    return prefix + (_nested(iter(elements), [size for size, _ in sizes]) if sizes else "{}")


def _elements(value: bytes, at: int, element_oid: int) -> Iterator[str]:
    while at < len(value):
        (size,) = struct.unpack_from(">i", value, at)
        at += 4
        if size < 0:
            yield "NULL"
            continue
        if at + size > len(value):
            raise ValueError("an array ends too early")
        text = render(element_oid, value[at : at + size])
        yield '"' + re.sub(r'(["\\])', r"\\\1", text) + '"' if _QUOTED.search(text) else text
        at += size


def _nested(elements: Iterator[str], sizes: list[int]) -> str:
    if not sizes[1:]:
        return "{" + ",".join(islice(elements, sizes[0])) + "}"
    return "{" + ",".join(_nested(elements, sizes[1:]) for _ in range(sizes[0])) + "}"


_RENDERERS: dict[int, Callable[[bytes], str]] = {
    **dict.fromkeys(PLAIN_TEXT, _text),
    16: _bool,
    17: _bytea,
    20: lambda value: str(_unpack(">q", value)),
    21: lambda value: str(_unpack(">h", value)),
    23: lambda value: str(_unpack(">i", value)),
    26: lambda value: str(_unpack(">I", value)),
    650: _cidr,
    700: _float4,
    701: _float8,
    774: _macaddr,
    829: _macaddr,
    869: _inet,
    1082: _date,
    1083: _time,
    1114: _timestamp,
    1184: _timestamptz,
    1700: _numeric,
    2950: _uuid,
    3220: _lsn,
    JSONB: _jsonb,
    # Arrays of the types above.
    **dict.fromkeys(
        (1000, 1001, 1005, 1007, 1016, 1028, 651, 1021, 1022, 775, 1040, 1041, 1182, 1183, 1115), _array
    ),
    **dict.fromkeys((1185, 1231, 2951, 3221, 3807, 199, 1002, 1003, 1009, 1014, 1015, 143), _array),
}
