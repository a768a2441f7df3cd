"""Lake files laid down by our own writer, for DuckLake to adopt.

DuckDB deals inserted rows out to partitions through small buffers, which lets some rows overtake others; only
one thread of it could write a sorted file, and pages have the size it likes. So each partition is gathered,
sorted and written here, several side by side. A file is on the disk before the catalog hears of it.
"""

import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chronolake.errors import LakeUnavailable, StorageFull
from chronolake.lake.order import Part
from chronolake.lake.parquet import FULL, sync_folder, write_file
from chronolake.settings import ParquetSettings

#: At some 65 bytes a capture a file has about 128 MB, which opens fast and is still worth skipping.
MAX_FILE_ROWS = 2_000_000


@dataclass
class FileWriter:
    """Writes the files of one lake transaction, and removes them where it comes to nothing."""

    #: folder of the lake's schema, one folder a table in it
    folder: Path
    parquet: ParquetSettings
    threads: int
    _written: list[Path] = field(default_factory=list)

    def write(self, table_name: str, parts: Iterable[Part], names: tuple[str, ...]) -> list[Path]:
        """Write each part as files below `<name>=<value>` folders for `names`; return the files.

        Raises:
            StorageFull: no room.
            LakeUnavailable: the lake's folder cannot be written.
        """
        jobs = [
            (self._path(table_name, names, part.values), piece)
            for part in parts
            for piece in part.cut(MAX_FILE_ROWS)
        ]
        # Known before it exists, so that a file cut short is removed too.
        self._written += [path for path, _ in jobs]
        with _storage(self.folder), ThreadPoolExecutor(self.threads, "lake-file") as pool:
            for done in [pool.submit(self._write, path, part) for path, part in jobs]:
                done.result()
            for folder in {path.parent for path, _ in jobs}:
                sync_folder(folder)
        return [path for path, _ in jobs]

    def discard(self) -> None:
        """Remove every file written; to be called where the lake will never hear of them."""
        for path in self._written:
            path.unlink(missing_ok=True)
        self._written.clear()

    def _path(self, table_name: str, names: tuple[str, ...], values: tuple[int, ...]) -> Path:
        folders = [f"{name}={value}" for name, value in zip(names, values, strict=True)]
        return self.folder.joinpath(table_name, *folders, f"chronolake-{uuid.uuid4()}.parquet")

    def _write(self, path: Path, part: Part) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, part.rows(), self.parquet)


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
