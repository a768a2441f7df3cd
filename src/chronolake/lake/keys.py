"""Where in the lake's files the row of a key lies: an index beside the lake, derived from its files.

A change names its row by key, a delete file names it by file and position, and a file is sorted by something else. So
for each file its keys are kept in order with their positions: in memory for small files, in a mapped file for large
ones. The index may be lost at any time; it is read anew from the lake's files.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.capture.columns import Table
from chronolake.lake.records import LiveFile

#: Keys as pairs of 64-bit numbers, one row each.
Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
#: A key and its position take 20 bytes; files of fewer rows than this are kept in memory.
MEMORY_ROWS = 100_000


@dataclass(frozen=True)
class Found:
    """Rows that were found: the number of the key that was asked for, and the position in the file."""

    key: Places
    place: Places


def keys_of(column: pa.ChunkedArray | pa.Array) -> Keys:
    """The keys of a column: a UUID is itself, a number is itself, a text is its hash of 128 bits."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if array.type == pa.uuid():
        storage = array.storage
        pairs = np.frombuffer(storage.buffers()[1], ">u8")[
            2 * storage.offset : 2 * (storage.offset + len(storage))
        ]
        return pairs.astype(np.uint64).reshape(-1, 2)
    keys = np.zeros((len(array), 2), np.uint64)
    if pa.types.is_integer(array.type):
        keys[:, 0] = array.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64)
    else:
        texts = b"".join(
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            for text in array.to_pylist()
        )
        keys[:] = np.frombuffer(texts, np.uint64).reshape(-1, 2)
    return keys


@dataclass(frozen=True)
class _Sorted:
    """The keys of one file in order, each with its position in the file."""

    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    place: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, keys: Keys) -> "_Sorted":
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        return cls(keys[order, 0].copy(), keys[order, 1].copy(), order.astype(np.uint32))

    def find(self, keys: Keys) -> Found:
        """Those of `keys` that are here, and every row of each: a file that is wrong may hold one twice."""
        if not len(self.high) or not len(keys):
            return Found(np.empty(0, np.int64), np.empty(0, np.int64))
        inside = np.flatnonzero((keys[:, 0] >= self.high[0]) & (keys[:, 0] <= self.high[-1]))
        at = np.searchsorted(self.high, keys[inside, 0])
        found_key: list[Places] = []
        found_at: list[Places] = []
        # Keys of one first half lie side by side: step on while it is the same.
        while len(inside):
            same = (at < len(self.high)) & (self.high[np.minimum(at, len(self.high) - 1)] == keys[inside, 0])
            inside, at = inside[same], at[same]
            hit = self.low[at] == keys[inside, 1]
            found_key.append(inside[hit])
            found_at.append(at[hit])
            at = at + 1
        key = np.concatenate(found_key) if found_key else np.empty(0, np.int64)
        place = np.concatenate(found_at) if found_at else np.empty(0, np.int64)
        return Found(key, self.place[place].astype(np.int64))


class KeyIndex:
    """The keys of one table's files. For one thread at a time."""

    def __init__(self, table: Table, *, lake: Path, folder: Path) -> None:
        self._key = table.key
        self._lake = lake
        self._folder = folder
        self._known: dict[str, _Sorted] = {}

    def add(self, path: str, keys: Keys) -> None:
        """Take note of a file whose keys are at hand, in the order of its rows."""
        self._known[path] = self._kept(path, _Sorted.of(keys))

    def find(self, file: LiveFile, keys: Keys) -> Found:
        """Those of `keys` that the file holds, rows that were deleted from it included."""
        known = self._known.get(file.path)
        if known is None:
            known = self._mapped(file.path) or self._kept(file.path, self._read(file.path))
            self._known[file.path] = known
        return known.find(keys)

    def forget_all_but(self, files: Sequence[LiveFile]) -> list[str]:
        """Let go of files that are no part of the table any more; which."""
        live = {file.path for file in files}
        gone = [path for path in self._known if path not in live]
        for path in gone:
            del self._known[path]
            self._place(path).unlink(missing_ok=True)
        return gone

    def _read(self, path: str) -> _Sorted:
        rows = pq.ParquetFile(self._lake / path).read(columns=[self._key])
        return _Sorted.of(keys_of(rows[self._key]))

    def _kept(self, path: str, found: _Sorted) -> _Sorted:
        """The same, in a mapped file where it is large."""
        if len(found.high) < MEMORY_ROWS:
            return found
        place = self._place(path)
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = place.with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as sink:
            for part in (found.high, found.low, found.place):
                sink.write(part.tobytes())
        temporary.rename(place)
        return self._mapped(path) or found

    def _mapped(self, path: str) -> _Sorted | None:
        place = self._place(path)
        try:
            rows = place.stat().st_size // 20
            whole = np.memmap(place, np.uint8, "r")
        except (OSError, ValueError):
            return None
        high, low, position = whole[: 8 * rows], whole[8 * rows : 16 * rows], whole[16 * rows : 20 * rows]
        return _Sorted(high.view(np.uint64), low.view(np.uint64), position.view(np.uint32))

    def _place(self, path: str) -> Path:
        # A lake file's name is a UUID, so the folders before it tell nothing.
        return self._folder / f"{Path(path).stem}.keys"
