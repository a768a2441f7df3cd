"""How rows become files of a lake table: derived columns added, cut by partition, sorted, written.

Few rows become one file whatever partitions they belong to, for a file a partition would be many tiny ones: the
catalog notes every partition that such a file holds, so that each is found in it, and compaction deals it out later.
"""

from collections.abc import Callable, Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.capture.columns import Table
from chronolake.errors import LakeUnavailable, SchemaMismatch
from chronolake.lake.files import FileWriter, Piece
from chronolake.lake.keys import Keys, keys_of
from chronolake.lake.layout import partition_keys, partition_names
from chronolake.lake.order import parts_in_order
from chronolake.lake.records import DataFile, LakeTable
from chronolake.lake.staging import StagedBatch, read_staged

#: Rows of one commit, up to which they become one file. Sixteen files of 600 rows cost more to write and to read
#: than one of 10 000.
HOT_ROWS = 10_000


def staged_rows(batches: Sequence[StagedBatch]) -> pa.Table:
    """The rows of staged files of one table; columns that an older version did not stage are null.

    Raises:
        SchemaMismatch: a file is missing or broken, has a column that is not declared, or not the rows its batch
            promises.
    """
    return pa.concat_tables([_staged(batch) for batch in batches])


def _staged(batch: StagedBatch) -> pa.Table:
    rows, schema = read_staged(batch.file.path), batch.table.arrow_schema
    if unknown := sorted(set(rows.column_names) - set(schema.names)):
        raise SchemaMismatch(
            f"the staged file {batch.file.path} has columns that are not declared: {', '.join(unknown)}",
            hint="A newer chronolake staged it; upgrade this one.",
        )
    if rows.num_rows != batch.file.rows:
        raise SchemaMismatch(
            f"the staged file {batch.file.path} holds {rows.num_rows} rows, its batch promises {batch.file.rows}",
            hint="Run the same command again: the batch is staged anew from PostgreSQL.",
        )
    columns = [
        rows[field.name] if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, names=schema.names)


def lay_down(
    cursor: duckdb.DuckDBPyConnection,
    table: Table,
    held: LakeTable,
    rows: pa.Table,
    files: FileWriter,
    *,
    noted: Callable[[str, Keys], None] = lambda _path, _keys: None,
) -> list[DataFile]:
    """Write `rows` as files of the table. What they lack is derived where the registry says how, else null.

    `noted` is told of each hot file with its keys in the order of its rows: it is the next to be changed.

    Raises:
        LakeUnavailable: the table is partitioned in a way that is not ours.
        StorageFull: no room for the lake's files.
    """
    if held.layout is None:
        raise LakeUnavailable(
            f"{table.name} is partitioned in a way that chronolake does not know",
            hint="Set its partitions back to one of the layouts: docs/lake.md.",
        )
    if not rows.num_rows:
        return []
    whole, keys = _completed(cursor, table, rows, partition_keys(table, held.layout))
    pieces = _pieces(whole, table, keys, partition_names(held.layout))
    written = files.write(held, pieces)
    if rows.num_rows <= HOT_ROWS:
        noted(written[0].path, keys_of(pieces[0].part.rows()[table.key]))
    return written


def _pieces(
    rows: pa.Table, table: Table, keys: Sequence[pa.ChunkedArray], names: Sequence[str]
) -> list[Piece]:
    if rows.num_rows <= HOT_ROWS:
        (part,) = parts_in_order(rows, table, ())
        return [Piece(part, tuple(tuple(pc.unique(key).to_pylist()) for key in keys), ())]
    return [
        Piece(
            part,
            tuple((value,) for value in part.values),
            tuple(f"{name}={value}" for name, value in zip(names, part.values, strict=True)),
        )
        for part in parts_in_order(rows, table, keys)
    ]


def _completed(
    cursor: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table, keys: Sequence[str]
) -> tuple[pa.Table, list[pa.ChunkedArray]]:
    """`rows` with every declared column, and the value of each of the partition `keys` for each row."""
    derived = [column for column in table.columns if column.derived and column.name not in rows.column_names]
    expressions = [*keys, *(str(column.derived) for column in derived)]
    made: list[pa.ChunkedArray] = []
    if expressions:
        cursor.register("given", rows)
        try:
            listed = ", ".join(f"{expression} AS c{n}" for n, expression in enumerate(expressions))
            made = list(cursor.execute(f"SELECT {listed} FROM given").to_arrow_table().columns)
        finally:
            cursor.unregister("given")
    values = dict(zip([column.name for column in derived], made[len(keys) :], strict=True))
    columns = [
        rows[column.name]
        if column.name in rows.column_names
        else values[column.name].cast(column.arrow)
        if column.name in values
        else pa.nulls(rows.num_rows, column.arrow)
        for column in table.columns
    ]
    return pa.table(columns, names=[column.name for column in table.columns]), made[: len(keys)]
