"""Rows of PostgreSQL's tables as columns, read by the same decoder that reads the stream.

So a value means the same whichever road it came by, and there is one place to be wrong in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from psycopg import Connection, sql

from chronolake.capture.columns import Table
from chronolake.errors import DecodeError
from chronolake.oltp import copies
from chronolake.sync.arrays import read_column
from chronolake.sync.cells import BINARY, NULL, Buffer, Cells, Ints, refuse

_TEXT_OID = 25
#: Rows that are decoded side by side. Measured: a third cheaper than 50 000, which leave the processor's caches.
_BLOCK_ROWS = 8192
#: Where no column has a type that PostgreSQL's user defined.
_NO_TYPES: Mapping[int, int] = {}
#: Who wrote the row and where it lies. A change of a row is a new one, elsewhere.
_VERSION = sql.SQL("xmin::text || ctid::text")


@dataclass(frozen=True)
class Misfit:
    """A row that the lake cannot take: the value of `column` does not fit the lake's type, and is null in `values`."""

    column: str
    values: Mapping[str, Any]
    raw: bytes


@dataclass(frozen=True)
class Scanned:
    """Rows in the table's Arrow schema, less its promises: a value that the lake's type cannot hold is null.

    `unfit` names, by column, the rows that have such a value, and `raw` has their bytes. `versions` tells each row's
    version, where it was asked for: PostgreSQL never gives two versions of a row the same.
    """

    table: Table
    rows: pa.Table
    unfit: Mapping[str, Ints]
    raw: Mapping[int, bytes]
    versions: Sequence[str]

    @property
    def fitting(self) -> pa.Table:
        """The rows that the lake can take, in the table's own schema."""
        rows = self.rows
        if self.raw:
            fits = np.ones(rows.num_rows, np.bool_)
            fits[list(self.raw)] = False
            rows = rows.filter(pa.array(fits))
        return pa.Table.from_arrays(rows.columns, schema=self.table.arrow_schema)

    @property
    def misfits(self) -> list[Misfit]:
        """The rows that the lake cannot take."""
        first: dict[int, str] = {}
        for name in self.rows.column_names:
            for row in self.unfit.get(name, ()):
                first.setdefault(int(row), name)
        return [
            Misfit(first[row], self.rows.slice(row, 1).to_pylist()[0], self.raw[row]) for row in sorted(first)
        ]


def whole(
    conn: Connection,
    table: Table,
    *,
    blocks: tuple[int | None, int | None] = (None, None),
    types: Mapping[int, int] = _NO_TYPES,
    schema: str | None = None,
) -> Iterator[Scanned]:
    """All rows that `conn` sees, or those in some `blocks` of the table's file (first, and first that is not meant).

    The table is that of `schema`, or the first of its name where questions look. `types` maps user-defined types to
    built-in ones of the same form.

    Raises:
        DatabaseError: PostgreSQL refused, or the connection broke.
        DecodeError: a column is of a type from which there is no way to the lake's.
    """
    bounds: list[sql.Composable] = [
        sql.SQL("ctid {} {}::tid").format(sql.SQL(sign), f"({block},0)")
        for sign, block in zip((">=", "<"), blocks, strict=True)
        if block is not None
    ]
    yield from _read(conn, table, sql.SQL(" AND ").join(bounds or [sql.SQL("true")]), types, schema)


def of_batch(
    conn: Connection, table: Table, batch_id: int, *, types: Mapping[int, int] = _NO_TYPES
) -> Scanned:
    """The rows of one batch that `conn` sees; errors and `types` as in `whole`."""
    where = sql.SQL("batch_id = {}").format(batch_id)
    return _joined(table, list(_read(conn, table, where, types)))


def of_keys(
    conn: Connection, table: Table, keys: Sequence[str], *, types: Mapping[int, int] = _NO_TYPES
) -> Scanned:
    """The rows of `keys` that `conn` sees, with their versions; keys are written as PostgreSQL writes them.

    Errors and `types` as in `whole`.
    """
    where = sql.SQL("{} = ANY({}::{})").format(
        sql.Identifier(table.key), list(keys), sql.SQL(table[table.key].postgres + "[]")
    )
    return _joined(table, list(_read(conn, table, where, types, versions=True)))


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


def _read(
    conn: Connection,
    table: Table,
    where: sql.Composable,
    types: Mapping[int, int],
    schema: str | None = None,
    *,
    versions: bool = False,
) -> Iterator[Scanned]:
    target = sql.Identifier(*([schema] if schema else []), table.postgres_table)
    described = conn.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(target)).description or ()
    oids = {column.name: types.get(column.type_code, column.type_code) for column in described}
    # A column that PostgreSQL has not yet is null, as in the lake.
    present = [column for column in table.stored if column.name in oids]
    query = sql.SQL("SELECT {}{} FROM {} WHERE {}").format(
        sql.SQL(", ").join(sql.Identifier(column.name) for column in present),
        sql.SQL(", ") + _VERSION if versions else sql.SQL(""),
        target,
        where,
    )
    wanted = [(column.name, oids[column.name], column.arrow) for column in present]
    if versions:
        wanted.append(("", _TEXT_OID, pa.string()))
    for messages in copies.copied(conn, query):
        yield _joined(
            table,
            [
                _block(table, messages[start : start + _BLOCK_ROWS], wanted)
                for start in range(0, len(messages), _BLOCK_ROWS)
            ],
        )


def _block(
    table: Table, messages: Sequence[bytes], wanted: Sequence[tuple[str, int, pa.DataType]]
) -> Scanned:
    columns, unfit = decode(messages, wanted)
    told = columns.pop("").to_pylist() if "" in columns else []
    schema = _schema(table)
    arrays = [columns.get(field.name, pa.nulls(len(messages), field.type)) for field in schema]
    raw = {int(row): messages[row] for rows in unfit.values() for row in rows}
    return Scanned(table, pa.Table.from_arrays(arrays, schema=schema), unfit, raw, told)


def _joined(table: Table, pieces: Sequence[Scanned]) -> Scanned:
    unfit: dict[str, Ints] = {}
    raw: dict[int, bytes] = {}
    base = 0
    for piece in pieces:
        for name, rows in piece.unfit.items():
            unfit[name] = np.concatenate([unfit.get(name, np.zeros(0, np.int64)), rows + base])
        raw |= {row + base: message for row, message in piece.raw.items()}
        base += piece.rows.num_rows
    rows = pa.concat_tables([_schema(table).empty_table(), *(piece.rows for piece in pieces)])
    return Scanned(table, rows, unfit, raw, [version for piece in pieces for version in piece.versions])


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
    at = ends - lengths
    buffer = Buffer(messages)
    refuse(lengths < 2, "a row ends within its header")
    refuse(buffer.words(at) >> np.uint64(48) != len(wanted), "a row has another number of columns")
    at = at + 2
    columns: dict[str, pa.Array] = {}
    unfit: dict[str, Ints] = {}
    for name, oid, arrow in wanted:
        refuse(at + 4 > ends, "a row ends too early")
        sizes = (buffer.words(at) >> np.uint64(32)).astype(np.uint32).view(np.int32).astype(np.int64)
        absent = sizes < 0
        nulls = int(np.count_nonzero(absent))
        kinds = np.where(absent, NULL, BINARY).astype(np.uint8)
        sizes[absent] = 0
        at = at + 4
        refuse(at + sizes > ends, "a value goes on after its row's end")
        uniform = BINARY if not nulls else NULL if nulls == len(messages) else None
        try:
            columns[name], bad = read_column(Cells(buffer, kinds, uniform, at, sizes), oid, arrow)
        except DecodeError as error:
            raise DecodeError(error.message, hint=error.hint, **(error.facts | {"column": name})) from error
        at = at + sizes
        if bad is not None and bad.any():
            unfit[name] = np.flatnonzero(bad)
    refuse(at != ends, "a row goes on after its end")
    return columns, unfit
