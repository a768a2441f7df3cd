"""Give meaning to one `pgoutput` message, of protocol version 1 to 4 without two-phase commit.

No sockets here, and no state: whether a message lies inside a streamed block is for the caller to know. Rows are
only recognised: `tuples.py` decodes many of them at once.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import NamedTuple

from chronolake.errors import DecodeError

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

_INT8 = Struct(">B")
_INT16 = Struct(">H")
_INT32 = Struct(">I")
_SIGNED_INT32 = Struct(">i")
_INT64 = Struct(">Q")
_SIGNED_INT64 = Struct(">q")

_ROW_KINDS = frozenset(b"IUD")
_TWO_PHASE = {
    ord("b"): "Begin Prepare",
    ord("P"): "Prepare",
    ord("K"): "Commit Prepared",
    ord("r"): "Rollback Prepared",
    ord("p"): "Stream Prepare",
}
_CASCADE, _RESTART_IDENTITY = 1, 2


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction follows; `final_lsn` is that of its commit record."""

    final_lsn: int
    commit_time: datetime
    xid: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The transaction is complete; the stream goes on at `end_lsn`."""

    commit_lsn: int
    end_lsn: int
    commit_time: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """The transaction came from another server, where it was committed at `commit_lsn`."""

    commit_lsn: int
    name: str


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column as the rows that follow hold it."""

    name: str
    type_oid: int
    type_modifier: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as the rows that follow hold it.

    `schema` is empty for `pg_catalog`; `replica_identity` is `d`, `n`, `f` or `i`, as in `pg_class`. Under `f` each
    column is part of the key.
    """

    oid: int
    schema: str
    name: str
    replica_identity: str
    columns: tuple[RelationColumn, ...]
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class Type:
    """The name of a type that PostgreSQL does not bring along."""

    oid: int
    schema: str
    name: str
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class Truncate:
    """All rows of these tables are gone."""

    relation_oids: tuple[int, ...]
    cascade: bool
    restart_identity: bool
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class LogicalMessage:
    """What someone wrote with `pg_logical_emit_message`."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class StreamStart:
    """Messages of a transaction still in progress follow, up to `StreamStop`."""

    xid: int
    first_segment: bool


@dataclass(frozen=True, slots=True)
class StreamStop:
    """The end of one streamed block."""


@dataclass(frozen=True, slots=True)
class StreamCommit:
    """A streamed transaction is complete."""

    xid: int
    commit_lsn: int
    end_lsn: int
    commit_time: datetime


@dataclass(frozen=True, slots=True)
class StreamAbort:
    """A streamed transaction, or its subtransaction `subxid`, never happened.

    Place and time are told only with the option `streaming 'parallel'`.
    """

    xid: int
    subxid: int
    abort_lsn: int | None = None
    abort_time: datetime | None = None


class RowChange(NamedTuple):
    """A row was inserted (`kind` is `ord("I")`), updated (U) or deleted (D); `data` is the whole message."""

    kind: int
    relation_oid: int
    xid: int | None
    data: bytes


StreamMessage = (
    Begin
    | Commit
    | Origin
    | Relation
    | Type
    | Truncate
    | LogicalMessage
    | StreamStart
    | StreamStop
    | StreamCommit
    | StreamAbort
    | RowChange
)


def parse_message(data: bytes | memoryview, *, streamed: bool = False) -> StreamMessage:
    """Read one message as the server sent it.

    `streamed` says that the message lies between a `StreamStart` and its `StreamStop`: there, messages about rows
    and relations bear the transaction they belong to. The insides of row messages are not checked.

    Raises:
        DecodeError: the bytes are no message of this protocol.
    """
    if not isinstance(data, bytes):
        data = bytes(data)
    kind = data[0] if data else None
    if kind in _ROW_KINDS:
        return _row_change(data, streamed=streamed)
    if kind in _TWO_PHASE:
        raise DecodeError(f"{_TWO_PHASE[kind]} is a message of two-phase commit, which was not asked for")
    read = _READERS.get(kind)
    if read is None:
        raise DecodeError(f"{data[:1]!r} begins no message of pgoutput", kind=kind)
    reader = _Reader(data, streamed=streamed)
    message = read(reader)
    reader.end()
    return message


def _row_change(data: bytes, *, streamed: bool) -> RowChange:
    start = 5 if streamed else 1
    if len(data) < start + 4:
        raise DecodeError("A row message ends within its header", kind=data[0])
    xid = int.from_bytes(data[1:5]) if streamed else None
    return RowChange(data[0], int.from_bytes(data[start : start + 4]), xid, data)


class _Reader:
    """A place in one message that moves on as its parts are read."""

    def __init__(self, data: bytes, *, streamed: bool) -> None:
        self._data = data
        self._at = 1
        self._streamed = streamed

    def number(self, layout: Struct) -> int:
        try:
            (value,) = layout.unpack_from(self._data, self._at)
        except struct.error as error:
            raise self._wrong("ends too early") from error
        self._at += layout.size
        return int(value)

    def one_of(self, *known: int) -> int:
        value = self.number(_INT8)
        if value not in known:
            raise self._wrong(f"holds {value} where one of {known} was due")
        return value

    def bytes_(self, count: int) -> bytes:
        value = self._data[self._at : self._at + count]
        if len(value) < count:
            raise self._wrong("ends too early")
        self._at += count
        return value

    def text(self) -> str:
        end = self._data.find(0, self._at)
        if end < 0:
            raise self._wrong("holds a text without an end")
        value = self.bytes_(end - self._at)
        self._at += 1
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise self._wrong("holds a text that is not UTF-8") from error

    def time(self) -> datetime:
        microseconds = self.number(_SIGNED_INT64)
        try:
            return _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError as error:
            raise self._wrong("holds a time out of bounds") from error

    def xid(self) -> int | None:
        return self.number(_INT32) if self._streamed else None

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def end(self) -> None:
        if not self.at_end:
            raise self._wrong("goes on after its end")

    def _wrong(self, what: str) -> DecodeError:
        return DecodeError(f"Message {self._data[:1]!r} {what}", kind=self._data[0], offset=self._at)


def _begin(reader: _Reader) -> Begin:
    return Begin(final_lsn=reader.number(_INT64), commit_time=reader.time(), xid=reader.number(_INT32))


def _commit(reader: _Reader) -> Commit:
    # One byte of flags, none of them in use yet.
    reader.one_of(0)
    return Commit(commit_lsn=reader.number(_INT64), end_lsn=reader.number(_INT64), commit_time=reader.time())


def _origin(reader: _Reader) -> Origin:
    return Origin(commit_lsn=reader.number(_INT64), name=reader.text())


def _relation(reader: _Reader) -> Relation:
    return Relation(
        xid=reader.xid(),
        oid=reader.number(_INT32),
        schema=reader.text(),
        name=reader.text(),
        replica_identity=chr(reader.one_of(*b"dnfi")),
        columns=tuple(_relation_column(reader) for _ in range(reader.number(_INT16))),
    )


def _relation_column(reader: _Reader) -> RelationColumn:
    return RelationColumn(
        is_key=bool(reader.one_of(0, 1)),
        name=reader.text(),
        type_oid=reader.number(_INT32),
        type_modifier=reader.number(_SIGNED_INT32),
    )


def _type(reader: _Reader) -> Type:
    return Type(xid=reader.xid(), oid=reader.number(_INT32), schema=reader.text(), name=reader.text())


def _truncate(reader: _Reader) -> Truncate:
    xid = reader.xid()
    count = reader.number(_INT32)
    options = reader.one_of(0, _CASCADE, _RESTART_IDENTITY, _CASCADE | _RESTART_IDENTITY)
    oids = reader.bytes_(count * _INT32.size)
    return Truncate(
        relation_oids=tuple(oid for (oid,) in _INT32.iter_unpack(oids)),
        cascade=bool(options & _CASCADE),
        restart_identity=bool(options & _RESTART_IDENTITY),
        xid=xid,
    )


def _logical_message(reader: _Reader) -> LogicalMessage:
    return LogicalMessage(
        xid=reader.xid(),
        transactional=bool(reader.one_of(0, 1)),
        lsn=reader.number(_INT64),
        prefix=reader.text(),
        content=reader.bytes_(reader.number(_INT32)),
    )


def _stream_start(reader: _Reader) -> StreamStart:
    return StreamStart(xid=reader.number(_INT32), first_segment=bool(reader.one_of(0, 1)))


def _stream_stop(_reader: _Reader) -> StreamStop:
    return StreamStop()


def _stream_commit(reader: _Reader) -> StreamCommit:
    xid = reader.number(_INT32)
    commit = _commit(reader)
    return StreamCommit(xid, commit.commit_lsn, commit.end_lsn, commit.commit_time)


def _stream_abort(reader: _Reader) -> StreamAbort:
    xid, subxid = reader.number(_INT32), reader.number(_INT32)
    if reader.at_end:
        return StreamAbort(xid, subxid)
    return StreamAbort(xid, subxid, abort_lsn=reader.number(_INT64), abort_time=reader.time())


_READERS: dict[int | None, Callable[[_Reader], StreamMessage]] = {
    ord("B"): _begin,
    ord("C"): _commit,
    ord("O"): _origin,
    ord("R"): _relation,
    ord("Y"): _type,
    ord("T"): _truncate,
    ord("M"): _logical_message,
    ord("S"): _stream_start,
    ord("E"): _stream_stop,
    ord("c"): _stream_commit,
    ord("A"): _stream_abort,
}
