"""A part of a table laid down in several ways, to measure which of them questions read fastest.

The files lie in a folder that the lake does not know, written by the lake's own writer, in full: as compaction leaves a
table that has been quiet for a while.
"""

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa

from chronolake.capture.columns import Table
from chronolake.errors import LakeUnavailable, StorageFull
from chronolake.lake.commit import Catalog, live_files
from chronolake.lake.engine import identifier, quoted
from chronolake.lake.layout import BUCKETS, bucket_of, partition_keys
from chronolake.lake.order import parts_in_order
from chronolake.lake.parquet import FULL, write_file
from chronolake.settings import Layout, ParquetSettings

#: Rows that are looked at: a full file or more, and some seconds to lay down in one way.
SAMPLE_ROWS = 1_000_000
#: What a trial that was killed left is as old as this at least: one takes minutes at most.
LEFT_S = 3600.0


@dataclass(frozen=True)
class Way:
    """How rows are laid down: by which partitions, how many buckets, in which order, in row groups of how many rows."""

    layout: Layout
    buckets: int
    sort: tuple[str, ...]
    row_group_rows: int

    @property
    def is_bucketed(self) -> bool:
        """Whether rows lie apart by the bucket of their domain."""
        return self.layout in (Layout.BUCKET, Layout.BUCKET_YEAR)

    @property
    def in_words(self) -> str:
        """The same as people say it."""
        parts = f"{self.layout} of {self.buckets}" if self.is_bucketed else str(self.layout)
        return f"{parts}, by {', '.join(self.sort)}, row groups of {self.row_group_rows}"


@dataclass(frozen=True)
class Sample:
    """Rows of a table; `whole` where they are all that it has. `table_rows` and `table_bytes` are the table's own."""

    table: Table
    rows: pa.Table
    whole: bool
    table_rows: int
    table_bytes: int
    now: Way


@dataclass(frozen=True)
class LaidOut:
    """A sample laid down in one way: its files with the bucket of each, null where it has none."""

    way: Way
    files: tuple[tuple[Path, int | None], ...]
    bytes: int
    seconds: float

    def relation(self, columns: Sequence[str], bucket: int | None) -> str:
        """A subquery over its files; with a bucket, over those alone that may have rows of it."""
        paths = [path for path, of in self.files if bucket is None or of is None or of == bucket]
        # A bucket without rows: any file will do, for none of its rows is asked for.
        listed = ", ".join(quoted(str(path)) for path in paths or [self.files[0][0]])
        return f"(SELECT {', '.join(map(identifier, columns)) or 'NULL'} FROM read_parquet([{listed}]))"


class LayoutTrials:
    """Takes samples of one lake and lays them down; what it wrote goes with `within`'s end."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        relation: Callable[[Table, Sequence[str], str | None], str],
        reading: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
        parquet: ParquetSettings,
        folder: Path,
    ) -> None:
        self._catalog = catalog
        self._relation = relation
        self._reading = reading
        self._parquet = parquet
        self._folder = folder
        self.bucket = lru_cache(maxsize=4096)(self._bucket)

    @contextmanager
    def within(self) -> Iterator[Path]:
        """A folder for what is laid down in the block.

        Raises:
            LakeUnavailable: it cannot be written.
            StorageFull: no room.
        """
        own = self._folder / str(uuid.uuid4())
        try:
            own.mkdir(parents=True)
            for left in self._folder.iterdir():
                if left != own and time.time() - left.stat().st_mtime > LEFT_S:
                    shutil.rmtree(left, ignore_errors=True)
            yield own
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull(f"no room for a trial of layouts in {own}") from error
            raise LakeUnavailable(f"a layout cannot be tried in {own}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def sample(self, table: Table, columns: Sequence[str], domains: Sequence[str]) -> Sample:
        """Whole domains of a table, SAMPLE_ROWS or little more, those in `domains` among them.

        Of a larger table that lies in buckets it is one of these, in full if it can be: so files are as large as they
        are in the lake.

        Raises:
            LakeError: the lake cannot be read.
        """
        held = self._catalog.tables()[table.name]
        with self._catalog.reading() as conn:
            live = live_files(conn, held.table_id)
        rows = sum(file.live_rows for file in live)
        now = Way(held.layout or Layout.NONE, BUCKETS, table.sort, self._parquet.row_group_size)
        one = domains[0] if domains and now.is_bucketed and rows > SAMPLE_ROWS else None
        with self._reading() as cursor:
            found = _sampled(cursor, self._relation(table, columns, one), table, columns, domains)
        whole = rows <= SAMPLE_ROWS
        return Sample(table, found, whole, rows, sum(file.bytes for file in live), now)

    def lay_out(self, sample: Sample, way: Way, folder: Path) -> LaidOut:
        """Write the sample in one way into a folder that is not there yet.

        Raises:
            OSError: it cannot be written.
        """
        started = time.perf_counter()
        table = replace(sample.table, sort=way.sort)
        parts = parts_in_order(sample.rows, table, self._partitions(sample.rows, table, way))
        told = self._parquet.model_copy(update={"row_group_size": way.row_group_rows})
        folder.mkdir()
        files = []
        for number, part in enumerate(parts):
            path = folder / f"{number}.parquet"
            write_file(path, part.rows(), told)
            files.append((path, part.values[0] if way.is_bucketed else None))
        size = sum(path.stat().st_size for path, _ in files)
        return LaidOut(way, tuple(files), size, time.perf_counter() - started)

    def _partitions(self, rows: pa.Table, table: Table, way: Way) -> list[pa.ChunkedArray]:
        keys = partition_keys(table, way.layout, way.buckets)
        if not keys:
            return []
        with self._reading() as cursor:
            cursor.register("given", rows)
            try:
                named = ", ".join(f"{key} AS c{number}" for number, key in enumerate(keys))
                return list(cursor.execute(f"SELECT {named} FROM given").to_arrow_table().columns)
            finally:
                cursor.unregister("given")

    def _bucket(self, value: str, buckets: int) -> int:
        """The bucket of a value, of so many."""
        with self._reading() as cursor:
            row = cursor.execute(f"SELECT {bucket_of('CAST(? AS VARCHAR)', buckets)}", [value]).fetchone()
        return int(row[0]) if row else 0


def _sampled(
    cursor: duckdb.DuckDBPyConnection,
    relation: str,
    table: Table,
    columns: Sequence[str],
    domains: Sequence[str],
) -> pa.Table:
    counted = cursor.execute(f"SELECT count(*) FROM {relation}").fetchone()
    rows = int(counted[0]) if counted else 0
    listed = ", ".join(map(identifier, columns))
    if rows <= SAMPLE_ROWS or table.bucket_by is None:
        return cursor.execute(f"SELECT {listed} FROM {relation} LIMIT {SAMPLE_ROWS}").to_arrow_table()
    by, apart = identifier(table.bucket_by), -(-rows // SAMPLE_ROWS)
    return cursor.execute(
        f"SELECT {listed} FROM {relation} WHERE hash({by}) % {apart} = 0 OR list_contains($domains, {by})"
        f" LIMIT {2 * SAMPLE_ROWS}",
        {"domains": list(domains)},
    ).to_arrow_table()
