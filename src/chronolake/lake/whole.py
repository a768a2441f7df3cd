"""Data files of which every row lies within bounds: who wants just those rows can have the files as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from psycopg import Connection

from chronolake.capture.columns import Table
from chronolake.lake.stats import lies_within

#: From the least to the greatest value that a column may have, both inclusive; null is open.
Bounds = Mapping[str, tuple[Any, Any]]

_FILES = """
SELECT
    (SELECT max(snapshot_id) FROM ducklake_snapshot),
    s.path || t.path || f.path, f.record_count, c.column_name, x.null_count, x.min_value, x.max_value
FROM ducklake_table t
JOIN ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
JOIN ducklake_data_file f ON f.table_id = t.table_id AND f.end_snapshot IS NULL AND f.path_is_relative
LEFT JOIN ducklake_column c
    ON c.table_id = t.table_id AND c.end_snapshot IS NULL AND c.column_name = ANY(%(names)s)
LEFT JOIN ducklake_file_column_stats x
    ON x.data_file_id = f.data_file_id AND x.column_id = c.column_id
WHERE t.table_name = %(table)s
    AND t.end_snapshot IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM ducklake_delete_file d WHERE d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
    )
ORDER BY f.data_file_id
"""


@dataclass(frozen=True)
class WholeFiles:
    """Files that a snapshot shows to the last row, all of them within the bounds that were asked for.

    `snapshot_id` is null where the table has no file without deleted rows.
    """

    snapshot_id: int | None
    paths: tuple[Path, ...]
    rows: int


def whole_files(conn: Connection, lake: Path, table: Table, bounds: Bounds) -> WholeFiles:
    """The files of `table` in the newest snapshot whose rows all lie within `bounds` and have today's columns."""
    rows: dict[str, int] = {}
    outside: set[str] = set()
    # One statement sees one state of the catalog: the snapshot and the files belong together.
    found = conn.execute(_FILES, {"table": table.name, "names": list(bounds)}).fetchall()
    for _, path, count, name, nulls, low, high in found:
        rows[path] = int(count)
        if name is not None and (nulls != 0 or not lies_within(table[name].arrow, (low, high), bounds[name])):
            outside.add(path)
    names = [column.name for column in table.columns]
    whole = [path for path in rows if path not in outside and pq.read_schema(lake / path).names == names]
    snapshot_id = int(found[0][0]) if found else None
    return WholeFiles(snapshot_id, tuple(lake / path for path in whole), sum(rows[path] for path in whole))
