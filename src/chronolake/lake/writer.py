"""How rows enter a lake table, within the transaction that the lake has open.

Every file comes out sorted. DuckDB deals inserted rows out to partitions through small buffers, which lets
some rows of a partition overtake others, and each of its threads writes a run of its own. So rows are sorted
here and each partition is inserted by itself, by an engine of one thread that keeps the order it is given.
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.capture.columns import Table
from chronolake.errors import SchemaMismatch
from chronolake.lake import catalog
from chronolake.lake.engine import identifier
from chronolake.lake.layout import partition_keys
from chronolake.lake.order import parts_in_order
from chronolake.lake.schema import APPLIED_TABLE
from chronolake.lake.staging import StagedBatch
from chronolake.settings import Layout


def insert_files(cursor: duckdb.DuckDBPyConnection, batches: Sequence[StagedBatch]) -> None:
    """Add the rows of staged files of one table.

    Raises:
        SchemaMismatch: a file has not the declared columns, or not the rows its batch promises.
    """
    table = batches[0].table
    by_columns: dict[tuple[str, ...], list[StagedBatch]] = {}
    for batch in batches:
        by_columns.setdefault(_columns_of(batch), []).append(batch)
    for names, group in by_columns.items():
        source = pq.ParquetDataset([batch.file.path for batch in group], partitioning=None)
        count = insert(cursor, table, source.read(columns=list(names)))
        promised = sum(batch.file.rows for batch in group)
        if count != promised:
            raise SchemaMismatch(
                f"staged files hold {count} rows, their batches promise {promised}",
                hint="Run the same command again: the batches are staged anew from PostgreSQL.",
                files=[str(batch.file.path) for batch in group],
            )


def insert(cursor: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> int:
    """Add `rows` and return how many. What they lack is derived where the registry says how, else null."""
    statement = f"INSERT INTO lake.{table.name} {_selected(table, rows.column_names)} FROM part"
    count = 0
    for part in _ahead(parts_in_order(rows, table, _partitions(cursor, table, rows))):
        cursor.register("part", part)
        try:
            inserted = cursor.execute(statement).fetchone()
        finally:
            cursor.unregister("part")
        count += int(inserted[0]) if inserted else 0
    return count


def _ahead(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same, each part being gathered in a thread beside while the one before it is written."""
    with ThreadPoolExecutor(1, "gather") as pool:
        coming = pool.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = pool.submit(next, parts, None)
            yield part


def _partitions(cursor: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> list[pa.ChunkedArray]:
    """The partition values of each row, as the lake's layout makes them; none where it has no partitions."""
    layout = catalog.layouts(cursor).get(table.name, Layout.NONE)
    keys = partition_keys(table, layout) if layout is not None else ()
    if not keys:
        return []
    cursor.register("keyed", rows.select([table.bucket_by, table.time]))
    try:
        listed = ", ".join(f"{key} AS key_{number}" for number, key in enumerate(keys))
        found = cursor.execute(f"SELECT {listed} FROM keyed").to_arrow_table()
    finally:
        cursor.unregister("keyed")
    return list(found.columns)


def record(cursor: duckdb.DuckDBPyConnection, batches: Sequence[StagedBatch]) -> None:
    """Write down that `batches` are applied."""
    if not batches:
        return
    values: list[Any] = []
    for batch in batches:
        values += [batch.batch_id, batch.table.name, batch.message_lsn, batch.file.rows]
    rows = ", ".join(["(?, ?, ?, ?, now())"] * len(batches))
    cursor.execute(f"INSERT INTO lake.{APPLIED_TABLE} VALUES {rows}", values)


def _selected(table: Table, names: Collection[str]) -> str:
    """The column list of an INSERT and the SELECT that fills it."""
    values = [
        identifier(column.name) if column.name in names else column.derived or f"NULL::{column.lake}"
        for column in table.columns
    ]
    columns = ", ".join(identifier(column.name) for column in table.columns)
    return f"({columns}) SELECT {', '.join(values)}"


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
