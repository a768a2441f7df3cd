"""How rows enter a lake table, within the transaction that the lake has open.

Every file comes out sorted. DuckLake sorts what is inserted, since the tables are SORTED BY, but DuckDB deals
rows out to partitions through small buffers, which lets some rows of a partition overtake others. So rows are
gathered in a temporary table and each partition is inserted by itself, by an engine of one thread.
"""

from collections.abc import Collection, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.capture.columns import Table
from chronolake.errors import SchemaMismatch
from chronolake.lake import catalog
from chronolake.lake.engine import identifier, quoted
from chronolake.lake.layout import partition_keys
from chronolake.lake.schema import APPLIED_TABLE
from chronolake.lake.staging import StagedBatch
from chronolake.settings import Layout

_GATHERED = "temp.main.gathered"


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
        files = ", ".join(quoted(str(batch.file.path)) for batch in group)
        count = insert(cursor, table, names, f"read_parquet([{files}], hive_partitioning = false)")
        promised = sum(batch.file.rows for batch in group)
        if count != promised:
            raise SchemaMismatch(
                f"staged files hold {count} rows, their batches promise {promised}",
                hint="Run the same command again: the batches are staged anew from PostgreSQL.",
                files=[str(batch.file.path) for batch in group],
            )


def insert(cursor: duckdb.DuckDBPyConnection, table: Table, names: Collection[str], source: str) -> int:
    """Add the rows of `source`, which has the columns `names`, and return how many.

    What the source lacks is derived where the registry says how, else null.
    """
    layout = catalog.layouts(cursor).get(table.name, Layout.NONE)
    keys = partition_keys(table, layout) if layout is not None else ()
    if not keys:
        return _count(cursor, f"INSERT INTO lake.{table.name} {_selected(table, names)} FROM {source}")
    key_names = [f"partition_key_{number}" for number in range(len(keys))]
    key_values = ", ".join(f"{key} AS {name}" for key, name in zip(keys, key_names, strict=True))
    cursor.execute(f"CREATE TEMP TABLE gathered AS SELECT *, {key_values} FROM {source}")
    try:
        listed = ", ".join(key_names)
        found = cursor.execute(f"SELECT DISTINCT {listed} FROM {_GATHERED} ORDER BY {listed}").fetchall()
        where = " AND ".join(f"{name} = ?" for name in key_names)
        statement = f"INSERT INTO lake.{table.name} {_selected(table, names)} FROM {_GATHERED} WHERE {where}"
        return sum(_count(cursor, statement, values) for values in found)
    finally:
        # Where the transaction is broken this fails too; the table ends with the cursor.
        _drop(cursor)


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


def _count(cursor: duckdb.DuckDBPyConnection, statement: str, values: Sequence[Any] = ()) -> int:
    row = cursor.execute(statement, list(values)).fetchone()
    return int(row[0]) if row else 0


def _drop(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute(f"DROP TABLE IF EXISTS {_GATHERED}")
    except duckdb.Error:
        return


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
