"""Each message is read as it was written, and nothing else is read at all."""

import contextlib
import datetime as dt
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronolake.errors import DecodeError
from chronolake.lsn import format_lsn, parse_lsn
from chronolake.sync.messages import (
    Begin,
    Commit,
    LogicalMessage,
    Origin,
    Relation,
    RelationColumn,
    RowChange,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    parse_message,
)

US = 824_169_601_000_002
AT = dt.datetime(2026, 2, 12, 0, 0, 1, 2, tzinfo=dt.UTC)
LSN = (0x16_B374D848, 0x16_B374D849)
_COLUMNS = (RelationColumn("id", 23, -1, is_key=True), RelationColumn("naïve", 1043, 13, is_key=False))
_RELATION = b"".join(
    [
        struct.pack(">I", 7) + b"public\0" + "tablé\0".encode() + b"i\0\2",
        b"\1id\0" + struct.pack(">Ii", 23, -1),
        "\0naïve\0".encode() + struct.pack(">Ii", 1043, 13),
    ]
)

# Kind, body, the value; these bear no transaction of their own in a streamed block.
PLAIN = [
    (b"B", struct.pack(">QqI", LSN[0], US, 9), Begin(LSN[0], AT, 9)),
    (b"C", struct.pack(">BQQq", 0, *LSN, US), Commit(*LSN, AT)),
    (b"O", struct.pack(">Q", LSN[0]) + b"elsewhere\0", Origin(LSN[0], "elsewhere")),
    (b"S", struct.pack(">IB", 9, 1), StreamStart(9, first_segment=True)),
    (b"E", b"", StreamStop()),
    (b"c", struct.pack(">IBQQq", 9, 0, *LSN, US), StreamCommit(9, *LSN, AT)),
    (b"A", struct.pack(">II", 9, 10), StreamAbort(9, 10)),
    (b"A", struct.pack(">IIQq", 9, 10, LSN[0], US), StreamAbort(9, 10, LSN[0], AT)),
]
# These do.
IN_BLOCKS = [
    (b"R", _RELATION, lambda xid: Relation(7, "public", "tablé", "i", _COLUMNS, xid)),
    (b"Y", struct.pack(">I", 16_400) + b"\0mood\0", lambda xid: Type(16_400, "", "mood", xid)),
    (
        b"T",
        struct.pack(">IBII", 2, 3, 7, 8),
        lambda xid: Truncate((7, 8), cascade=True, restart_identity=True, xid=xid),
    ),
    (
        b"M",
        struct.pack(">BQ", 1, LSN[0]) + b"p\0" + struct.pack(">I", 3) + b"a\0b",
        lambda xid: LogicalMessage(transactional=True, lsn=LSN[0], prefix="p", content=b"a\0b", xid=xid),
    ),
]
WHOLE = [
    *((kind + body, False, value) for kind, body, value in PLAIN),
    *((kind + body, False, value(None)) for kind, body, value in IN_BLOCKS),
    *((kind + struct.pack(">I", 9) + body, True, value(9)) for kind, body, value in IN_BLOCKS),
]


@pytest.mark.parametrize(("data", "streamed", "value"), WHOLE)
def test_a_message_is_read_as_it_was_written(data, streamed, value):
    assert parse_message(data, streamed=streamed) == value
    assert parse_message(memoryview(data), streamed=streamed) == value


@pytest.mark.parametrize(("data", "streamed", "value"), WHOLE)
def test_a_message_cut_short_or_too_long_is_refused(data, streamed, value):
    for end in range(len(data)):
        # An abort without place and time is a message of its own.
        if not (isinstance(value, StreamAbort) and end == 9):
            with pytest.raises(DecodeError):
                parse_message(data[:end], streamed=streamed)
    with pytest.raises(DecodeError):
        parse_message(data + b"\0", streamed=streamed)


@pytest.mark.parametrize("kind", b"IUD")
def test_a_row_is_only_recognised(kind):
    data = struct.pack(">BI", kind, 7) + b"Nwhatever"
    assert parse_message(data) == RowChange(kind, 7, None, data)
    within = struct.pack(">BII", kind, 9, 7)
    assert parse_message(within, streamed=True) == RowChange(kind, 7, 9, within)
    with pytest.raises(DecodeError):
        parse_message(within[:-1], streamed=True)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (b"b", "Begin Prepare"),
        (b"P", "Prepare"),
        (b"K", "Commit Prepared"),
        (b"r", "Rollback Prepared"),
        (b"p", "Stream Prepare"),
    ],
)
def test_two_phase_messages_are_refused_by_name(kind, name):
    with pytest.raises(DecodeError, match=f"^{name} "):
        parse_message(kind + bytes(40))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"?",
        b"C\1" + bytes(24),
        b"S\0\0\0\1\2",
        b"B" + bytes(8) + b"\x7f" + bytes(11),
        b"O" + bytes(8) + b"\xff\0",
        b"T\xff\xff\xff\xff\0",
        b"M\0" + bytes(8) + b"p\0\xff\xff\xff\xff",
    ],
)
def test_what_no_server_sends_is_refused(data):
    with pytest.raises(DecodeError):
        parse_message(data)


@given(st.binary(max_size=80) | st.sampled_from(WHOLE).map(lambda case: case[0]), st.data(), st.booleans())
def test_any_bytes_are_a_message_or_refused(data, draw, streamed):
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(0, 3)) if changed else 0):
        changed[draw.draw(st.integers(0, len(changed) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        parse_message(bytes(changed), streamed=streamed)


@given(st.integers(0, 2**64 - 1))
def test_an_lsn_keeps_its_value_as_text(lsn):
    assert parse_lsn(format_lsn(lsn)) == lsn


def test_an_lsn_is_spelled_as_postgres_does():
    assert (format_lsn(LSN[0]), format_lsn(0)) == ("16/B374D848", "0/0")
    for text in ("", "1", "1/", "g/0", "1/123456789", "1/2 ", "-1/2"):
        with pytest.raises(DecodeError):
            parse_lsn(text)
