"""Put the messages of the stream together to committed transactions, in commit order.

Row messages are not looked into here: of each only the first bytes are read, and those of one relation are kept
together for `tuples.py` to decode at once.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from chronolake.errors import DecodeError
from chronolake.sync.messages import (
    Begin,
    Commit,
    LogicalMessage,
    Relation,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
    Truncate,
    parse_message,
)
from chronolake.sync.spool import Spool, Spools

#: Prefix of the message by which a dual-write transaction names its staged batch.
BATCH_PREFIX = "chronolake.batch"
#: Prefix of the message by which somebody who waits for the lake asks whoever leads not to linger.
HURRY_PREFIX = "chronolake.hurry"
_ROWS = frozenset(b"IUD")
#: Rows of a streamed transaction that are handed on together; a bound on memory.
ROWS_PER_PIECE = 100_000
BYTES_PER_PIECE = 64 << 20


@dataclass
class Segment:
    """Row messages of one relation, as it was when they were written; `streamed` tells their form."""

    relation: Relation
    streamed: bool
    messages: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Truncation:
    """These relations were emptied."""

    relation_oids: tuple[int, ...]


Part = Segment | Truncation


@dataclass(frozen=True)
class Transaction:
    """A committed transaction. `lsn` is where its commit ends; `parts` are in the order of its statements.

    `batch` is what its dual-write message says, where it has one.
    """

    commit_lsn: int
    lsn: int
    committed_at: datetime
    parts: tuple[Part, ...]
    batch: dict[str, object] | None
    rows: int
    bytes: int
    #: of a transaction that was streamed before it committed, whose rows are not in `parts`
    spool: Spool | None = None
    #: whether somebody waits for what was committed before it
    hurries: bool = False


@dataclass
class _Open:
    """A transaction that is being put together."""

    parts: list[Part] = field(default_factory=list)
    #: where the next row of a relation goes: rows of several relations need no order among them
    segments: dict[int, Segment] = field(default_factory=dict)
    batch: dict[str, object] | None = None
    rows: int = 0
    bytes: int = 0
    hurries: bool = False


class Assembler:
    """Takes messages in the order of the stream and gives transactions and watermarks in the order of commits."""

    def __init__(self, spools: Spools) -> None:
        self._spools = spools
        self._relations: dict[int, Relation] = {}
        self._open: _Open | None = None
        self._block: int | None = None

    @property
    def relations(self) -> dict[int, Relation]:
        """The relations that the stream told of, by oid, as they were last."""
        return self._relations

    def feed(self, items: Iterable[bytes | int]) -> Iterator[Transaction | int]:
        """What is complete with `items`; a number is an LSN before which nothing more will come.

        Raises:
            DecodeError: a message is broken or out of place.
        """
        for item in items:
            if isinstance(item, int):
                # Within a transaction the server has not sent all yet.
                if self._open is None and self._block is None:
                    yield item
                continue
            if self._block is not None:
                self._within_block(self._block, item)
            elif item[0] in _ROWS and self._open is not None:
                _row(self._open, item, self._relations, streamed=False)
            else:
                yield from self._control(item)

    def relations_of(self, transaction: Transaction) -> list[Relation]:
        """The relations whose rows a transaction changes, as it tells of them, in order."""
        if transaction.spool is not None:
            return transaction.spool.relations
        found = []
        for part in transaction.parts:
            if isinstance(part, Segment):
                found.append(part.relation)
            else:
                found += [self._relations[oid] for oid in part.relation_oids if oid in self._relations]
        return found

    def pieces(self, transaction: Transaction) -> Iterator[tuple[Part, ...]]:
        """The parts of a transaction, at most ROWS_PER_PIECE rows at a time."""
        if transaction.spool is None:
            yield transaction.parts
            return
        held = _Open()
        # Its own: what came after it may have told of newer shapes.
        relations = dict(self._relations)
        for message in transaction.spool.messages():
            kind = message[0]
            if kind in _ROWS:
                _row(held, message, relations, streamed=True)
                if held.rows >= ROWS_PER_PIECE or held.bytes >= BYTES_PER_PIECE:
                    yield tuple(held.parts)
                    held = _Open()
            else:
                _statement(held, message, relations, streamed=True)
        yield tuple(held.parts)

    def _control(self, item: bytes) -> Iterator[Transaction]:
        kind = item[0]
        if kind in b"BCScA":
            message = parse_message(item)
            match message:
                case Begin():
                    self._open = _Open()
                case Commit(commit_lsn, end_lsn, committed_at):
                    if self._open is None:
                        raise DecodeError("a commit without a beginning")
                    held, self._open = self._open, None
                    yield Transaction(
                        commit_lsn,
                        end_lsn,
                        committed_at,
                        tuple(held.parts),
                        held.batch,
                        held.rows,
                        held.bytes,
                        hurries=held.hurries,
                    )
                case StreamStart():
                    self._block = message.xid
                case StreamAbort():
                    self._spools.abort(message.xid, message.subxid)
                case StreamCommit():
                    spool = self._spools.take(message.xid)
                    if spool is not None:
                        # What comes next may have rows of relations that only this transaction told of.
                        self._relations |= {relation.oid: relation for relation in spool.relations}
                        yield Transaction(
                            message.commit_lsn,
                            message.end_lsn,
                            message.commit_time,
                            (),
                            spool.batch,
                            spool.rows,
                            spool.bytes,
                            spool,
                        )
                case _:
                    raise DecodeError(f"{item[:1]!r} is out of place")
        else:
            _statement(self._open, item, self._relations, streamed=False)

    def _within_block(self, block: int, item: bytes) -> None:
        if item[0] == ord("E"):
            if not isinstance(parse_message(item), StreamStop):
                raise DecodeError("a streamed block ends in nothing known")
            self._block = None
            return
        if len(item) < 5:
            raise DecodeError("a streamed message ends within its header")
        spool = self._spools.of(block)
        xid = int.from_bytes(item[1:5])
        spool.add(xid, item)
        if item[0] == ord("R"):
            relation = parse_message(item, streamed=True)
            if isinstance(relation, Relation):
                spool.tell(xid, replace(relation, xid=None))
        elif item[0] == ord("M"):
            message = parse_message(item, streamed=True)
            if isinstance(message, LogicalMessage) and (batch := _batch_of(message)):
                spool.batches[xid] = batch


def _statement(held: _Open | None, item: bytes, relations: dict[int, Relation], *, streamed: bool) -> None:
    message = parse_message(item, streamed=streamed)
    match message:
        case Relation():
            relations[message.oid] = replace(message, xid=None)
            if held is not None:
                held.segments.pop(message.oid, None)
        case Truncate() if held is not None:
            held.parts.append(Truncation(message.relation_oids))
            for oid in message.relation_oids:
                held.segments.pop(oid, None)
        case LogicalMessage() if held is not None:
            held.batch = _batch_of(message) or held.batch
            held.hurries = held.hurries or message.prefix == HURRY_PREFIX
        case _:
            return


def _row(held: _Open, item: bytes, relations: dict[int, Relation], *, streamed: bool) -> None:
    oid = int.from_bytes(item[5:9] if streamed else item[1:5])
    segment = held.segments.get(oid)
    if segment is None:
        relation = relations.get(oid)
        if relation is None:
            raise DecodeError(f"rows of a relation {oid} that the stream told nothing of")
        segment = held.segments[oid] = Segment(relation, streamed)
        held.parts.append(segment)
    segment.messages.append(item)
    held.rows += 1
    held.bytes += len(item)


def _batch_of(message: LogicalMessage) -> dict[str, object] | None:
    if not message.transactional or message.prefix != BATCH_PREFIX:
        return None
    try:
        words = json.loads(message.content)
    except ValueError as error:
        raise DecodeError(f"a {BATCH_PREFIX} message is no JSON") from error
    return words if isinstance(words, dict) else None
