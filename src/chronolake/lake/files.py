"""Lake files laid down by our own writer; a commit makes them part of the lake.

DuckDB deals inserted rows out to partitions through small buffers, which lets some rows overtake others; only
one thread of it could write a sorted file, and pages have the size it likes. So each partition is gathered,
sorted and written here, several side by side. A file is on the disk before the catalog hears of it.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chronolake import faults
from chronolake.errors import LakeUnavailable, StorageFull
from chronolake.lake.order import Part
from chronolake.lake.parquet import FULL, footer_bytes, sync_folder, with_field_ids, write_file
from chronolake.lake.records import DataFile, DeleteFile, LakeTable
from chronolake.lake.stats import column_stats
from chronolake.settings import ParquetSettings

#: At some 65 bytes a capture a file has about 128 MB, which opens fast and is still worth skipping.
MAX_FILE_ROWS = 2_000_000
#: Field numbers that the Iceberg and DuckLake formats reserve for the columns of a delete file.
_DELETE_FIELDS = {"file_path": 2147483646, "pos": 2147483645}

_Written = TypeVar("_Written", DataFile, DeleteFile)


@dataclass(frozen=True)
class Piece:
    """What one file holds: rows, the values of the partition keys in it, and the folders it lies in."""

    part: Part
    partitions: tuple[tuple[int, ...], ...]
    folders: tuple[str, ...]


@dataclass
class FileWriter:
    """Writes the files of one lake commit, and removes them where it comes to nothing."""

    #: folder of the lake
    root: Path
    parquet: ParquetSettings
    threads: int
    _written: list[Path] = field(default_factory=list)

    def write(self, table: LakeTable, pieces: Sequence[Piece]) -> list[DataFile]:
        """Write each piece as files of at most MAX_FILE_ROWS rows.

        Raises:
            StorageFull: no room.
            LakeUnavailable: the lake's folder cannot be written.
        """
        jobs = [(piece, part) for piece in pieces for part in piece.part.cut(MAX_FILE_ROWS)]

        def one(job: tuple[Piece, Part], path: Path) -> DataFile:
            piece, part = job
            rows = with_field_ids(part.rows(), table.columns)
            write_file(path, rows, self.parquet)
            return DataFile(
                path=str(path.relative_to(self.root / table.folder)),
                rows=rows.num_rows,
                bytes=path.stat().st_size,
                footer_bytes=footer_bytes(path),
                partitions=piece.partitions,
                stats=column_stats(rows),
            )

        places = [self._path(table, piece.folders, "chronolake") for piece, _ in jobs]
        return self._all(one, jobs, places)

    def write_deletes(
        self, table: LakeTable, deleted: dict[int, tuple[str, npt.NDArray[np.int64]]]
    ) -> dict[int, DeleteFile]:
        """Write a delete file for each data file: by its number, its path and the rows that are no more, sorted.

        Raises:
            StorageFull: no room.
            LakeUnavailable: the lake's folder cannot be written.
        """

        def one(job: tuple[str, npt.NDArray[np.int64]], path: Path) -> DeleteFile:
            target, places = job
            name = str(self.root / table.folder / target)
            rows = pa.table(
                {
                    "file_path": pa.DictionaryArray.from_arrays(
                        pa.array(np.zeros(len(places), np.int32)), pa.array([name])
                    ).cast(pa.string()),
                    "pos": pa.array(places, pa.int64()),
                }
            )
            write_file(path, with_field_ids(rows, _DELETE_FIELDS), self.parquet)
            return DeleteFile(
                path=str(path.relative_to(self.root / table.folder)),
                rows=len(places),
                bytes=path.stat().st_size,
                footer_bytes=footer_bytes(path),
            )

        paths = [self._path(table, (), "chronolake-delete") for _ in deleted]
        return dict(zip(deleted, self._all(one, list(deleted.values()), paths), strict=True))

    def discard(self) -> None:
        """Remove every file written; to be called where the lake will never hear of them."""
        for path in self._written:
            path.unlink(missing_ok=True)
        self._written.clear()

    def _all(
        self, write: Callable[..., _Written], jobs: Sequence[object], paths: Sequence[Path]
    ) -> list[_Written]:
        # Known before they exist, so that a file cut short is removed too.
        self._written += paths
        folders = {path.parent for path in paths}
        with _storage(self.root), ThreadPoolExecutor(self.threads, "lake-file") as pool:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            written = list(pool.map(write, jobs, paths))
            for folder in folders:
                sync_folder(folder)
            faults.reach("lake.files_written")
        return written

    def _path(self, table: LakeTable, folders: tuple[str, ...], kind: str) -> Path:
        return (self.root / table.folder).joinpath(*folders, f"{kind}-{uuid.uuid4()}.parquet")


@contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """Call a full disk, and a folder that cannot be written, by their names."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(f"no room for the lake's files in {folder}") from error
        raise LakeUnavailable(
            f"the lake's files cannot be written to {folder}: {error.strerror or error}",
            hint="Give this user the right to write there, or set CHRONOLAKE_LAKE_PATH.",
        ) from error
