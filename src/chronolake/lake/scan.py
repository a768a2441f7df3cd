"""Reading tables by a list of their files that is kept while they stay the same, beside DuckLake's own way.

DuckLake asks the catalog seven things for each query and opens files without the footers that are known already; of a
question that takes some milliseconds that is the greater part. Files never change, and a table's list of them only with
a commit to that table, so both can be kept. Where a table needs more than a list, as after a change of its columns or
with rows deleted from many files, there is no such way, and whoever asks reads through DuckLake.
"""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path

import duckdb
from psycopg import Connection

from chronolake.capture.columns import TABLES
from chronolake.lake.engine import identifier, quoted
from chronolake.lake.layout import BUCKETS, bucket_of
from chronolake.lake.resident import Residents, Source
from chronolake.settings import Layout

#: Rows of files with deleted rows in one query. Each of them passes a join, and beyond so many DuckLake, which skips
#: such rows while it reads, takes less time. Of 250 000 cells in 19 such files it takes 15 ms, and the join 8.
PATCHED_ROWS = 1_000_000
#: Lists that are kept of each table: those who ask at one time know of the newest, or of one shortly before.
KEPT_LISTS = 4

_FILES = """
SELECT s.path || t.path || f.path, f.begin_snapshot,
    CASE WHEN f.partition_id IS NOT DISTINCT FROM p.partition_id THEN (
        SELECT array_agg(v.partition_value::integer) FROM ducklake_file_partition_value v
        WHERE v.data_file_id = f.data_file_id AND v.partition_key_index = 0
    ) END,
    s.path || t.path || d.path,
    f.path_is_relative AND f.mapping_id IS NULL AND f.partial_max IS NULL AND coalesce(d.path_is_relative, true),
    f.record_count, f.file_size_bytes, times.min_value, times.max_value
FROM ducklake_data_file f
JOIN ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN ducklake_partition_info p ON p.table_id = f.table_id AND p.end_snapshot IS NULL
LEFT JOIN ducklake_delete_file d ON d.data_file_id = f.data_file_id
    AND d.begin_snapshot <= %(at)s AND coalesce(d.end_snapshot > %(at)s, true)
LEFT JOIN ducklake_column c ON c.table_id = f.table_id AND c.end_snapshot IS NULL AND c.column_name = %(time)s
LEFT JOIN ducklake_file_column_stats times ON times.data_file_id = f.data_file_id AND times.column_id = c.column_id
WHERE t.table_name = %(table)s AND f.begin_snapshot <= %(at)s AND coalesce(f.end_snapshot > %(at)s, true)
"""
_COLUMNS = """
SELECT c.column_name, c.begin_snapshot
FROM ducklake_column c JOIN ducklake_table t ON t.table_id = c.table_id AND t.end_snapshot IS NULL
WHERE t.table_name = %(table)s AND c.end_snapshot IS NULL AND c.parent_column IS NULL
"""
_LAYOUT = """
SELECT c.transform FROM ducklake_partition_column c
JOIN ducklake_table t ON t.table_id = c.table_id AND t.end_snapshot IS NULL
JOIN ducklake_partition_info p ON p.partition_id = c.partition_id AND p.table_id = c.table_id AND p.end_snapshot IS NULL
WHERE t.table_name = %(table)s AND c.partition_key_index = 0
"""


@dataclass(frozen=True)
class Wanted:
    """Columns of a table; with `bucket_of`, only its rows whose bucket column has this value need be among them.

    With `within`, only rows whose time lies from the one to the other: what is read may be more, what is reckoned not.
    """

    table: str
    columns: tuple[str, ...]
    bucket_of: str | None = None
    within: tuple[datetime, datetime] | None = None


@dataclass(frozen=True)
class Reach:
    """What has to be looked at to read something: files with all their rows, and the bytes of the columns asked for."""

    files: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class _File:
    path: Path
    begin_snapshot: int
    #: the buckets that its rows are in; null where it is not laid down by bucket
    buckets: frozenset[int] | None
    deletes: Path | None
    rows: int
    bytes: int
    #: the least and the greatest time of its rows, as texts that sort as times do; null where that is not known
    times: tuple[str, str] | None

    def may_hold(self, within: tuple[datetime, datetime] | None) -> bool:
        """Whether rows of that time can be in it."""
        if within is None or self.times is None:
            return True
        return self.times[0] <= str(within[1]) and str(within[0]) <= self.times[1]


@dataclass(frozen=True)
class _Listing:
    """A table in one snapshot: its files, and since when each column is as it is."""

    files: tuple[_File, ...]
    columns: dict[str, int]


def unnoted(_table: str) -> Hashable:
    """What tells nothing of a table's files: they are asked for once a snapshot."""
    return None


class Scanner:
    """Writes SQL that reads tables of one lake by their files. Thread-safe."""

    def __init__(
        self,
        *,
        catalog: Callable[[], AbstractContextManager[Connection]],
        cursor: Callable[[], duckdb.DuckDBPyConnection],
        lake: Callable[[], Path],
        residents: Residents,
    ) -> None:
        self._catalog = catalog
        self._lake = lake
        self._residents = residents
        self._lock = threading.Lock()
        self._closed = False
        self._listings: dict[str, dict[Hashable, _Listing | None]] = {}
        self._bucket = lru_cache(maxsize=4096)(lambda value: _bucket(cursor, value))

    def close(self) -> None:
        """Let go of every list; from then on there is none."""
        self._closed = True

    def relations(
        self, wanted: Sequence[Wanted], snapshot_id: int, laid: Callable[[str], Hashable]
    ) -> list[str] | None:
        """A subquery for each of `wanted`, all of one snapshot; null where one of them cannot be read so.

        `laid` tells of a table in that snapshot what stays the same while its files do, and is another's for no other
        files; null where it is not known.

        Raises:
            LakeUnavailable: the catalog is out of reach.
        """
        found = []
        for one in wanted:
            listing = self._listing(one.table, snapshot_id, laid(one.table))
            relation = None if listing is None else self._relation(one, listing)
            if relation is None:
                return None
            found.append(relation)
        return found

    @contextmanager
    def lent(
        self, wanted: Sequence[Wanted], snapshot_id: int, laid: Callable[[str], Hashable]
    ) -> Iterator[list[str] | None]:
        """As `relations`, but of small tables what is kept in memory, which stays until the end of the block."""
        with ExitStack() as leases:
            yield self._lent(wanted, snapshot_id, laid, leases)

    def _lent(
        self,
        wanted: Sequence[Wanted],
        snapshot_id: int,
        laid: Callable[[str], Hashable],
        leases: ExitStack,
    ) -> list[str] | None:
        found = []
        for one in wanted:
            files = laid(one.table)
            listing = self._listing(one.table, snapshot_id, files)
            if listing is None:
                return None
            relation = None
            # A snapshot's number alone may be that of a lake which was made anew.
            if files is not None:
                source = partial(self._source, one.table, files, listing)
                lent = self._residents.lent(one.table, files, one.columns, source)
                relation = leases.enter_context(lent)
            relation = relation or self._relation(one, listing)
            if relation is None:
                return None
            found.append(relation)
        return found

    def _source(self, table: str, files: Hashable, listing: _Listing) -> Source | None:
        """How a whole table is read; null where that takes more than a list of its files."""
        columns = tuple(listing.columns)
        select = self._relation(Wanted(table, columns), listing)
        rows = sum(file.rows for file in listing.files)
        on_disk = sum(file.bytes for file in listing.files)
        return (
            None
            if select is None
            else Source(table, files, columns, rows, on_disk, f"SELECT * FROM {select}")
        )

    def reach(
        self, wanted: Sequence[Wanted], snapshot_id: int, laid: Callable[[str], Hashable]
    ) -> list[Reach] | None:
        """What has to be looked at for each of `wanted`; null where there is no list of a table's files.

        Raises:
            LakeUnavailable: the catalog is out of reach.
        """
        found = []
        for one in wanted:
            listing = self._listing(one.table, snapshot_id, laid(one.table))
            if listing is None:
                return None
            files = [file for file in self._needed(one, listing) if file.may_hold(one.within)]
            share = min(1.0, len(one.columns) / max(1, len(listing.columns)))
            found.append(
                Reach(
                    len(files),
                    sum(file.rows for file in files),
                    round(share * sum(file.bytes for file in files)),
                )
            )
        return found

    def holds(self, wanted: Sequence[Wanted], snapshot_id: int, laid: Callable[[str], Hashable]) -> bool:
        """Whether the lists of all these tables in that snapshot are at hand, so that no catalog is asked for them."""
        return not self._closed and all(
            self._listings.get(one.table, {}).get(_name(snapshot_id, laid(one.table))) is not None
            for one in wanted
        )

    def _listing(self, table: str, snapshot_id: int, laid: Hashable) -> _Listing | None:
        # Of many who ask after a commit, one looks.
        with self._lock:
            if self._closed:
                return None
            held = self._listings.setdefault(table, {})
            name = _name(snapshot_id, laid)
            if name not in held:
                with self._catalog() as conn:
                    held[name] = _listed(conn, table, snapshot_id, self._lake())
                # In the order in which they came: a lake that is made anew counts from the first again.
                for old in list(held)[:-KEPT_LISTS]:
                    del held[old]
            return held[name]

    def _relation(self, wanted: Wanted, listing: _Listing) -> str | None:
        files = self._needed(wanted, listing)
        since = [listing.columns.get(name) for name in wanted.columns]
        if not files or any(
            begun is None or begun > file.begin_snapshot for begun in since for file in files
        ):
            return None
        patched = [file for file in files if file.deletes is not None]
        if len(patched) > 1 and sum(file.rows for file in patched) > PATCHED_ROWS:
            return None
        columns = ", ".join(map(identifier, wanted.columns)) or "NULL"
        parts = []
        if whole := [file.path for file in files if file.deletes is None]:
            parts.append(f"SELECT {columns} FROM read_parquet({_listed_paths(whole)})")
        if patched:
            # Both lists are in one order, so that a file and what is gone of it have the same place in theirs.
            parts.append(
                f"SELECT {columns}"
                f" FROM read_parquet({_listed_paths([file.path for file in patched])}, file_row_number = true) AS kept"
                f" ANTI JOIN read_parquet({_listed_paths([file.deletes for file in patched])}) AS gone"
                " ON kept.file_row_number = gone.pos AND kept.file_index = gone.file_index"
            )
        return f"({' UNION ALL '.join(parts)})"

    def _needed(self, wanted: Wanted, listing: _Listing) -> list[_File]:
        if wanted.bucket_of is None or all(file.buckets is None for file in listing.files):
            return list(listing.files)
        bucket = self._bucket(wanted.bucket_of)
        return [file for file in listing.files if file.buckets is None or bucket in file.buckets]


def _listed_paths(paths: Sequence[Path | None]) -> str:
    return f"[{', '.join(quoted(str(path)) for path in paths)}]"


def _name(snapshot_id: int, laid: Hashable) -> Hashable:
    """What a list of files is kept under: what tells that it is the same, or its snapshot where that is not known."""
    return ("snapshot", snapshot_id) if laid is None else laid


def _listed(conn: Connection, table: str, snapshot_id: int, lake: Path) -> _Listing | None:
    declared = TABLES.get(table)
    values = {"table": table, "at": snapshot_id, "time": declared.time if declared else None}
    layout = conn.execute(_LAYOUT, values).fetchone()
    bucketed = layout is not None and layout[0] == f"{Layout.BUCKET.value}({BUCKETS})"
    rows = conn.execute(_FILES, values).fetchall()
    if not all(row[4] for row in rows):
        return None
    return _Listing(
        files=tuple(
            _File(
                lake / path,
                begun,
                frozenset(buckets) if bucketed and buckets else None,
                None if deletes is None else lake / deletes,
                records,
                size,
                None if low is None or high is None else (low, high),
            )
            for path, begun, buckets, deletes, _, records, size, low, high in rows
        ),
        columns=dict(conn.execute(_COLUMNS, values).fetchall()),
    )


def _bucket(cursor: Callable[[], duckdb.DuckDBPyConnection], value: str) -> int:
    with cursor() as open_cursor:
        row = open_cursor.execute(f"SELECT {bucket_of('CAST(? AS VARCHAR)')}", [value]).fetchone()
    return int(row[0]) if row else 0
