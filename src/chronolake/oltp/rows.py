"""Bulk rows of the synced tables: Arrow in, what was newly stored out."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, Cursor, sql
from psycopg.errors import UniqueViolation
from pyarrow import csv

from chronolake.capture.columns import Table

#: COPY's binary format: an 11-byte signature and two 4-byte words, then for each row of one uuid a 2-byte
#: column count, a 4-byte length and 16 bytes (PostgreSQL documentation, "COPY", Binary Format).
_COPY_HEADER_BYTES = 19
_COPY_ROW = np.dtype([("columns", ">i2"), ("length", ">i4"), ("id", "V16")])
_COPY_TRAILER_BYTES = 2
#: Rows turned into CSV at a time; a bound on memory.
_CSV_ROWS = 20_000


def insert_new(conn: Connection, table: Table, rows: pa.Table) -> pa.Table:
    """Store `rows` (the table's Arrow schema) less those stored already; exactly the newly stored ones.

    Where the input holds an id twice, its first row is stored. The order of `rows` is kept.

    Most batches are all new, and for those COPY into the table itself costs half of what telling new rows from
    old ones does. The first row that is stored already ends that attempt, and the batch goes the other way.

    Raises:
        psycopg.Error: PostgreSQL refused; the transaction is to be rolled back.
    """
    if not rows.num_rows:
        return rows
    rows = _less_repeated(rows, table.key)
    try:
        with conn.transaction(), conn.cursor() as cursor:
            _copy(cursor, table, table.postgres_table, rows)
    except UniqueViolation:
        return _insert_less_stored(conn, table, rows)
    return rows


def _insert_less_stored(conn: Connection, table: Table, rows: pa.Table) -> pa.Table:
    names = _names(table)
    target = sql.Identifier(table.postgres_table)
    with conn.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA"
            ).format(names, target)
        )
        _copy(cursor, table, "incoming", rows)
        answer = bytearray()
        statement = sql.SQL(
            "COPY (INSERT INTO {} ({}) SELECT {} FROM incoming ON CONFLICT DO NOTHING RETURNING {})"
            " TO STDOUT (FORMAT binary)"
        ).format(target, names, names, sql.Identifier(table.key))
        with cursor.copy(statement) as copy:
            for piece in copy:
                answer += piece
        cursor.execute("DROP TABLE incoming")
    stored = np.frombuffer(answer[_COPY_HEADER_BYTES:-_COPY_TRAILER_BYTES], _COPY_ROW)["id"]
    given = _id_bytes(rows[table.key])
    return rows.filter(pc.is_in(_binary(given), value_set=_binary(stored)))


def _copy(cursor: Cursor, table: Table, target: str, rows: pa.Table) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(target), _names(table))
    with cursor.copy(statement) as copy, ThreadPoolExecutor(max_workers=1) as ahead:
        # The next piece is made while PostgreSQL takes this one.
        batches = iter(rows.to_batches(max_chunksize=_CSV_ROWS))
        made = ahead.submit(_csv, table, next(batches))
        for batch in batches:
            piece, made = made.result(), ahead.submit(_csv, table, batch)
            copy.write(piece)
        copy.write(made.result())


def _names(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in table.stored)


def _less_repeated(rows: pa.Table, key: str) -> pa.Table:
    """The rows whose id no earlier row has."""
    # Hashing tells whether any comes again, at a tenth of what sorting costs.
    storage = [chunk.storage for chunk in rows[key].chunks]
    if pc.count_distinct(pa.chunked_array(storage, pa.binary(16))).as_py() == rows.num_rows:
        return rows
    pairs = _id_bytes(rows[key]).view(np.uint64).reshape(-1, 2)
    order = np.lexsort((np.arange(len(pairs)), pairs[:, 1], pairs[:, 0]))
    again = np.zeros(len(pairs), dtype=bool)
    again[order[1:]] = (pairs[order[1:]] == pairs[order[:-1]]).all(axis=1)
    return rows.filter(pa.array(~again)) if again.any() else rows


def _binary(ids: np.ndarray[Any, Any]) -> pa.FixedSizeBinaryArray:
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ids), [None, pa.py_buffer(ids.tobytes())])


def _id_bytes(ids: pa.ChunkedArray | pa.Array) -> np.ndarray[Any, Any]:
    """The 16 bytes of each id, one after the other, as `V16`."""
    array = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    storage = array.storage
    start = storage.offset * 16
    return np.frombuffer(storage.buffers()[1], np.uint8)[start : start + len(storage) * 16].view("V16")


def _csv(table: Table, batch: pa.RecordBatch) -> bytes:
    """A record batch in the CSV that COPY reads: null is an empty field, an empty text is quoted."""
    arrays = [_csv_column(batch[column.name]) for column in table.stored]
    sink = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=False, batch_size=_CSV_ROWS)
    csv.write_csv(pa.Table.from_arrays(arrays, names=[c.name for c in table.stored]), sink, options)
    return bytes(sink.getvalue())


def _csv_column(array: pa.Array) -> pa.Array:
    if array.type == pa.uuid():
        return _hexadecimal(_id_bytes(array).tobytes(), 32)
    if pa.types.is_binary(array.type):
        texts = [None if value is None else "\\x" + value.hex() for value in array.to_pylist()]
        return (
            pa.array(texts, pa.string())
            if array.null_count < len(array)
            else pa.nulls(len(array), pa.string())
        )
    return array


def _hexadecimal(data: bytes, width: int) -> pa.Array:
    """Texts of `width` hexadecimal digits each, without a loop over rows."""
    digits = data.hex().encode()
    offsets = np.arange(0, len(digits) + 1, width, dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets.tobytes()), pa.py_buffer(digits)
    )
