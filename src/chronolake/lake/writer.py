"""How rows enter a lake table, within the transaction that the lake has open.

Every file comes out sorted. Where our own files can be handed over (`files.py`), DuckLake adopts them; else
each partition is inserted by itself, sorted, by an engine of one thread that keeps the order it is given.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.capture.columns import Table
from chronolake.errors import SchemaMismatch
from chronolake.lake import catalog
from chronolake.lake.engine import identifier, quoted
from chronolake.lake.files import FileWriter
from chronolake.lake.layout import partition_keys, partition_names
from chronolake.lake.order import parts_in_order
from chronolake.lake.schema import APPLIED_TABLE
from chronolake.lake.staging import StagedBatch
from chronolake.settings import Layout

#: Layouts whose files DuckLake can adopt. Not (year, month): of two transforms of one column it notes both as
#: the last one, and then prunes by the wrong value.
_ADOPTABLE = (Layout.BUCKET, Layout.BUCKET_YEAR, Layout.NONE)


def insert_files(
    cursor: duckdb.DuckDBPyConnection, batches: Sequence[StagedBatch], files: FileWriter | None
) -> None:
    """Add the rows of staged files of one table.

    Raises:
        SchemaMismatch: a file has not the declared columns, or not the rows its batch promises.
        StorageFull: no room for the lake's files.
    """
    table = batches[0].table
    by_columns: dict[tuple[str, ...], list[StagedBatch]] = {}
    for batch in batches:
        by_columns.setdefault(_columns_of(batch), []).append(batch)
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
        insert(cursor, table, rows, files)


def insert(cursor: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table, files: FileWriter | None) -> None:
    """Add `rows`. What they lack is derived where the registry says how, else null.

    `files` null: DuckDB writes the files, as where the lake does not lie in a folder of this machine.

    Raises:
        StorageFull: no room for the lake's files.
    """
    layout = catalog.layouts(cursor).get(table.name, Layout.NONE)
    names = partition_names(layout) if layout is not None else ()
    whole, keys = _completed(cursor, table, rows, partition_keys(table, layout) if layout is not None else ())
    parts = parts_in_order(whole, table, keys)
    if files is not None and layout in _ADOPTABLE:
        _adopt(cursor, table, files.write(table.name, parts, names), hive=bool(names))
        return
    columns = ", ".join(identifier(column.name) for column in table.columns)
    for part in parts:
        cursor.register("part", part.rows())
        try:
            cursor.execute(f"INSERT INTO lake.{table.name} ({columns}) SELECT {columns} FROM part")
        finally:
            cursor.unregister("part")


def _adopt(cursor: duckdb.DuckDBPyConnection, table: Table, paths: Sequence[Path], *, hive: bool) -> None:
    """Make files in the lake's folder files of the lake; DuckLake owns them from the commit on."""
    for path in paths:
        cursor.execute(
            f"CALL ducklake_add_data_files('lake', {quoted(table.name)}, {quoted(str(path))},"
            # A newer version's columns are null here. What looks like a partition further up the path is none.
            f" allow_missing => true, ignore_extra_columns => true, hive_partitioning => {hive})"
        )


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


def record(cursor: duckdb.DuckDBPyConnection, batches: Sequence[StagedBatch]) -> None:
    """Write down that `batches` are applied."""
    if not batches:
        return
    values: list[Any] = []
    for batch in batches:
        values += [batch.batch_id, batch.table.name, batch.message_lsn, batch.file.rows]
    rows = ", ".join(["(?, ?, ?, ?, now())"] * len(batches))
    cursor.execute(f"INSERT INTO lake.{APPLIED_TABLE} VALUES {rows}", values)


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
