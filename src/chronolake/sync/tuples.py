"""Decode many row messages of one relation into columns at once.

Rows walk side by side: a cursor for each row passes one column after the other, so that numpy works on all rows and
Python on none. Nothing is read beyond a message's end: each step is checked against it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

import numpy as np
import pyarrow as pa

from chronolake.errors import DecodeError, ValueUnrepresentable
from chronolake.sync.arrays import read_column
from chronolake.sync.cells import (
    BINARY,
    NULL,
    TEXT,
    UNCHANGED,
    Buffer,
    Cells,
    Ints,
    Kinds,
    Mask,
    refuse,
)
from chronolake.sync.messages import Relation

# Measured: below, numpy's cost per call counts; above, the block leaves the processor's caches.
_BLOCK_BYTES = 8 << 20
_BLOCK_ROWS = 16_384
# Arrow counts a text's place in 31 bits; PostgreSQL sends nothing beyond 1 GiB.
_MESSAGE_BYTES = 1 << 30

# Where fewer than one row in so many has a tuple, these rows are walked alone and their columns spread afterwards.
_FEW = 4

_INSERT, _UPDATE, _DELETE = b"IUD"
_NEW, _KEY, _OLD = b"NKO"

_NO_TYPES: Mapping[int, int] = {}
Rows = dict[str, Ints]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Row changes of one relation as columns, row i for message i.

    `kinds` holds `ord("I")`, `ord("U")` or `ord("D")`. `new` is null for deletes. `old` is null where `has_old` is
    false; where `old_whole` is false too, it knows the columns of the key only and the others are null.
    `unchanged` says for each column that has any which new values are null because PostgreSQL left a large value as
    it was and did not send it. The last two name, by column, the rows whose value the wanted type cannot hold and
    which is null therefore.
    """

    kinds: Kinds
    new: pa.Table
    unchanged: dict[str, Mask]
    old: pa.Table
    has_old: Mask
    old_whole: Mask
    unrepresentable: Rows
    old_unrepresentable: Rows

    def __len__(self) -> int:
        return len(self.kinds)

    def require_representable(self) -> None:
        """Refuse values which the wanted types cannot hold.

        Raises:
            ValueUnrepresentable: there are some; `facts` name the first column that has any, and the rows.
        """
        for column, rows in chain(self.unrepresentable.items(), self.old_unrepresentable.items()):
            raise ValueUnrepresentable(
                f"{len(rows)} values of {column} do not fit the lake's type",
                column=column,
                rows=rows.tolist(),
            )


def decode_changes(
    relation: Relation,
    messages: Sequence[bytes],
    columns: Mapping[str, pa.DataType],
    *,
    streamed: bool = False,
    types: Mapping[int, int] = _NO_TYPES,
) -> Changes:
    """Decode inserts, updates and deletes of this relation, in the order in which they came.

    `columns` are the wanted ones with the Arrow types to read them as. `streamed` says that the messages lay in
    streamed blocks. `types` maps the oid of a user-defined type to the built-in one that has its binary form: a
    domain to its base type, an enum to text (25). Texts are read as written with DateStyle ISO.

    Raises:
        DecodeError: a message is none of this relation, or broken; a column is wanted that the relation lacks, or
            as a type to which there is no way. `facts` name the message (`row`) and `column` where known.
    """
    plan = _Plan(relation, columns, types, streamed=streamed)
    lengths = np.fromiter(map(len, messages), np.int64, len(messages))
    ends = _block_ends(lengths)
    blocks = [
        _decode_block(plan, messages[start:end], lengths[start:end], start)
        for start, end in pairwise([0, *ends])
    ]
    return _joined(plan, blocks)


def _block_ends(lengths: Ints) -> list[int]:
    if (lengths >= _MESSAGE_BYTES).any():
        raise DecodeError("a message is longer than any that PostgreSQL sends", row=int(lengths.argmax()))
    totals = np.cumsum(lengths)
    ends, done = [], 0
    while done < len(lengths):
        before = totals[done - 1] if done else 0
        fitting = int(np.searchsorted(totals, before + _BLOCK_BYTES, side="right"))
        done = min(max(fitting, done + 1), done + _BLOCK_ROWS)
        ends.append(done)
    return ends


class _Plan:
    """What is wanted of each of the relation's columns: nothing, or its name, oid and Arrow type."""

    def __init__(
        self,
        relation: Relation,
        columns: Mapping[str, pa.DataType],
        types: Mapping[int, int],
        *,
        streamed: bool,
    ) -> None:
        missing = columns.keys() - {column.name for column in relation.columns}
        if missing:
            raise DecodeError(
                f"{relation.name} has no column {', '.join(sorted(missing))}", column=min(missing)
            )
        self.relation_oid = relation.oid
        self.streamed = streamed
        self.schema = pa.schema([pa.field(name, kind) for name, kind in columns.items()])
        self.wanted = [
            (column.name, types.get(column.type_oid, column.type_oid), columns.get(column.name))
            for column in relation.columns
        ]


@dataclass(frozen=True, slots=True)
class _Tuples:
    """Tuples as columns; which values were not sent, and the rows whose value is not held."""

    batch: pa.RecordBatch
    unchanged: dict[str, Mask] = field(default_factory=dict)
    bad: Rows = field(default_factory=dict)

    def spread(self, rows: Ints, count: int) -> "_Tuples":
        """Bring the tuples of some rows to their places among all rows."""
        indices, absent = np.zeros(count, np.int64), np.ones(count, np.bool_)
        indices[rows] = np.arange(len(rows))
        absent[rows] = False
        return _Tuples(
            self.batch.take(pa.array(indices, mask=absent)),
            {name: mask[indices] & ~absent for name, mask in self.unchanged.items()},
            {name: rows[bad] for name, bad in self.bad.items()},
        )


def _decode_block(plan: _Plan, messages: Sequence[bytes], lengths: Ints, first_row: int) -> Changes:
    try:
        return _Block(plan, messages, lengths).changes()
    except DecodeError as error:
        raise _moved(error, lambda row: first_row + row) from error


def _moved(error: DecodeError, place: Callable[[int], int]) -> DecodeError:
    """The same error, its row told among more rows."""
    row = error.facts.get("row")
    facts = error.facts | ({"row": place(row)} if isinstance(row, int) else {})
    return DecodeError(error.message, hint=error.hint, **facts)


class _Block:
    """As many messages as are walked side by side."""

    def __init__(self, plan: _Plan, messages: Sequence[bytes], lengths: Ints) -> None:
        self._plan = plan
        self._buffer = Buffer(messages)
        self._ends = np.cumsum(lengths)
        self._starts = self._ends - lengths

    def changes(self) -> Changes:
        kinds, cursor = self._header()
        has_old, old_whole = self._old_tags(kinds, cursor)
        cursor += 1
        with_new = kinds != _DELETE
        old = self._tuples(has_old, cursor)
        for mask in old.unchanged.values():
            # PostgreSQL writes old rows whole into its log; a missing value taken for null would be a wrong one.
            refuse(mask, "an old row lacks a value")
        both = has_old & with_new
        refuse(both & (self._bytes(cursor) != _NEW), "no new row follows the old one")
        cursor += both
        new = self._tuples(with_new, cursor)
        refuse(cursor != self._ends, "a message goes on after its end")
        return Changes(
            kinds=kinds,
            new=pa.Table.from_batches([new.batch]),
            unchanged=new.unchanged,
            old=pa.Table.from_batches([old.batch]),
            has_old=has_old,
            old_whole=old_whole,
            unrepresentable=new.bad,
            old_unrepresentable=old.bad,
        )

    def _header(self) -> tuple[Kinds, Ints]:
        """The kinds, and a cursor for each row that stands behind the oid."""
        oid_at = 5 if self._plan.streamed else 1
        # What follows the oid is a tag and a count of columns.
        refuse(self._ends - self._starts < oid_at + 4 + 3, "a message ends within its header")
        kinds = self._bytes(self._starts)
        refuse((kinds != _INSERT) & (kinds != _UPDATE) & (kinds != _DELETE), "a message is not about a row")
        oids = self._buffer.words(self._starts + oid_at) >> 32
        refuse(oids != self._plan.relation_oid, "a message is about another relation")
        return kinds, self._starts + oid_at + 4

    def _old_tags(self, kinds: Kinds, cursor: Ints) -> tuple[Mask, Mask]:
        """Which rows begin with an old row, and which of these are whole."""
        tags = self._bytes(cursor)
        old_whole = tags == _OLD
        has_old = old_whole | (tags == _KEY)
        refuse(~has_old & (tags != _NEW), "neither a new nor an old row follows the header")
        wrong = ((kinds == _INSERT) & has_old) | ((kinds == _DELETE) & ~has_old)
        refuse(wrong, "a row is there that such a change does not have")
        return has_old, old_whole

    def _bytes(self, at: Ints) -> Kinds:
        # A cursor stands at most at the end of the last message, where padding follows.
        found: Kinds = self._buffer.bytes[at]
        return found

    def _tuples(self, present: Mask, cursor: Ints) -> _Tuples:
        """Read the tuples of these rows, null for the others, and move their cursors behind them."""
        some, count = int(np.count_nonzero(present)), len(present)
        if not some:
            return _Tuples(_nothing(self._plan.schema, count))
        if some * _FEW > count:
            walk = _Walk(self._plan, self._buffer, cursor, self._ends, None if some == count else present)
            tuples = walk.tuples()
            cursor[:] = walk.at
            return tuples
        rows = np.flatnonzero(present)
        walk = _Walk(self._plan, self._buffer, cursor[rows], self._ends[rows], None)
        try:
            tuples = walk.tuples()
        except DecodeError as error:
            raise _moved(error, lambda row: int(rows[row])) from error
        cursor[rows] = walk.at
        return tuples.spread(rows, count)


class _Walk:
    """One tuple of each row, read column by column; `at` says how far; rows not `present` have none."""

    def __init__(self, plan: _Plan, buffer: Buffer, at: Ints, ends: Ints, present: Mask | None) -> None:
        self._plan = plan
        self._buffer = buffer
        self._ends = ends
        self._present = present
        self.at = at

    def tuples(self) -> _Tuples:
        """Read them all."""
        counts = self._buffer.words(self.at) >> 48
        wrong = counts != len(self._plan.wanted)
        refuse(
            wrong if self._present is None else wrong & self._present, "a row has another number of columns"
        )
        self.at = self.at + (2 if self._present is None else 2 * self._present)
        arrays: dict[str, pa.Array] = {}
        unchanged, bad = {}, {}
        for name, type_oid, wanted in self._plan.wanted:
            cells = self._step()
            if wanted is None:
                continue
            arrays[name], unfit = _read(name, cells, type_oid, wanted)
            if unfit is not None and unfit.any():
                bad[name] = np.flatnonzero(unfit)
            if cells.uniform is None and (mask := cells.of(UNCHANGED)).any():
                unchanged[name] = mask
        batch = pa.record_batch([arrays[name] for name in self._plan.schema.names], schema=self._plan.schema)
        return _Tuples(batch, unchanged, bad)

    def _step(self) -> Cells:
        """Pass one column: a kind for each row and, where there is a value, four bytes of length before it."""
        words = self._buffer.words(self.at)
        kinds = (words >> 56).astype(np.uint8)
        lengths = ((words >> 24) & 0xFFFFFFFF).view(np.int64)
        starts = self.at + 5
        uniform = self._uniform(kinds)
        after = self._after_mixed(kinds, lengths) if uniform is None else starts + lengths
        refuse(after > self._ends, "a message ends within a value")
        self.at = after
        return Cells(self._buffer, kinds, uniform, starts, lengths)

    def _uniform(self, kinds: Kinds) -> int | None:
        first = int(kinds[0])
        one = (
            self._present is None
            and first in {BINARY, TEXT}
            and np.count_nonzero(kinds == first) == len(kinds)
        )
        return first if one else None

    def _after_mixed(self, kinds: Kinds, lengths: Ints) -> Ints:
        """Where the next cells begin; lengths of cells without value become 0, and cells of absent rows null."""
        if self._present is not None:
            kinds[~self._present] = NULL
        has_value = (kinds == BINARY) | (kinds == TEXT)
        refuse(~(has_value | (kinds == NULL) | (kinds == UNCHANGED)), "a value is of no known kind")
        lengths *= has_value
        width: Ints = 1 + has_value * (4 + lengths)
        if self._present is not None:
            width *= self._present
        return self.at + width


def _read(name: str, cells: Cells, type_oid: int, wanted: pa.DataType) -> tuple[pa.Array, Mask | None]:
    try:
        return read_column(cells, type_oid, wanted)
    except DecodeError as error:
        facts = error.facts | {"column": name}
        raise DecodeError(f"Column {name}: {error.message}", hint=error.hint, **facts) from error


def _nothing(schema: pa.Schema, count: int) -> pa.RecordBatch:
    return pa.record_batch([pa.nulls(count, kind) for kind in schema.types], schema=schema)


def _joined(plan: _Plan, blocks: Sequence[Changes]) -> Changes:
    counts = [len(block) for block in blocks]
    empty = plan.schema.empty_table()
    none = np.zeros(0, np.bool_)
    return Changes(
        kinds=np.concatenate([np.zeros(0, np.uint8), *(block.kinds for block in blocks)]),
        new=pa.concat_tables([block.new for block in blocks] or [empty]),
        unchanged=_joined_masks([block.unchanged for block in blocks], counts),
        old=pa.concat_tables([block.old for block in blocks] or [empty]),
        has_old=np.concatenate([none, *(block.has_old for block in blocks)]),
        old_whole=np.concatenate([none, *(block.old_whole for block in blocks)]),
        unrepresentable=_joined_rows([block.unrepresentable for block in blocks], counts),
        old_unrepresentable=_joined_rows([block.old_unrepresentable for block in blocks], counts),
    )


def _joined_masks(masks: Sequence[dict[str, Mask]], counts: Sequence[int]) -> dict[str, Mask]:
    names = dict.fromkeys(name for block in masks for name in block)
    return {
        name: np.concatenate(
            [block.get(name, np.zeros(count, np.bool_)) for block, count in zip(masks, counts, strict=True)]
        )
        for name in names
    }


def _joined_rows(rows: Sequence[Rows], counts: Sequence[int]) -> Rows:
    firsts = [0, *np.cumsum(counts).tolist()]
    names = dict.fromkeys(name for block in rows for name in block)
    return {
        name: np.concatenate(
            [block[name] + first for block, first in zip(rows, firsts, strict=False) if name in block]
        )
        for name in names
    }
