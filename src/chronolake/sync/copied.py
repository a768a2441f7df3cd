"""Rows as COPY's binary format has them become Arrow columns, many at once: numpy walks all rows, Python none.

A row's cells have the form that the stream's have, but for the byte that tells their kind; they are read by the same
code, so that a copy and the stream cannot differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from psycopg import Connection, sql

from chronolake.capture.columns import Table
from chronolake.errors import DecodeError
from chronolake.oltp import Database, copy_out, insert_lsn
from chronolake.oltp.replication import lsn_of
from chronolake.sync.arrays import read_column
from chronolake.sync.cells import BINARY, NULL, Buffer, Cells, Ints, refuse

#: Rows that are walked side by side: below, numpy's cost per call counts; above, they leave the processor's caches.
BLOCK_ROWS = 16_384
#: And so many bytes of them, for rows with long texts; Arrow counts a text's place in 31 bits.
BLOCK_BYTES = 64 << 20
_NO_TYPES: Mapping[int, int] = {}


@dataclass(frozen=True)
class Unfit:
    """A row that the lake cannot take: the value of `column` does not fit the lake's type."""

    column: str
    row: bytes


@dataclass(frozen=True)
class Copied:
    """Rows in the table's Arrow schema, and those that the lake cannot take."""

    rows: pa.Table
    unfit: tuple[Unfit, ...]


def read_tuples(table: Table, type_oids: Mapping[str, int], tuples: Sequence[bytes]) -> Copied:
    """Read rows that have the columns of `table.stored`, whose PostgreSQL types are `type_oids`.

    Raises:
        DecodeError: a row is broken, or there is no way from a column's type to the registry's.
    """
    found, unfit, start = [table.arrow_schema.empty_table()], [], 0
    lengths = np.fromiter(map(len, tuples), np.int64, len(tuples))
    totals = np.cumsum(lengths)
    while start < len(tuples):
        before = totals[start - 1] if start else 0
        end = int(np.searchsorted(totals, before + BLOCK_BYTES, side="right"))
        end = min(max(end, start + 1), start + BLOCK_ROWS)
        rows, bad = _block(table, type_oids, tuples[start:end], lengths[start:end])
        if bad:
            unfit += [Unfit(column, tuples[start + row]) for row, column in sorted(bad.items())]
            fits = np.ones(end - start, np.bool_)
            fits[list(bad)] = False
            rows = rows.filter(pa.array(fits))
        # The schema's promises hold for the rows that are left.
        found.append(pa.Table.from_batches([pa.record_batch(rows.columns, schema=table.arrow_schema)]))
        start = end
    return Copied(pa.concat_tables(found), tuple(unfit))


def sent_types(
    conn: Connection, table: Table, types: Mapping[int, int], *, schema: str | None = None
) -> dict[str, int]:
    """The types that rows of a table are sent as: `types` maps its user-defined ones to built-in ones of their form."""
    found = copy_out.type_oids(conn, table, schema=schema)
    return {name: types.get(oid, oid) for name, oid in found.items()}


def rows_of_batch(
    database: Database, table: Table, batch_id: int, types: Mapping[int, int] = _NO_TYPES
) -> pa.Table:
    """The rows of one batch as they are now; `types` as in `sent_types`."""
    return _read(database, table, copy_out.of_batch(batch_id), types)[0]


def rows_of_keys(
    database: Database, table: Table, keys: pa.ChunkedArray, types: Mapping[int, int] = _NO_TYPES
) -> tuple[pa.Table, int]:
    """The rows of these keys as they are now, and an LSN before which all that they hold was committed."""
    return _read(database, table, copy_out.of_keys(table, keys.to_pylist()), types)


def _read(
    database: Database, table: Table, where: sql.Composable, types: Mapping[int, int]
) -> tuple[pa.Table, int]:
    found = [table.arrow_schema.empty_table()]
    with database.connection() as conn:
        oids = sent_types(conn, table, types)
        # Rows that the lake cannot take are told of where the stream brings them.
        found += [
            read_tuples(table, oids, tuples).rows
            for tuples in copy_out.tuples(conn, table, where, piece_rows=4 * BLOCK_ROWS)
        ]
        lsn = lsn_of(insert_lsn(conn))
    return pa.concat_tables(found), lsn


def _block(
    table: Table, type_oids: Mapping[str, int], tuples: Sequence[bytes], lengths: Ints
) -> tuple[pa.RecordBatch, dict[int, str]]:
    buffer = Buffer(tuples)
    ends = np.cumsum(lengths)
    at = ends - lengths
    refuse(lengths < 2, "a row ends within its header")
    refuse(buffer.words(at) >> 48 != len(table.stored), "a row has another number of columns")
    at = at + 2
    arrays: list[pa.Array] = []
    bad: dict[int, str] = {}
    for column in table.stored:
        refuse(at + 4 > ends, "a row ends too early")
        sizes = (buffer.words(at) >> 32).astype(np.uint32).view(np.int32).astype(np.int64)
        null = sizes < 0
        sizes[null] = 0
        nulls = int(np.count_nonzero(null))
        refuse(at + 4 + sizes > ends, "a value goes on after its row's end")
        cells = Cells(
            buffer=buffer,
            kinds=np.where(null, NULL, BINARY).astype(np.uint8),
            uniform=BINARY if not nulls else NULL if nulls == len(tuples) else None,
            starts=at + 4,
            lengths=sizes,
        )
        try:
            array, unfit = read_column(cells, type_oids[column.name], column.arrow)
        except DecodeError as error:
            raise DecodeError(
                error.message, hint=error.hint, **(error.facts | {"column": column.name})
            ) from error
        if unfit is not None:
            for row in np.flatnonzero(unfit).tolist():
                bad.setdefault(row, column.name)
        arrays.append(array)
        at = at + 4 + sizes
    refuse(at != ends, "a row goes on after its end")
    return pa.record_batch(arrays, names=[column.name for column in table.stored]), bad
