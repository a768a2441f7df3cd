"""What the lake's catalog says of itself: snapshots, tables, files, layout, what has been applied.

Plain reads, by a DuckDB cursor where DuckDB's own view of the lake counts. The catalog's tables are documented by the
DuckLake specification 1.0
(https://ducklake.select/docs/stable/specification/tables/overview).
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb
from psycopg import Connection

from chronolake.lake.commit import CATALOG_SCHEMA
from chronolake.lake.layout import layout_named

#: That schema, as the attached lake shows it.
_META = f"__ducklake_metadata_lake.{CATALOG_SCHEMA}"


@dataclass(frozen=True)
class Checkpoint:
    """How far the lake is: its newest snapshot, and the newest batch in it.

    `message_lsn` is the WAL position of that batch's message and `committed_at` the time it was applied;
    both null where no batch has come.
    """

    snapshot_id: int
    message_lsn: str | None
    committed_at: datetime | None


@dataclass(frozen=True)
class TableInfo:
    """One lake table. `layout` is how new files lie; `bytes` counts the files the newest snapshot uses."""

    name: str
    rows: int
    files: int
    bytes: int
    layout: str
    columns: int


@dataclass(frozen=True)
class LakeInfo:
    """What the lake holds and how it lies."""

    path: str
    snapshots: int
    snapshot_id: int
    snapshot_at: datetime
    applied_batches: int
    message_lsn: str | None
    tables: tuple[TableInfo, ...]
    #: null where the lake lies as the settings ask; else the sentence that says what differs
    layout_note: str | None

    def document(self) -> dict[str, Any]:
        """The same as one JSON-ready mapping, `tables` a list of mappings."""
        document = asdict(self)
        document["snapshot_at"] = self.snapshot_at.isoformat()
        document["tables"] = [asdict(table) for table in self.tables]
        return document


def current_snapshot(cursor: duckdb.DuckDBPyConnection) -> int:
    """The newest snapshot's id; it grows with every commit."""
    return int(_one(cursor, "SELECT id FROM lake.current_snapshot()")[0])


def checkpoint(conn: Connection) -> Checkpoint:
    """The newest snapshot and batch, read in one transaction."""
    row = conn.execute(
        "SELECT (SELECT max(snapshot_id) FROM ducklake_snapshot), b.message_lsn::text, b.applied_at"
        " FROM (SELECT 1) one LEFT JOIN LATERAL (SELECT message_lsn, applied_at FROM chronolake_batches"
        " WHERE message_lsn IS NOT NULL ORDER BY message_lsn DESC LIMIT 1) b ON true"
    ).fetchone()
    return Checkpoint(*(row or (0, None, None)))


def columns(cursor: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """The type of every column of every table of the lake."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in cursor.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = 'lake' AND schema_name = 'main' ORDER BY table_name, column_index"
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


def options(cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The options that hold for the whole lake."""
    rows = cursor.execute("SELECT option_name, value FROM lake.options() WHERE scope = 'GLOBAL'").fetchall()
    return dict(rows)


def snapshots(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int, datetime]:
    """How many snapshots there are, and the newest one's id and time."""
    count, newest, at = _one(
        cursor, f"SELECT count(*), max(snapshot_id), max(snapshot_time) FROM {_META}.ducklake_snapshot"
    )
    return int(count), int(newest), at


def batches(conn: Connection) -> int:
    """How many batches have been applied."""
    row = conn.execute("SELECT count(*) FROM chronolake_batches").fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True)
class FileCounts:
    """How many data files each table has, and how many snapshots there are."""

    files: dict[str, int]
    snapshots: int


def file_counts(conn: Connection) -> FileCounts:
    """What the newest snapshot has, and how many snapshots there are."""
    files = conn.execute(
        "SELECT t.table_name, count(f.data_file_id) FROM ducklake_table t LEFT JOIN ducklake_data_file f"
        " ON f.table_id = t.table_id AND f.end_snapshot IS NULL WHERE t.end_snapshot IS NULL GROUP BY t.table_name"
    ).fetchall()
    row = conn.execute("SELECT count(*) FROM ducklake_snapshot").fetchone()
    return FileCounts({str(name): int(count) for name, count in files}, int(row[0]) if row else 0)


def tables(
    cursor: duckdb.DuckDBPyConnection, named: Collection[str], present: Mapping[str, Mapping[str, str]]
) -> tuple[TableInfo, ...]:
    """Rows, files, bytes and layout of the tables `named`, from the catalog alone: no file is opened."""
    sizes = {
        name: (int(rows), int(files), int(size))
        for name, rows, files, size in cursor.execute(
            f"SELECT t.table_name,"
            f" coalesce(sum(f.record_count), 0) - coalesce(any_value(d.deleted), 0),"
            f" count(f.data_file_id), coalesce(sum(f.file_size_bytes), 0)"
            f" FROM {_META}.ducklake_table t"
            f" LEFT JOIN {_META}.ducklake_data_file f ON f.table_id = t.table_id AND f.end_snapshot IS NULL"
            f" LEFT JOIN (SELECT table_id, sum(delete_count) AS deleted FROM {_META}.ducklake_delete_file"
            f" WHERE end_snapshot IS NULL GROUP BY table_id) d ON d.table_id = t.table_id"
            f" WHERE t.end_snapshot IS NULL GROUP BY t.table_name"
        ).fetchall()
    }
    transforms = _transforms(cursor)
    return tuple(
        TableInfo(
            name=name,
            rows=sizes[name][0],
            files=sizes[name][1],
            bytes=sizes[name][2],
            layout=_layout_name(transforms.get(name, ())),
            columns=len(present[name]),
        )
        for name in named
        if name in sizes
    )


def _transforms(cursor: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
    """The partition transforms in force, by table."""
    found: dict[str, tuple[str, ...]] = {}
    for name, transform in cursor.execute(
        f"SELECT t.table_name, c.transform FROM {_META}.ducklake_partition_info p"
        f" JOIN {_META}.ducklake_table t ON t.table_id = p.table_id AND t.end_snapshot IS NULL"
        f" JOIN {_META}.ducklake_partition_column c"
        f" ON c.partition_id = p.partition_id AND c.table_id = p.table_id"
        f" WHERE p.end_snapshot IS NULL ORDER BY t.table_name, c.partition_key_index"
    ).fetchall():
        found[name] = (*found.get(name, ()), transform)
    return found


def _layout_name(transforms: tuple[str, ...]) -> str:
    layout = layout_named(transforms)
    return layout.value if layout is not None else ", ".join(transforms)


def _one(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = cursor.execute(sql).fetchone()
    if row is None:
        raise LookupError(sql)
    return row
