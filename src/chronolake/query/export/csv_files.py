"""Whole files of the lake as lines of CSV, appended to what a file holds already: several are read side by side.

Each thread reads a file batch by batch and appends what it has made of some thousands of rows; lines of several files
come mixed, for no order is promised. Memory is bounded by the batches, whatever the files hold.
"""

import os
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.errors import LakeUnavailable
from chronolake.query.export.csv_fields import pieces
from chronolake.query.export.csv_lines import lines

#: Rows whose columns are made texts at a time: as many as these bytes hold in the file, but no more than are counted.
_BATCH_BYTES, _BATCH_ROWS = 64 << 20, 1 << 16
#: What is written at a time. In pieces of 4 MB the kernel took twice the time, for it looks for larger pages.
_WRITTEN_BYTES = 256 << 10
_NOTHING = pa.nulls(0)


class Appending:
    """Lines of whole files on their way behind what is in `target`; once it is halted, no more is written."""

    def __init__(self, target: Path, *, always_quoted: Collection[str]) -> None:
        self._target = target
        self._always_quoted = always_quoted
        self._halted = threading.Event()
        self._lock = threading.Lock()
        #: of those that were appended
        self.rows = 0
        #: of the target
        self.bytes = 0

    def halt(self) -> None:
        """Write no more; `append` returns."""
        self._halted.set()

    def append(self, files: Sequence[Path], threads: int) -> bool:
        """Append a line for each row of the files; whether it came to its end.

        Their columns have types that `csv_fields` knows, and their times lie where that has texts for them.

        Raises:
            LakeUnavailable: a file of the lake cannot be read.
            OSError: the target cannot be written.
        """
        with (
            self._target.open("ab", buffering=0) as target,
            ThreadPoolExecutor(threads, "export-csv") as pool,
        ):
            self.bytes = target.tell()
            # Large ones first, so that all threads end at about the same time.
            jobs = sorted(files, key=_bytes_of, reverse=True)
            list(pool.map(lambda path: self._append(path, target.fileno()), jobs))
        return not self._halted.is_set()

    def _append(self, path: Path, target: int) -> None:
        try:
            for columns, rows in _read(path):
                fields = [
                    pieces(column, always_quoted=name in self._always_quoted) for name, column in columns
                ]
                for made in lines(fields, rows):
                    if self._halted.is_set():
                        return
                    self._write(target, memoryview(made))
                with self._lock:
                    self.rows += rows
        except BaseException:
            self.halt()
            raise

    def _write(self, target: int, data: memoryview) -> None:
        with self._lock:
            while data:
                written = os.write(target, data[:_WRITTEN_BYTES])
                self.bytes += written
                data = data[written:]


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> Iterator[tuple[list[tuple[str, pa.Array]], int]]:
    """The named columns of each batch of a file, and its rows; a column that has no value there is empty."""
    try:
        metadata = pq.read_metadata(path)
        names = metadata.schema.to_arrow_schema().names
        # Their dictionaries are made texts, not each of their rows.
        with pq.ParquetFile(path, metadata=metadata, read_dictionary=_with_dictionary(metadata)) as file:
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                rows = max(
                    1, min(_BATCH_ROWS, _BATCH_BYTES * group.num_rows // max(1, group.total_byte_size))
                )
                held = _with_values(group)
                for batch in file.iter_batches(rows, row_groups=[number], columns=held, use_threads=False):
                    found = dict(zip(batch.schema.names, batch.columns, strict=True))
                    yield [(name, found.get(name, _NOTHING)) for name in names], batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _with_dictionary(metadata: pq.FileMetaData) -> list[str]:
    if not metadata.num_row_groups:
        return []
    return [
        column.path_in_schema
        for column in _columns(metadata.row_group(0))
        if column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page
    ]


def _with_values(group: pq.RowGroupMetaData) -> list[str]:
    return [
        column.path_in_schema
        for column in _columns(group)
        if column.statistics is None or column.statistics.null_count != group.num_rows
    ]


def _columns(group: pq.RowGroupMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    return (group.column(place) for place in range(group.num_columns))


def _unreadable(path: Path, error: Exception) -> LakeUnavailable:
    return LakeUnavailable(f"the lake's file {path} cannot be read: {error}")
