"""How rows become files of a lake table: derived columns added, cut by partition, sorted, written.

Few rows become one file whatever partitions they belong to, for a file a partition would be many tiny ones: the
catalog notes every partition that such a file holds, so that each is found in it, and compaction deals it out later.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chronolake.capture.columns import Table
from chronolake.errors import LakeUnavailable, SchemaMismatch
from chronolake.lake.commit import DataFile, LakeTable
from chronolake.lake.files import FileWriter, Piece
from chronolake.lake.layout import partition_keys, partition_names
from chronolake.lake.order import parts_in_order
from chronolake.lake.staging import StagedBatch

#: Rows of one commit, up to which they become one file. Sixteen files of 600 rows cost more to write and to read
#: than one of 10 000.
HOT_ROWS = 10_000


def staged_rows(batches: Sequence[StagedBatch]) -> pa.Table:
    """The rows of staged files of one table; columns that an older version did not stage are null.

    Raises:
        SchemaMismatch: a file has not the declared columns, or not the rows its batch promises.
    """
    table = batches[0].table
    by_columns: dict[tuple[str, ...], list[StagedBatch]] = {}
    for batch in batches:
        by_columns.setdefault(_columns_of(batch), []).append(batch)
    found = []
    for names, group in by_columns.items():
        source = pq.ParquetDataset([batch.file.path for batch in group], partitioning=None)
        rows = source.read(columns=list(names))
        promised = sum(batch.file.rows for batch in group)
        if rows.num_rows != promised:
            raise SchemaMismatch(
                f"staged files hold {rows.num_rows} rows, their batches promise {promised}",
                hint="Run the same command again: the batches are staged anew from PostgreSQL.",
                files=[str(batch.file.path) for batch in group],
            )
        found.append(rows)
    if len(found) == 1:
        return found[0]
    schema = table.arrow_schema
    return pa.concat_tables(
        [
            pa.Table.from_arrays(
                [
                    rows[field.name]
                    if field.name in rows.column_names
                    else pa.nulls(rows.num_rows, field.type)
                    for field in schema
                ],
                names=schema.names,
            )
            for rows in found
        ]
    )


def lay_down(
    cursor: duckdb.DuckDBPyConnection, table: Table, held: LakeTable, rows: pa.Table, files: FileWriter
) -> list[DataFile]:
    """Write `rows` as files of the table. What they lack is derived where the registry says how, else null.

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
    return files.write(held, _pieces(whole, table, keys, partition_names(held.layout)))


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


def _columns_of(batch: StagedBatch) -> tuple[str, ...]:
    """The columns of a staged file, which an older version may have laid down with fewer.

    Raises:
        SchemaMismatch: the file is missing, is no Parquet, or has a column that is not declared.
    """
    try:
        names = tuple(pq.read_schema(batch.file.path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise SchemaMismatch(f"the staged file {batch.file.path} cannot be read: {error}") from error
    declared = set(batch.table.arrow_schema.names)
    if unknown := sorted(set(names) - declared):
        raise SchemaMismatch(
            f"the staged file {batch.file.path} has columns that are not declared: {', '.join(unknown)}",
            hint="A newer chronolake staged it; upgrade this one.",
        )
    return names
