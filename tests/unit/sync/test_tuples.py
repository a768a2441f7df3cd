"""Many rows decoded at once are the same as one after the other, and broken ones are never read as something else."""

import datetime as dt
import math
import struct
import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chronolake.errors import DecodeError, ValueUnrepresentable
from chronolake.sync import tuples
from chronolake.sync.messages import Relation, RelationColumn
from chronolake.sync.tuples import decode_changes

OID = 16_411
US, UTC_US = pa.timestamp("us"), pa.timestamp("us", tz="UTC")
EPOCH, EPOCH_DAY = dt.datetime(2000, 1, 1), dt.date(2000, 1, 1)
NULL, UNCHANGED = b"n", b"u"

_instants = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
_floats = st.floats(width=32)


def _microseconds(at: dt.datetime) -> int:
    return (at.replace(tzinfo=None) - EPOCH) // dt.timedelta(microseconds=1)


# Column: oid, Arrow type, values, how PostgreSQL sends one in binary, and as text.
COLUMNS = {
    "id": (2950, pa.uuid(), st.uuids(), lambda v: v.bytes, str),
    "url": (
        25,
        pa.string(),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
        str.encode,
        str,
    ),
    "raw": (17, pa.binary(), st.binary(max_size=20), bytes, lambda v: rf"\x{v.hex()}"),
    "flag": (16, pa.bool_(), st.booleans(), lambda v: struct.pack(">?", v), lambda v: "ft"[v]),
    "small": (21, pa.int32(), st.integers(-(2**15), 2**15 - 1), lambda v: struct.pack(">h", v), str),
    "status": (23, pa.int32(), st.integers(-(2**31), 2**31 - 1), lambda v: struct.pack(">i", v), str),
    "size": (20, pa.int64(), st.integers(-(2**63), 2**63 - 1), lambda v: struct.pack(">q", v), str),
    "score": (
        700,
        pa.float32(),
        _floats,
        lambda v: struct.pack(">f", v),
        lambda v: str(v).replace("inf", "Infinity"),
    ),
    "ratio": (
        701,
        pa.float64(),
        st.floats(),
        lambda v: struct.pack(">d", v),
        lambda v: str(v).replace("inf", "Infinity"),
    ),
    "at": (1114, US, _instants, lambda v: struct.pack(">q", _microseconds(v)), lambda v: v.isoformat(" ")),
    "seen": (
        1184,
        UTC_US,
        _instants.map(lambda v: v.replace(tzinfo=dt.UTC)),
        lambda v: struct.pack(">q", _microseconds(v)),
        lambda v: v.isoformat(" ")[:-3],
    ),
    "day": (1082, pa.date32(), st.dates(), lambda v: struct.pack(">i", (v - EPOCH_DAY).days), str),
    "extra": (3802, pa.string(), st.text("{}é", max_size=5), lambda v: b"\1" + v.encode(), str),
}
RELATION = Relation(
    OID,
    "public",
    "t",
    "d",
    tuple(RelationColumn(name, spec[0], -1, is_key=name == "id") for name, spec in COLUMNS.items()),
)
WANTED = {name: spec[1] for name, spec in COLUMNS.items()}


def _cell(name: str, value: object, *, binary: bool) -> bytes:
    if value is None or value is UNCHANGED:
        return UNCHANGED if value is UNCHANGED else NULL
    _, _, _, in_binary, as_text = COLUMNS[name]
    data = in_binary(value) if binary else as_text(value).encode()
    return (b"b" if binary else b"t") + struct.pack(">I", len(data)) + data


def _tuple(cells: list[bytes]) -> bytes:
    return struct.pack(">H", len(cells)) + b"".join(cells)


@st.composite
def _rows(draw, *, unchanged: bool) -> tuple[dict[str, object], bytes]:
    gaps = st.sampled_from([None, UNCHANGED]) if unchanged else st.none()
    row = {name: draw(spec[2] | gaps) for name, spec in COLUMNS.items()}
    return row, _tuple([_cell(name, value, binary=draw(st.booleans())) for name, value in row.items()])


@st.composite
def _changes(draw, *, streamed: bool = False):
    """A change, said twice: kind, old tag, old row and new row; and the message."""
    kind = draw(st.sampled_from("IUD"))
    tag = draw(st.sampled_from({"I": [""], "U": ["", "K", "O"], "D": ["K", "O"]}[kind]))
    old, old_bytes = draw(_rows(unchanged=False)) if tag else (None, b"")
    new, new_bytes = draw(_rows(unchanged=kind == "U")) if kind != "D" else (None, b"")
    header = kind.encode() + (struct.pack(">I", 77) if streamed else b"") + struct.pack(">I", OID)
    message = header + tag.encode() + old_bytes + (b"N" + new_bytes if new else b"")
    return (kind, tag, old, new), message


def _same(read: object, value: object) -> bool:
    if isinstance(value, float) and math.isnan(value):
        return isinstance(read, float) and math.isnan(read)
    return read == (None if value is UNCHANGED else value) and (
        not isinstance(value, float) or math.copysign(1, read) == math.copysign(1, value)
    )


def _check(read, expected) -> None:
    read.new.validate(full=True)
    read.old.validate(full=True)
    assert [chr(kind) for kind in read.kinds] == [kind for kind, *_ in expected]
    assert read.has_old.tolist() == [bool(tag) for _, tag, *_ in expected]
    assert read.old_whole.tolist() == [tag == "O" for _, tag, *_ in expected]
    for name in WANTED:
        gaps = [bool(new) and new[name] is UNCHANGED for *_, new in expected]
        assert read.unchanged.get(name, np.zeros(len(expected), bool)).tolist() == gaps
        for column, rows in (
            (read.new[name], [new for *_, new in expected]),
            (read.old[name], [old for *_, old, _ in expected]),
        ):
            for said, row in zip(column.to_pylist(), rows, strict=True):
                assert _same(said, row and row[name]), (name, said, row and row[name])


@pytest.mark.parametrize("few", [1, 1000])
@given(
    case=st.booleans().flatmap(
        lambda streamed: st.tuples(st.just(streamed), st.lists(_changes(streamed=streamed), max_size=6))
    )
)
@settings(deadline=None, max_examples=40)
def test_rows_are_read_as_they_were_written(few, case):
    streamed, changes = case
    with pytest.MonkeyPatch.context() as patch:
        # Rows that have a tuple walk alone, or among the others.
        patch.setattr(tuples, "_FEW", few)
        read = decode_changes(RELATION, [message for _, message in changes], WANTED, streamed=streamed)
    _check(read, [change for change, _ in changes])
    assert (read.unrepresentable, read.old_unrepresentable) == ({}, {})
    read.require_representable()


# One message at a time, byte by byte: what the vectorised walk must agree with.


def _walk_one(data: bytes, columns: int) -> list[list[tuple[int, bytes]]]:
    at, tuples_ = 5, []
    if data[0] not in b"IUD" or data[1:5] != struct.pack(">I", OID):
        raise ValueError
    tags = {ord("I"): ["N"], ord("D"): ["K", "O"], ord("U"): ["N", "KN", "ON"]}[data[0]]
    found = ""
    while at < len(data):
        found += chr(data[at])
        if int.from_bytes(data[at + 1 : at + 3]) != columns:
            raise ValueError
        at, cells = at + 3, []
        for _ in range(columns):
            kind, at, length = data[at], at + 1, 0
            if kind in b"tb":
                length, at = struct.unpack_from(">I", data, at)[0], at + 4
            elif kind not in b"nu":
                raise ValueError
            if at + length > len(data) or (kind == ord("u") and found[-1] != "N"):
                raise ValueError
            cells.append((kind, data[at : at + length]))
            at += length
        tuples_.append(cells)
    if found not in tags:
        raise ValueError
    return tuples_


TEXTS = Relation(OID, "public", "t", "d", tuple(RelationColumn(name, 17, -1, is_key=False) for name in "abc"))
_byte_cells = st.sampled_from(
    [NULL, UNCHANGED, b"b\0\0\0\0", b"b\0\0\0\1x", b"b\0\0\0\3N\0\3", b"b\0\0\1\1" + b"y" * 257]
)
_byte_tuples = st.lists(_byte_cells, min_size=3, max_size=3).map(_tuple)


@st.composite
def _byte_messages(draw) -> bytes:
    """Messages of three blobs, most of them right, each byte of which may have been changed or lost."""
    kind, tags = draw(
        st.sampled_from([("I", "N"), ("U", "N"), ("U", "KN"), ("U", "ON"), ("D", "K"), ("D", "O")])
    )
    data = (
        kind.encode() + struct.pack(">I", OID) + b"".join(tag.encode() + draw(_byte_tuples) for tag in tags)
    )
    wrong = draw(st.sampled_from(["", "", "", "cut", "byte", "longer"]))
    at = draw(st.integers(0, len(data) - 1))
    return {
        "": data,
        "cut": data[:at],
        "byte": data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :],
        "longer": data + draw(st.binary(min_size=1, max_size=9)),
    }[wrong]


@given(st.lists(_byte_messages(), min_size=1, max_size=5))
@settings(deadline=None, max_examples=400)
def test_the_walk_of_all_rows_is_that_of_each(messages):
    wanted = dict.fromkeys("abc", pa.binary())
    try:
        expected = [_walk_one(message, 3) for message in messages]
    except (ValueError, IndexError, struct.error):
        with pytest.raises(DecodeError):
            decode_changes(TEXTS, messages, wanted)
        return
    # A blob sent as text is written otherwise.
    assume(all(kind != ord("t") for tuples_ in expected for cells in tuples_ for kind, _ in cells))
    read = decode_changes(TEXTS, messages, wanted)
    for row, (message, tuples_) in enumerate(zip(messages, expected, strict=True)):
        sides = {
            "new": tuples_[-1] if message[0] != ord("D") else None,
            "old": tuples_[0] if message[5] != ord("N") else None,
        }
        for side, cells in sides.items():
            for i, name in enumerate("abc"):
                value = cells[i][1] if cells and cells[i][0] == ord("b") else None
                assert getattr(read, side)[name][row].as_py() == value


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4), st.booleans())
@settings(deadline=None)
def test_any_bytes_are_refused(messages, streamed):
    with pytest.raises(DecodeError):
        decode_changes(RELATION, messages, WANTED, streamed=streamed)


@given(_changes(), _changes(), st.data())
@settings(deadline=None, max_examples=200)
def test_a_changed_message_is_refused_or_read_without_harm(first, second, draw):
    (_, before), (_, data) = first, second
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = data[:at] + draw.draw(st.binary(max_size=2)) + data[at + 1 :]
    try:
        read = decode_changes(RELATION, [before, changed], WANTED)
    except DecodeError as error:
        refused_row = error.facts["row"]
    else:
        read.new.validate(full=True)
        read.old.validate(full=True)
        refused_row = 1
    assert refused_row == 1


@pytest.mark.parametrize("kind", ["I", "UK", "DO"])
def test_every_message_cut_short_is_refused(kind):
    cells = [_cell(name, None, binary=True) for name in COLUMNS]
    cells[1] = _cell("url", "some text", binary=True)
    row = _tuple(cells)
    tags = {"I": [b"N"], "UK": [b"K", b"N"], "DO": [b"O"]}[kind]
    data = kind[0].encode() + struct.pack(">I", OID) + b"".join(tag + row for tag in tags)
    assert len(decode_changes(RELATION, [data], WANTED)) == 1
    for end in range(len(data)):
        with pytest.raises(DecodeError):
            decode_changes(RELATION, [data, data[:end], data], WANTED)


def _inserts(name: str, cells: list[bytes]) -> tuple[Relation, list[bytes]]:
    column = next(column for column in RELATION.columns if column.name == name)
    relation = Relation(OID, "public", "t", "d", (column,))
    return relation, [b"I" + struct.pack(">I", OID) + b"N" + _tuple([cell]) for cell in cells]


def _sent(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack(">I", len(data)) + data


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("id", _sent(b"b", bytes(15))),
        ("flag", _sent(b"b", b"")),
        ("status", _sent(b"b", bytes(8))),
        ("extra", _sent(b"b", b"")),
        ("extra", _sent(b"b", b"\2{}")),
        ("id", _sent(b"t", b"no uuid")),
        ("flag", _sent(b"t", b"maybe")),
        ("status", _sent(b"t", b"1_0")),
        ("score", _sent(b"t", b"high")),
        ("at", _sent(b"t", b"yesterday")),
        ("day", _sent(b"t", b"2023-02-29")),
        ("raw", _sent(b"t", rb"a\9")),
        ("raw", _sent(b"t", rb"\xf")),
    ],
)
def test_a_value_that_is_none_of_its_type_is_refused_with_its_place(name, cell):
    relation, messages = _inserts(name, [NULL, cell, NULL])
    with pytest.raises(DecodeError, match=f"^Column {name}: ") as refused:
        decode_changes(relation, messages, {name: WANTED[name]})
    assert (refused.value.facts["column"], refused.value.facts["row"]) == (name, 1)


def test_what_the_lake_cannot_hold_is_named_row_by_row(monkeypatch):
    monkeypatch.setattr(tuples, "_BLOCK_ROWS", 2)
    endless, fine = _sent(b"b", struct.pack(">q", 2**63 - 1)), _sent(b"b", struct.pack(">q", 0))
    relation, messages = _inserts("at", [endless, fine, NULL, fine, endless, _sent(b"t", b"-infinity")])
    read = decode_changes(relation, messages, {"at": US})
    assert read.unrepresentable["at"].tolist() == [0, 4, 5]
    assert read.new["at"].to_pylist() == [None, EPOCH, None, EPOCH, None, None]
    with pytest.raises(ValueUnrepresentable) as refused:
        read.require_representable()
    assert refused.value.facts == {"column": "at", "rows": [0, 4, 5]}


def test_a_text_that_is_not_utf_8_is_not_held():
    relation, messages = _inserts("url", [_sent(b"b", "é".encode()), _sent(b"b", b"\xff"), NULL])
    read = decode_changes(relation, messages, {"url": pa.string()})
    assert read.new["url"].to_pylist() == ["é", None, None]
    assert read.unrepresentable["url"].tolist() == [1]


def test_blocks_are_joined_in_order(monkeypatch):
    monkeypatch.setattr(tuples, "_BLOCK_BYTES", 64)
    values = [struct.pack(">q", number) for number in range(50)]
    relation, messages = _inserts("size", [_sent(b"b", value) for value in values])
    messages[30] = messages[30].replace(b"I", b"U", 1).replace(_sent(b"b", values[30]), UNCHANGED)
    read = decode_changes(relation, messages, {"size": pa.int64()})
    assert read.new["size"].to_pylist() == [*range(30), None, *range(31, 50)]
    assert np.flatnonzero(read.unchanged["size"]).tolist() == [30]
    messages[40] = messages[40][:-1]
    with pytest.raises(DecodeError) as refused:
        decode_changes(relation, messages, {"size": pa.int64()})
    assert refused.value.facts["row"] == 40


def test_an_integer_may_be_wanted_narrower_and_wider():
    relation, messages = _inserts(
        "size", [_sent(b"b", struct.pack(">q", number)) for number in (1, 2**31, -5)]
    )
    read = decode_changes(relation, messages, {"size": pa.int32()})
    assert (read.new["size"].to_pylist(), read.unrepresentable["size"].tolist()) == ([1, None, -5], [1])
    relation, messages = _inserts("small", [_sent(b"b", struct.pack(">h", -3))])
    for wanted in (pa.int64(), pa.float64(), pa.string()):
        assert decode_changes(relation, messages, {"small": wanted}).new["small"].cast(
            pa.int64()
        ).to_pylist() == [-3]


def test_a_type_of_someone_else_is_read_as_the_one_it_is_named_after():
    relation = Relation(OID, "public", "t", "d", (RelationColumn("mood", 16_500, -1, is_key=False),))
    _, messages = _inserts("url", [_sent(b"b", b"fine")])
    wanted = {"mood": pa.string()}
    assert decode_changes(relation, messages, wanted, types={16_500: 25}).new["mood"].to_pylist() == ["fine"]
    with pytest.raises(DecodeError, match="16500"):
        decode_changes(relation, messages, wanted)


def test_what_cannot_be_wanted_is_refused():
    relation, messages = _inserts("url", [_sent(b"b", b"x")])
    with pytest.raises(DecodeError, match="no column other"):
        decode_changes(relation, messages, {"other": pa.string()})
    with pytest.raises(DecodeError, match="no way from text"):
        decode_changes(relation, messages, {"url": pa.list_(pa.int8())})
    relation, messages = _inserts("id", [_sent(b"b", uuid.uuid4().bytes)])
    with pytest.raises(DecodeError, match="no way from extension"):
        decode_changes(relation, messages, {"id": pa.int64()})


def test_no_messages_are_no_changes():
    read = decode_changes(RELATION, [], WANTED)
    assert (len(read), read.new.schema.names, read.new.num_rows) == (0, list(WANTED), 0)
