"""A stretch of the stream: the transactions that go into one lake commit, as changes of tables.

Decoding and folding happen when the stretch is applied, table by table, so that many small transactions cost one call.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from chronolake import memory
from chronolake.capture.columns import TABLES, Table
from chronolake.lake import TableChanges
from chronolake.sync.fold import fold
from chronolake.sync.places import Places
from chronolake.sync.shapes import Reading, Shapes
from chronolake.sync.texts import read_texts
from chronolake.sync.transactions import Part, Segment, Transaction, Truncation
from chronolake.sync.tuples import Changes, decode_changes

#: The registry's tables by what PostgreSQL calls them.
BY_POSTGRES_NAME: dict[str, Table] = {table.postgres_table: table for table in TABLES.values()}


@dataclass(frozen=True)
class DeadLetter:
    """A change that the lake cannot take: `raw` is its message.

    `key` names its row as PostgreSQL does, and `payload` has what of it could be read.
    """

    table: Table
    kind: str
    reason: str
    raw: bytes
    key: str | None
    payload: Mapping[str, Any]


@dataclass
class Stretch:
    """Transactions in commit order, from right after one checkpoint up to `lsn`."""

    pieces: Callable[[Transaction], Iterator[tuple[Part, ...]]]
    shapes: Shapes
    lsn: int
    committed_at: datetime
    transactions: list[Transaction] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    tables: set[str] = field(default_factory=set)

    def add(self, transaction: Transaction) -> None:
        """Take one more transaction."""
        self.lsn, self.committed_at = transaction.lsn, transaction.committed_at
        if transaction.parts or transaction.spool is not None:
            self.transactions.append(transaction)
            self.rows += transaction.rows
            self.bytes += transaction.bytes
            self.tables |= touched(transaction)

    def changes(
        self, places: Places, bury: Callable[[DeadLetter, Transaction], None]
    ) -> Iterator[TableChanges]:
        """What the stretch did to each table, in pieces that fit into memory.

        `places` says which changes a table may have already. `bury` gets what the lake cannot take.
        """
        held: list[tuple[Transaction, tuple[Part, ...]]] = []
        for transaction in self.transactions:
            if transaction.spool is None:
                held.append((transaction, transaction.parts))
                continue
            # A huge transaction goes piece by piece, after all that came before it.
            yield from self._folded(held, places, bury)
            held = []
            try:
                for parts in self.pieces(transaction):
                    yield from self._folded([(transaction, parts)], places, bury)
                    memory.release()
            finally:
                transaction.spool.close()
        yield from self._folded(held, places, bury)

    def _folded(
        self,
        held: list[tuple[Transaction, tuple[Part, ...]]],
        places: Places,
        bury: Callable[[DeadLetter, Transaction], None],
    ) -> Iterator[TableChanges]:
        by_oid: dict[int, _OfTable] = {}
        for transaction, parts in held:
            batch_table = _batch_table(transaction)
            for part in parts:
                if isinstance(part, Truncation):
                    for oid in part.relation_oids:
                        if self.shapes.follows(oid, transaction.commit_lsn):
                            by_oid[oid] = _OfTable(truncated=True)
                elif part.relation.name != batch_table and self.shapes.follows(
                    part.relation.oid, transaction.commit_lsn
                ):
                    # Rows of a staged batch come by its file.
                    by_oid.setdefault(part.relation.oid, _OfTable()).segments.append((transaction, part))
        for oid, of_table in by_oid.items():
            name = self.shapes.name_of(oid)
            # Not of a table that is parked, or that nobody has copied yet: its changes will be in the copy.
            if name is None or not (of_table.truncated or of_table.segments):
                continue
            table = self.shapes.table(name)
            decoded = list(_decoded(table, self.shapes, of_table, bury))
            lsns = [transaction.commit_lsn for transaction, _ in of_table.segments]
            yield fold(
                table,
                decoded,
                truncated=of_table.truncated,
                careful=bool(lsns) and places.is_careful(table.name, min(lsns)),
            )


def touched(transaction: Transaction) -> set[str]:
    """The PostgreSQL tables that a transaction changes; of one that was streamed, all of them, to be safe."""
    if transaction.spool is not None:
        return set(BY_POSTGRES_NAME)
    names = {part.relation.name for part in transaction.parts if isinstance(part, Segment)}
    if any(isinstance(part, Truncation) for part in transaction.parts):
        return set(BY_POSTGRES_NAME)
    return names


@dataclass
class _OfTable:
    segments: list[tuple[Transaction, Segment]] = field(default_factory=list)
    truncated: bool = False


def _decoded(
    table: Table, shapes: Shapes, of_table: _OfTable, bury: Callable[[DeadLetter, Transaction], None]
) -> Iterator[Changes]:
    """Decode segment by segment; neighbours of one relation and form together."""
    run: list[tuple[Transaction, Segment]] = []
    for pair in of_table.segments:
        if run and (run[-1][1].relation != pair[1].relation or run[-1][1].streamed != pair[1].streamed):
            yield _decode_run(table, shapes, run, bury)
            run = []
        run.append(pair)
    if run:
        yield _decode_run(table, shapes, run, bury)


def _decode_run(
    table: Table,
    shapes: Shapes,
    run: list[tuple[Transaction, Segment]],
    bury: Callable[[DeadLetter, Transaction], None],
) -> Changes:
    relation, streamed = run[0][1].relation, run[0][1].streamed
    reading = shapes.reading(table.name, relation)
    messages = [message for _, segment in run for message in segment.messages]
    changes = decode_changes(relation, messages, reading.wanted, streamed=streamed, types=reading.types)
    dead = _dead(changes)
    if dead:
        owners = [transaction for transaction, segment in run for _ in segment.messages]
        for row, column in sorted(dead.items()):
            reason = f"the value of {column} does not fit the lake's type {reading.wanted[column]}"
            kind = chr(changes.kinds[row])
            [values] = (changes.old if kind == "D" else changes.new).slice(row, 1).to_pylist()
            key = values.get(_sent_name(reading, table.key))
            letter = DeadLetter(table, kind, reason, messages[row], None if key is None else str(key), values)
            bury(letter, owners[row])
        living = [message for row, message in enumerate(messages) if row not in dead]
        changes = decode_changes(relation, living, reading.wanted, streamed=streamed, types=reading.types)
    return _in_the_lakes_words(changes, reading, table)


def _in_the_lakes_words(changes: Changes, reading: Reading, table: Table) -> Changes:
    """The changes under the lake's names, with what rows of an older shape have in columns that came later."""
    if not reading.fills and all(name == lake for name, lake in reading.names.items()):
        return changes
    new, old = (
        rows.rename_columns([reading.names[name] for name in rows.column_names])
        for rows in (changes.new, changes.old)
    )
    for name, text in reading.fills.items():
        kind = table[name].arrow
        value, _ = read_texts((pa.array([text]), None), kind)
        filled = value.take(pa.array(np.zeros(len(changes), np.int64)))
        new = new.append_column(pa.field(name, kind), filled)
    unchanged = {reading.names[name]: mask for name, mask in changes.unchanged.items()}
    return replace(changes, new=new, old=old, unchanged=unchanged)


def _dead(changes: Changes) -> dict[int, str]:
    """The rows that hold a value which the lake's type cannot, and the first such column of each."""
    found: dict[int, str] = {}
    for by_column in (changes.unrepresentable, changes.old_unrepresentable):
        for column, rows in by_column.items():
            for row in np.asarray(rows).tolist():
                found.setdefault(row, column)
    return found


def _batch_table(transaction: Transaction) -> str | None:
    """The PostgreSQL table whose rows a dual-write transaction staged; null where it staged none."""
    name = transaction.batch and transaction.batch.get("table")
    return TABLES[str(name)].postgres_table if name in TABLES else None


def _sent_name(reading: Reading, lake_name: str) -> str:
    """What PostgreSQL calls the column that the lake has under this name."""
    return next((name for name, lake in reading.names.items() if lake == lake_name), lake_name)
