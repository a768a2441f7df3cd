"""Binary values are written as PostgreSQL would, or refused; what it would write is asked in tests/integration."""

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronolake.sync.wire_text import can_render, render

KNOWN = [oid for oid in range(4000) if can_render(oid)]


@given(st.sampled_from(KNOWN), st.binary(max_size=40))
def test_any_bytes_are_written_or_refused(oid, value):
    try:
        text = render(oid, value)
    except ValueError:
        return
    text.encode()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**20), max_value=10**20))
def test_a_numeric_keeps_each_digit(number):
    digits = f"{abs(number):.5f}".replace(".", "") + "000"
    digits = digits.rjust(-(-len(digits) // 4) * 4, "0")
    groups = [int(digits[i : i + 4]) for i in range(0, len(digits), 4)]
    sign = 0x4000 if number < 0 else 0
    value = struct.pack(f">HhHH{len(groups)}H", len(groups), len(groups) - 3, sign, 5, *groups)
    text = render(1700, value)
    assert Decimal(text) == number
    assert len(text.partition(".")[2]) == 5


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        (1700, struct.pack(">HhHHH", 1, 0, 0, 0, 10_000)),
        (1083, struct.pack(">q", -1)),
        (869, bytes([2, 33, 0, 4, 1, 2, 3, 4])),
        (1009, struct.pack(">iiIii", 1, 0, 25, 2, 1) + struct.pack(">i", -1)),
        (1009, struct.pack(">iiIii", 1, 0, 1009, 1, 1) + struct.pack(">iiiI", 12, 0, 0, 25)),
        (1009, struct.pack(">iiIii", 1, 0, 25, 1, 1) + struct.pack(">i", 5) + b"four"),
    ],
)
def test_what_is_no_value_of_its_type_is_refused(oid, value):
    with pytest.raises(ValueError):
        render(oid, value)
