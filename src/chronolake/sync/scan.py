"""Rows of PostgreSQL's tables as columns, read by the same decoder that reads the stream.

So a value means the same whichever road it came by, and there is one place to be wrong in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from psycopg import Connection, sql

from chronolake.capture.columns import Table
from chronolake.errors import DecodeError
from chronolake.oltp import copies
from chronolake.sync.arrays import read_column
from chronolake.sync.cells import BINARY, NULL, Buffer, Cells, Ints

_TEXT_OID = 25
#: Rows that are decoded side by side. Measured: a third cheaper than 50 000, which leave the processor's caches.
_BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Scanned:
    """Rows in the table's Arrow schema, less its promises: a value that the lake's type cannot hold is null.

    `unfit` names, by column, the rows that have such a value. `versions` tells each row's version, where it was asked
    for: PostgreSQL never gives two versions of a row the same.
    """

    rows: pa.Table
    unfit: dict[str, Ints]
    versions: list[str]


def whole(conn: Connection, table: Table, pages: tuple[int, int | None] | None = None) -> Iterator[Scanned]:
    """All rows that `conn` sees, or those in some of the table's pages (first, and first that is not meant).

    Raises:
        DatabaseError: PostgreSQL refused, or the connection broke.
        DecodeError: a column is of a type from which there is no way to the lake's.
    """
    where: sql.Composable = sql.SQL("")
    if pages is not None:
        first, end = pages
        where = sql.SQL(" WHERE ctid >= {}::tid").format(f"({first},0)")
        if end is not None:
            where += sql.SQL(" AND ctid < {}::tid").format(f"({end},0)")
    yield from _read(conn, table, where, versions=False)


def of_keys(conn: Connection, table: Table, keys: Sequence[str]) -> Scanned:
    """The rows of `keys` that `conn` sees, with their versions; keys are written as PostgreSQL writes them.

    Raises:
        DatabaseError: PostgreSQL refused, or the connection broke.
    """
    where = sql.SQL(" WHERE {} = ANY({}::{})").format(
        sql.Identifier(table.key), list(keys), sql.SQL(table[table.key].postgres + "[]")
    )
    return _joined(_schema(table), list(_read(conn, table, where, versions=True)))


def versions_of(conn: Connection, table: Table, keys: Sequence[str]) -> dict[str, str]:
    """The version of each of `keys` that has a row, in the eyes of `conn`."""
    found = conn.execute(
        sql.SQL("SELECT {key}::text, {version} FROM {table} WHERE {key} = ANY(%s::{kind})").format(
            key=sql.Identifier(table.key),
            version=_VERSION,
            table=sql.Identifier(table.postgres_table),
            kind=sql.SQL(table[table.key].postgres + "[]"),
        ),
        [list(keys)],
    )
    return {row[0]: row[1] for row in found}


#: Who wrote the row and where it lies. A change of a row is a new one, elsewhere.
_VERSION = sql.SQL("xmin::text || ctid::text")


def _read(conn: Connection, table: Table, where: sql.Composable, *, versions: bool) -> Iterator[Scanned]:
    target = sql.Identifier(table.postgres_table)
    described = conn.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(target)).description or ()
    oids = {column.name: column.type_code for column in described}
    # A column that PostgreSQL has not yet is null, as in the lake.
    present = [column for column in table.stored if column.name in oids]
    query = sql.SQL("SELECT {}{} FROM {}{}").format(
        sql.SQL(", ").join(sql.Identifier(column.name) for column in present),
        sql.SQL(", ") + _VERSION if versions else sql.SQL(""),
        target,
        where,
    )
    schema = _schema(table)
    wanted = [(column.name, oids[column.name], column.arrow) for column in present]
    for messages in copies.copied(conn, query):
        blocks = [
            _block(messages[start : start + _BLOCK_ROWS], wanted, schema, versions=versions)
            for start in range(0, len(messages), _BLOCK_ROWS)
        ]
        yield _joined(schema, blocks)


def _block(
    messages: Sequence[bytes],
    wanted: Sequence[tuple[str, int, pa.DataType]],
    schema: pa.Schema,
    *,
    versions: bool,
) -> Scanned:
    columns, unfit = decode(messages, [*wanted, *([("", _TEXT_OID, pa.string())] if versions else [])])
    told = columns.pop("").to_pylist() if versions else []
    arrays = [columns.get(field.name, pa.nulls(len(messages), field.type)) for field in schema]
    return Scanned(pa.Table.from_arrays(arrays, schema=schema), unfit, told)


def _joined(schema: pa.Schema, pieces: Sequence[Scanned]) -> Scanned:
    unfit: dict[str, Ints] = {}
    base = 0
    for piece in pieces:
        for name, rows in piece.unfit.items():
            unfit[name] = np.concatenate([unfit.get(name, np.zeros(0, np.int64)), rows + base])
        base += piece.rows.num_rows
    return Scanned(
        pa.concat_tables([schema.empty_table(), *(piece.rows for piece in pieces)]),
        unfit,
        [version for piece in pieces for version in piece.versions],
    )


def _schema(table: Table) -> pa.Schema:
    return pa.schema([pa.field(column.name, column.arrow) for column in table.stored])


def decode(
    messages: Sequence[bytes], wanted: Sequence[tuple[str, int, pa.DataType]]
) -> tuple[dict[str, pa.Array], dict[str, Ints]]:
    """The columns (name, PostgreSQL's type, Arrow type) of rows in COPY's binary form.

    And by column, the rows whose value the Arrow type cannot hold.

    Raises:
        DecodeError: a row is broken, or there is no way from a type to the other.
    """
    lengths = np.fromiter(map(len, messages), np.int64, len(messages))
    ends = np.cumsum(lengths)
    buffer = Buffer(messages)
    # A count of columns comes first, which is the same in every row.
    at = ends - lengths + 2
    columns: dict[str, pa.Array] = {}
    unfit: dict[str, Ints] = {}
    for name, oid, arrow in wanted:
        sizes = (buffer.words(at) >> np.uint64(32)).astype(np.uint32).view(np.int32).astype(np.int64)
        absent = sizes < 0
        some = bool(absent.any())
        kinds = np.where(absent, NULL, BINARY).astype(np.uint8)
        sizes[absent] = 0
        at = at + 4
        cells = Cells(buffer, kinds, None if some else BINARY, at, sizes)
        at = at + sizes
        if (at > ends).any():
            raise DecodeError("a row ends within a value", column=name)
        columns[name], bad = read_column(cells, oid, arrow)
        if bad is not None and bad.any():
            unfit[name] = np.flatnonzero(bad)
    return columns, unfit
