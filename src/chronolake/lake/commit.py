"""Commits to the DuckLake catalog: one commit is one PostgreSQL transaction, written by ourselves.

DuckLake is a table format whose catalog is plain SQL tables (specification 1.0,
https://ducklake.select/docs/stable/specification/introduction). DuckDB reads them and defines tables; every row
enters by this module. That lets a commit take milliseconds, hold files and deletes of our own making, and carry the
checkpoint of the change stream and the record of applied batches in the very same transaction.

Commits of ours come one after the other, by an advisory lock of the transaction. DuckDB's own (a new table, a
column more) take the next snapshot's number too: whoever comes second fails on the primary key, and tries again.
"""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection, sql

from chronolake.capture.columns import Table
from chronolake.errors import LakeBusy, LakeUnavailable
from chronolake.lake import repairs, rollup, stream_notes
from chronolake.lake.failure import Scrubber
from chronolake.lake.layout import layout_named
from chronolake.lake.records import DataFile, DeleteFile, LakeTable, LiveFile
from chronolake.lake.stats import wider
from chronolake.lake.stream_notes import StreamCheckpoint

#: Schema of the DuckLake catalog in PostgreSQL.
CATALOG_SCHEMA = "chronolake_lake"
#: Key of the advisory lock of a commit: "lkcm" in ASCII.
COMMIT_LOCK = 0x6C6B636D

#: Ours, beside DuckLake's tables, so that they live and die with the catalog they speak of.
OWN_TABLES = """
CREATE TABLE IF NOT EXISTS chronolake_batches (
    batch_id bigint PRIMARY KEY,
    table_name text NOT NULL,
    message_lsn pg_lsn,
    rows bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS chronolake_changed (
    table_name text PRIMARY KEY,
    snapshot_id bigint NOT NULL,
    laid_in bigint
);
"""
#: What a catalog of an older version lacks: nobody noted when files were last merged, so they count as merged now.
LAID_IN = """
ALTER TABLE chronolake_changed ADD COLUMN laid_in bigint;
UPDATE chronolake_changed SET laid_in = (SELECT max(snapshot_id) FROM ducklake_snapshot);
"""

#: On DuckLake's tables, which have none: each commit looks up the live files with their partitions and deletes.
OWN_INDEXES = {
    "chronolake_partition_value_by_file": ("ducklake_file_partition_value", "data_file_id"),
    "chronolake_delete_file_by_file": ("ducklake_delete_file", "data_file_id"),
    "chronolake_column_stats_by_file": ("ducklake_file_column_stats", "data_file_id"),
}


class Catalog:
    """The catalog as our commits see it. Thread-safe: commits queue."""

    def __init__(
        self, database_url: str, scrub: Scrubber, *, connect_timeout_s: float, lock_timeout_s: float
    ) -> None:
        self._url = database_url
        self._scrub = scrub
        self._connect_timeout_s = connect_timeout_s
        self._lock_timeout_s = lock_timeout_s
        self._turn = threading.Lock()
        self._conn: Connection | None = None
        self._tables: tuple[int, dict[str, LakeTable]] | None = None

    def close(self) -> None:
        """Let go of the connection. Calling it twice is safe."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def set_up(self) -> None:
        """Make our own tables beside DuckLake's, and the indexes that our commits need of its own."""
        with self._transaction() as conn:
            conn.execute(
                (OWN_TABLES + stream_notes.OWN_TABLES + repairs.OWN_TABLE + rollup.OWN_TABLE).encode()
            )
            noted = "SELECT FROM pg_attribute WHERE attrelid = 'chronolake_changed'::regclass AND attname = 'laid_in'"
            if not _one(conn, f"SELECT EXISTS ({noted})")[0]:
                conn.execute(LAID_IN.encode())
            for name, (table, column) in OWN_INDEXES.items():
                # Even to find that an index exists, PostgreSQL would wait for a commit that runs.
                if _one(conn, f"SELECT to_regclass('{name}')")[0] is None:
                    conn.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({column})".encode())

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction over the catalog that changes nothing."""
        with self._transaction() as conn:
            yield conn

    @contextmanager
    def commit(self) -> Iterator["Commit"]:
        """A commit, alone among ours; what is not finished at the block's end leaves no trace.

        Raises:
            LakeBusy: another commit took the snapshot's number, or held the lock for too long; try again.
            LakeUnavailable: the catalog is out of reach.
        """
        with self._transaction() as conn:
            conn.execute(
                "SELECT set_config('lock_timeout', %s, true)", [str(round(self._lock_timeout_s * 1000))]
            )
            conn.execute("SELECT pg_advisory_xact_lock(%s)", [COMMIT_LOCK])
            yield Commit(conn, self._tables_now(conn))

    def tables(self) -> dict[str, LakeTable]:
        """The lake's tables as they are now, by name."""
        with self._transaction() as conn:
            return self._tables_now(conn)

    @contextmanager
    def alone(self, purpose: int, table_id: int) -> Iterator[Connection | None]:
        """A connection that holds the lock for one purpose on one table; null where it is held. Nobody waits for it.

        The lock is the connection's own, so that it goes with a process that dies.

        Raises:
            LakeUnavailable: the catalog is out of reach.
        """
        try:
            with self._connect() as conn:
                row = conn.execute("SELECT pg_try_advisory_lock(%s, %s)", [purpose, table_id]).fetchone()
                yield conn if row and row[0] else None
        except psycopg.Error as error:
            raise LakeUnavailable(f"the lake's catalog was lost: {self._scrub(_first(error))}") from None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._turn:
            try:
                conn = self._connection()
                with conn.transaction():
                    yield conn
            except (psycopg.errors.UniqueViolation, psycopg.errors.LockNotAvailable) as error:
                raise LakeBusy(
                    f"another process committed to the lake at the same time: {_first(error)}"
                ) from None
            except psycopg.OperationalError as error:
                self.close()
                raise LakeUnavailable(f"the lake's catalog was lost: {self._scrub(_first(error))}") from None
            except psycopg.Error as error:
                raise LakeUnavailable(f"the lake's catalog refused: {self._scrub(_first(error))}") from None

    def _connection(self) -> Connection:
        if self._conn is not None and not self._conn.closed:
            try:
                self._conn.execute("SELECT 1")
            except psycopg.OperationalError:
                self._conn.close()
        if self._conn is None or self._conn.closed:
            self._conn = self._connect()
        return self._conn

    def _connect(self) -> Connection:
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=max(2, round(self._connect_timeout_s)),
            application_name="chronolake lake",
            options=f"-c search_path={CATALOG_SCHEMA} -c timezone=UTC",
        )

    def _tables_now(self, conn: Connection) -> dict[str, LakeTable]:
        version = _one(
            conn, "SELECT schema_version FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1"
        )[0]
        if self._tables is None or self._tables[0] != version:
            self._tables = version, _read_tables(conn)
        return self._tables[1]


@dataclass
class Commit:
    """What one snapshot changes. Add, delete and end in any order, then `finish`."""

    conn: Connection
    tables: dict[str, LakeTable]
    snapshot_id: int = field(init=False)
    _next_file: int = field(init=False)
    _changes: set[str] = field(default_factory=set)
    #: names of the tables whose rows are others after this commit
    _changed: set[str] = field(default_factory=set)
    #: names of those whose rows are the same, in other files
    _laid: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        row = _one(
            self.conn,
            "SELECT snapshot_id, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot"
            " ORDER BY snapshot_id DESC LIMIT 1",
        )
        self.snapshot_id = row[0] + 1
        self._schema_version, self._next_catalog, self._next_file = row[1:]

    def live(self, table: Table) -> list[LiveFile]:
        """The data files that `table` has before this commit, oldest first."""
        return live_files(self.conn, self.tables[table.name].table_id)

    def applied(self, batch_ids: Collection[int]) -> set[int]:
        """Those of `batch_ids` that the lake holds."""
        return applied(self.conn, batch_ids)

    def add(self, table: Table, files: Sequence[DataFile]) -> list[int]:
        """Make `files` part of the table; their numbers."""
        if not files:
            return []
        self._changes.add(f"inserted_into_table:{self.tables[table.name].table_id}")
        self._changed.add(table.name)
        return self._add(table, files)

    def _add(self, table: Table, files: Sequence[DataFile]) -> list[int]:
        held = self.tables[table.name]
        first_row = self._widen(table, held, files)
        ids = [self._take_file() for _ in files]
        starts = [first_row + sum(file.rows for file in files[:n]) for n in range(len(files))]
        self._insert(
            "ducklake_data_file",
            "data_file_id, table_id, begin_snapshot, path, path_is_relative, file_format, record_count,"
            " file_size_bytes, footer_size, row_id_start, partition_id",
            [
                (number, held.table_id, self.snapshot_id, file.path, True, "parquet", file.rows, file.bytes,
                 file.footer_bytes, start, held.partition_id)
                for number, file, start in zip(ids, files, starts, strict=True)
            ],
        )  # fmt: skip
        self._insert(
            "ducklake_file_column_stats",
            "data_file_id, table_id, column_id, value_count, null_count, min_value, max_value, contains_nan",
            [
                (number, held.table_id, held.columns[stats.name], stats.values, stats.nulls, stats.low, stats.high,
                 stats.has_nan)
                for number, file in zip(ids, files, strict=True)
                for stats in file.stats
            ],
        )  # fmt: skip
        # A file may hold several partitions: a reader who looks for one of them finds it.
        self._insert(
            "ducklake_file_partition_value",
            "data_file_id, table_id, partition_key_index, partition_value",
            [
                (number, held.table_id, key, str(value))
                for number, file in zip(ids, files, strict=True)
                for key, values in enumerate(file.partitions)
                for value in values
            ],
        )
        return ids

    def delete(self, table: Table, deletes: Mapping[int, DeleteFile]) -> None:
        """Let each data file have these rows deleted, in the place of those it had deleted before."""
        if not deletes:
            return
        self._changes.add(f"deleted_from_table:{self.tables[table.name].table_id}")
        self._changed.add(table.name)
        self._delete(table, deletes)

    def _delete(self, table: Table, deletes: Mapping[int, DeleteFile]) -> None:
        held = self.tables[table.name]
        self.conn.execute(
            "UPDATE ducklake_delete_file SET end_snapshot = %s WHERE data_file_id = ANY(%s) AND end_snapshot IS NULL",
            [self.snapshot_id, list(deletes)],
        )
        self._insert(
            "ducklake_delete_file",
            "delete_file_id, table_id, begin_snapshot, data_file_id, path, path_is_relative, format, delete_count,"
            " file_size_bytes, footer_size",
            [
                (self._take_file(), held.table_id, self.snapshot_id, number, file.path, True, "parquet", file.rows,
                 file.bytes, file.footer_bytes)
                for number, file in deletes.items()
            ],
        )  # fmt: skip

    def end(self, table: Table, data_file_ids: Collection[int]) -> None:
        """Let these data files be no part of the table from now on; older snapshots keep them."""
        if not data_file_ids:
            return
        self._changes.add(f"deleted_from_table:{self.tables[table.name].table_id}")
        self._changed.add(table.name)
        self._end(data_file_ids)

    def replace(
        self,
        table: Table,
        old: Collection[int],
        new: Sequence[DataFile],
        deletes: Mapping[int, DeleteFile],
    ) -> None:
        """Let `new` files stand for the `old` ones: the same rows, laid down otherwise.

        `deletes` has, by their place in `new`, the rows of them that are no more.
        """
        if not old:
            return
        held = self.tables[table.name]
        # What DuckLake calls it, so that its readers take the rows for old ones, and its writers see the conflict.
        self._changes.add(f"rewrite_delete:{held.table_id}")
        self._laid.add(table.name)
        self._end(old)
        if new:
            numbers = self._add(table, new)
            self._delete(table, {numbers[place]: file for place, file in deletes.items()})
        # Rows that come again are not more rows; of deleted ones DuckLake keeps count until a rewrite.
        self.conn.execute(
            "UPDATE ducklake_table_stats SET (record_count, file_size_bytes) = (SELECT coalesce(sum(record_count), 0),"
            " coalesce(sum(file_size_bytes), 0) FROM ducklake_data_file WHERE table_id = %(id)s"
            " AND end_snapshot IS NULL) WHERE table_id = %(id)s",
            {"id": held.table_id},
        )

    def _end(self, data_file_ids: Collection[int]) -> None:
        for name in ("ducklake_data_file", "ducklake_delete_file"):
            self.conn.execute(
                sql.SQL(
                    "UPDATE {} SET end_snapshot = %s WHERE data_file_id = ANY(%s) AND end_snapshot IS NULL"
                ).format(sql.Identifier(name)),
                [self.snapshot_id, list(data_file_ids)],
            )
        self._take_file()

    def note_batches(self, batches: Sequence[tuple[int, str, str | None, int]]) -> None:
        """Write down that batches are applied: id, table, LSN of its message, rows."""
        self._insert("chronolake_batches", "batch_id, table_name, message_lsn, rows", batches)

    def note_checkpoint(self, checkpoint: StreamCheckpoint) -> None:
        """Write down how far the stream is with this commit."""
        stream_notes.note_checkpoint(self.conn, checkpoint)

    def finish(self) -> int:
        """Make the snapshot, if anything changed; its number, or that of the newest one there is.

        It holds once the block of `Catalog.commit` ends without an error.
        """
        if not self._changes:
            return self.snapshot_id - 1
        self.conn.execute(
            "INSERT INTO ducklake_snapshot VALUES (%s, clock_timestamp(), %s, %s, %s)",
            [self.snapshot_id, self._schema_version, self._next_catalog, self._next_file],
        )
        self.conn.execute(
            "INSERT INTO ducklake_snapshot_changes (snapshot_id, changes_made) VALUES (%s, %s)",
            [self.snapshot_id, ",".join(sorted(self._changes, reverse=True))],
        )
        self.conn.execute(
            "INSERT INTO chronolake_changed (table_name, snapshot_id, laid_in)"
            " SELECT unnest(%(changed)s::text[]), %(now)s, %(now)s ON CONFLICT (table_name)"
            " DO UPDATE SET snapshot_id = excluded.snapshot_id, laid_in = excluded.laid_in",
            {"changed": sorted(self._changed), "now": self.snapshot_id},
        )
        if laid := sorted(self._laid - self._changed):
            self.conn.execute(
                "INSERT INTO chronolake_changed (table_name, snapshot_id, laid_in)"
                " SELECT unnest(%(laid)s::text[]), 0, %(now)s ON CONFLICT (table_name)"
                " DO UPDATE SET laid_in = excluded.laid_in",
                {"laid": laid, "now": self.snapshot_id},
            )
        self.conn.execute("SELECT pg_notify('chronolake_snapshot', %s)", [str(self.snapshot_id)])
        return self.snapshot_id

    def _take_file(self) -> int:
        number = self._next_file
        self._next_file += 1
        return number

    def _insert(self, name: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        with (
            self.conn.cursor() as cursor,
            cursor.copy(f"COPY {name} ({columns}) FROM STDIN".encode()) as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def _widen(self, table: Table, held: LakeTable, files: Sequence[DataFile]) -> int:
        """Let the table's own sums and bounds cover `files`; the first row's number."""
        rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        found = self.conn.execute(
            "UPDATE ducklake_table_stats SET record_count = record_count + %s, next_row_id = next_row_id + %s,"
            " file_size_bytes = file_size_bytes + %s WHERE table_id = %s RETURNING next_row_id",
            [rows, rows, size, held.table_id],
        ).fetchone()
        if found is None:
            self._insert(
                "ducklake_table_stats", "table_id, record_count, next_row_id, file_size_bytes",
                [(held.table_id, rows, rows, size)],
            )  # fmt: skip
        self._widen_columns(table, held, files)
        return int(found[0]) - rows if found else 0

    def _widen_columns(self, table: Table, held: LakeTable, files: Sequence[DataFile]) -> None:
        before = {
            row[0]: row[1:]
            for row in self.conn.execute(
                "SELECT column_id, contains_null, contains_nan, min_value, max_value FROM ducklake_table_column_stats"
                " WHERE table_id = %s",
                [held.table_id],
            )
        }
        kinds = {column.name: column.arrow for column in table.columns}
        now: dict[int, tuple[bool, bool | None, str | None, str | None]] = {}
        for file in files:
            for stats in file.stats:
                number, kind = held.columns[stats.name], kinds[stats.name]
                null, nan, low, high = now.get(number) or before.get(number) or (False, None, None, None)
                now[number] = (
                    null or stats.nulls > 0,
                    nan if stats.has_nan is None else bool(nan) or stats.has_nan,
                    wider(kind, low, stats.low, low=True),
                    wider(kind, high, stats.high, low=False),
                )
        changed = {number: values for number, values in now.items() if before.get(number) != values}
        self.conn.execute(
            "DELETE FROM ducklake_table_column_stats WHERE table_id = %s AND column_id = ANY(%s)",
            [held.table_id, list(changed)],
        )
        self._insert(
            "ducklake_table_column_stats",
            "table_id, column_id, contains_null, contains_nan, min_value, max_value",
            [(held.table_id, number, *values) for number, values in changed.items()],
        )


def live_files(conn: Connection, table_id: int) -> list[LiveFile]:
    """The data files of a table's newest snapshot, oldest first, each with its delete file and partitions."""
    rows = conn.execute(
        """
        SELECT f.data_file_id, f.path, f.record_count, f.file_size_bytes, f.row_id_start, f.begin_snapshot,
            (SELECT array_agg(partition_key_index || ':' || partition_value) FROM ducklake_file_partition_value v
             WHERE v.data_file_id = f.data_file_id),
            d.path, coalesce(d.delete_count, 0), f.partition_id
        FROM ducklake_data_file f
        LEFT JOIN ducklake_delete_file d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
        WHERE f.table_id = %s AND f.end_snapshot IS NULL
        ORDER BY f.data_file_id
        """,
        [table_id],
    ).fetchall()
    return [
        LiveFile(
            data_file_id=row[0],
            path=row[1],
            rows=row[2],
            bytes=row[3],
            row_id_start=row[4],
            begin_snapshot=row[5],
            partitions=_partitions(row[6]),
            delete_path=row[7],
            deleted=row[8],
            partition_id=row[9],
        )
        for row in rows
    ]


def applied(conn: Connection, batch_ids: Collection[int]) -> set[int]:
    """Those of `batch_ids` that the lake holds."""
    found = conn.execute(
        "SELECT batch_id FROM chronolake_batches WHERE batch_id = ANY(%s)", [list(batch_ids)]
    )
    return {row[0] for row in found}


def _read_tables(conn: Connection) -> dict[str, LakeTable]:
    columns: dict[int, dict[str, int]] = {}
    for table_id, name, column_id in conn.execute(
        "SELECT table_id, column_name, column_id FROM ducklake_column"
        " WHERE end_snapshot IS NULL AND parent_column IS NULL"
    ):
        columns.setdefault(table_id, {})[name] = column_id
    found = conn.execute(
        "SELECT t.table_name, t.table_id, p.partition_id, s.path || t.path,"
        " (SELECT array_agg(transform ORDER BY partition_key_index) FROM ducklake_partition_column c"
        " WHERE c.partition_id = p.partition_id AND c.table_id = t.table_id) FROM ducklake_table t"
        " JOIN ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL"
        " LEFT JOIN ducklake_partition_info p ON p.table_id = t.table_id AND p.end_snapshot IS NULL"
        " WHERE t.end_snapshot IS NULL"
    )
    return {
        name: LakeTable(
            table_id, columns.get(table_id, {}), partition_id, layout_named(tuple(transforms or ())), folder
        )
        for name, table_id, partition_id, folder, transforms in found
    }


def _partitions(pairs: Sequence[str] | None) -> tuple[frozenset[int], ...]:
    found: dict[int, set[int]] = {}
    for pair in pairs or ():
        key, _, value = pair.partition(":")
        found.setdefault(int(key), set()).add(int(value))
    return tuple(frozenset(found[key]) for key in sorted(found))


def _one(conn: Connection, query: str) -> tuple[Any, ...]:
    row = conn.execute(query.encode()).fetchone()
    if row is None:
        raise LakeUnavailable("the lake's catalog has no snapshot", hint="Open the lake for writing once.")
    return row


def _first(error: psycopg.Error) -> str:
    return (
        (error.diag.message_primary or str(error)).strip().splitlines()[0]
        if str(error)
        else type(error).__name__
    )
