"""Small files become sorted ones, beside ingest and changes that go on.

`plan` decides and is pure. `Compactor` reads and writes without any lock, and keeps where each row went; only then,
in one short commit, are the old files ended and the new ones added. Rows that were deleted in between are found by
comparing delete files, and are deleted from the new files in the same commit. Files that meanwhile ended by other
hands make the merge give up, and leave nothing. Older snapshots keep the old files.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chronolake import faults
from chronolake.capture.columns import Table
from chronolake.errors import LakeUnavailable, SchemaMismatch
from chronolake.lake.commit import Catalog, Commit, live_files
from chronolake.lake.files import FileWriter, Piece
from chronolake.lake.keys import MEMORY_ROWS, KeyIndex, Places, keys_of
from chronolake.lake.layout import partition_keys, partition_names
from chronolake.lake.order import Run, order_of, taken
from chronolake.lake.records import DataFile, LakeTable, LiveFile
from chronolake.lake.stream_notes import stream_checkpoint
from chronolake.lake.writer import HOT_ROWS
from chronolake.telemetry import logs

#: Files near this size skip well and open fast (docs/decisions/0003-lake-layout.md).
TARGET_FILE_BYTES = 128_000_000
#: First half of the key of the advisory lock of a table's compactor: "lkcp" in ASCII; the other is the table.
COMPACTION_LOCK = 0x6C6B6370
#: Columns are read side by side while they have fewer cells than this: many small files are read once, and of large
#: ones a column at a time is in memory beside the sorted ones.
CELLS_AT_ONCE = 2_000_000
#: Field numbers stand in a Parquet file's columns under this name.
_FIELD_ID = b"PARQUET:field_id"

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class Limits:
    """How far one merge may go, and when one is worth it."""

    target_bytes: int = TARGET_FILE_BYTES
    #: Rows of one merge. A capture takes some 500 bytes in memory, and a column is there twice: below 1 GiB in all.
    rows: int = 1_000_000
    #: Files of one merge: opening more takes longer than changes should pile up.
    files: int = 500
    #: So many files of a size become one of the next size, four times as large: each row is written once a size.
    fan_in: int = 4
    #: From this share of deleted rows on, reading over them costs more than writing the rest anew.
    deleted_share: float = 0.3


class Kind(StrEnum):
    """What a merge is for."""

    GATHER = "gather"  #: hot files become a larger hot file: too few rows to deal out
    DEAL = "deal"  #: hot files are dealt out to their partitions
    MERGE = "merge"  #: files of one partition become a larger one
    REWRITE = "rewrite"  #: a file is written anew without its many deleted rows


@dataclass(frozen=True)
class Merge:
    """Files of one table that become others, which hold the same rows; `apart`, one at least for each partition."""

    kind: Kind
    inputs: tuple[LiveFile, ...]
    apart: bool = True

    @property
    def rows(self) -> int:
        """How many rows it writes."""
        return sum(file.live_rows for file in self.inputs)


@dataclass(frozen=True)
class Merged:
    """What a merge did; `swap_s` is for how long commits of others waited."""

    kind: Kind
    files_in: int
    files_out: int
    rows: int
    bytes_in: int
    bytes_out: int
    seconds: float
    swap_s: float
    snapshot_id: int


def plan(files: Sequence[LiveFile], held: LakeTable, limits: Limits) -> list[Merge]:
    """The merges that the files of one table need now, none of which shares a file with another; often none.

    Files grow by a factor at each merge, so a row is written again only as often as its file's size has that factor.
    Once they are carried out, and planned for again until nothing is left, few files of each size remain.
    """
    if held.layout is None:
        return []
    hot = [file for file in files if _is_hot(file, held)]
    merges = _of_hot(hot, limits)
    groups: dict[tuple[int, ...], list[LiveFile]] = {}
    for file in files:
        if not _is_hot(file, held):
            groups.setdefault(tuple(min(values) for values in file.partitions), []).append(file)
    for _, group in sorted(groups.items()):
        small = [file for file in group if not _is_full(file, limits)]
        merges += [Merge(Kind.MERGE, run) for run in _tiered(small, limits)]
    merging = {file.data_file_id for merge in merges for file in merge.inputs}
    return merges + [
        Merge(Kind.REWRITE, (file,), apart=not (_is_hot(file, held) and file.live_rows <= HOT_ROWS))
        for file in files
        if file.data_file_id not in merging and _is_worn(file, limits)
    ]


def _is_hot(file: LiveFile, held: LakeTable) -> bool:
    """Whether it has yet to be dealt out: it spans partitions, or was written when there were others."""
    return file.partition_id != held.partition_id or any(len(values) > 1 for values in file.partitions)


def _is_full(file: LiveFile, limits: Limits) -> bool:
    """Whether it is so large that a merge would gain little."""
    live_bytes = file.bytes * file.live_rows // max(1, file.rows)
    return file.live_rows >= limits.rows // 2 or live_bytes >= limits.target_bytes // 2


def _is_worn(file: LiveFile, limits: Limits) -> bool:
    """Whether so much of it is deleted that it is worth writing anew. Small files are merged before long."""
    return file.rows > HOT_ROWS and file.deleted >= file.rows * limits.deleted_share


def _of_hot(hot: Sequence[LiveFile], limits: Limits) -> list[Merge]:
    """Deal hot files out once they have enough rows for all the partitions they span; until then, gather them."""
    foreign = [file for file in hot if not any(len(values) > 1 for values in file.partitions)]
    spanned = prod(len(values) for values in _spanned(hot)) if hot else 0
    rows = sum(file.live_rows for file in hot)
    if foreign or rows >= min(limits.rows // 2, HOT_ROWS * spanned):
        # The largest first: they bring the most rows for the fewest files.
        largest = sorted(hot, key=lambda file: (-file.live_rows, file.data_file_id))
        return [Merge(Kind.DEAL, run) for run in _cut(largest, limits)] if hot else []
    return [Merge(Kind.GATHER, run, apart=False) for run in _tiered(hot, limits)]


def _spanned(files: Iterable[LiveFile]) -> list[set[int]]:
    """The values that each partition key has in any of the files."""
    found: list[set[int]] = []
    for file in files:
        for key, values in enumerate(file.partitions):
            if key == len(found):
                found.append(set())
            found[key] |= values
    return found


def _tiered(files: Sequence[LiveFile], limits: Limits) -> list[tuple[LiveFile, ...]]:
    """Runs to merge: the files of the largest size that has enough of them, and all that are smaller."""
    sizes = Counter(_size(file, limits) for file in files)
    crowded = [size for size, count in sizes.items() if count >= limits.fan_in]
    if not crowded:
        return []
    chosen = sorted(
        (file for file in files if _size(file, limits) <= max(crowded)),
        key=lambda file: (file.live_rows, file.data_file_id),
    )
    return [run for run in _cut(chosen, limits) if len(run) >= limits.fan_in or _fills(run, limits)]


def _size(file: LiveFile, limits: Limits) -> int:
    """Powers of the factor in its rows. Rows add up as bytes do not: a Parquet file of one row has kilobytes."""
    size, rows = 0, file.live_rows
    while rows >= limits.fan_in:
        rows //= limits.fan_in
        size += 1
    return size


def _fills(run: Sequence[LiveFile], limits: Limits) -> bool:
    """Whether a run makes a full file."""
    return len(run) > 1 and sum(file.live_rows for file in run) >= limits.rows // 2


def _cut(files: Sequence[LiveFile], limits: Limits) -> list[tuple[LiveFile, ...]]:
    """The files in runs that stay within the limits; one file by itself may be larger than they allow."""
    runs: list[list[LiveFile]] = []
    rows = size = 0
    for file in files:
        rows += file.live_rows
        size += file.bytes
        within = rows <= limits.rows and size <= limits.target_bytes * 2
        if not runs or not within or len(runs[-1]) == limits.files:
            runs.append([])
            rows, size = file.live_rows, file.bytes
        runs[-1].append(file)
    return [tuple(run) for run in runs]


@dataclass(frozen=True)
class _Input:
    """A file as it was read: the positions that were live, of which the first is the row `start` of all."""

    file: LiveFile
    live: Places
    start: int


@dataclass
class Prepared:
    """A merge whose files are written, but not yet part of the lake."""

    table: Table
    held: LakeTable
    merge: Merge
    outputs: list[DataFile]
    files: FileWriter
    inputs: list[_Input]
    #: for each row that was read, its output file and its position there
    target: npt.NDArray[np.int32]
    place: npt.NDArray[np.int64]
    seconds: float

    def moved(self, file_number: int, gone: Places) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Where rows of an input went, by their positions in it."""
        source = self.inputs[file_number]
        row = source.start + np.searchsorted(source.live, gone)
        return self.target[row], self.place[row]


class Compactor:
    """Carries merges out in one lake. For one thread at a time; several processes take turns by table."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        lake: Path,
        keys: Path,
        files: Callable[[], FileWriter],
        cursor: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
        tables: Callable[[], Mapping[str, Table]],
        limits: Limits | None = None,
    ) -> None:
        self._catalog = catalog
        self._tables = tables
        self._lake = lake
        self._keys = keys
        self._files = files
        self._cursor = cursor
        self.limits = limits or Limits()

    def pending(self) -> dict[str, list[Merge]]:
        """The merges that each table needs now; from the catalog alone. Tables that need none are left out."""
        held, tables = self._catalog.tables(), self._tables()
        found: dict[str, list[Merge]] = {}
        with self._catalog.reading() as conn:
            for name, table in tables.items():
                if name in held and _is_ours(table, held[name]):
                    merges = plan(live_files(conn, held[name].table_id), held[name], self.limits)
                    if merges:
                        found[name] = merges
        return found

    def compact(self) -> Iterator[Merged]:
        """Carry out merges until there is nothing left to do; tables that another process compacts are passed over.

        Raises:
            LakeError: what was merged before it holds.
        """
        tables = self._tables()
        for name in self.pending():
            held = self._catalog.tables()[name]
            with self._catalog.alone(COMPACTION_LOCK, held.table_id) as free:
                while free and (merges := self.pending().get(name)):
                    done = [merged for merge in merges if (merged := self.run(tables[name], merge))]
                    yield from done
                    if not done:
                        # Others end these files faster than they are merged; the next round looks again.
                        break

    def run(self, table: Table, merge: Merge) -> Merged | None:
        """Carry out one merge; null where its files were ended by other hands meanwhile.

        Raises:
            LakeBusy: another process committed at the same time; nothing was changed.
            LakeUnavailable: the catalog was lost, or a file cannot be read.
            SchemaMismatch: a file holds a column of another type than is declared.
            StorageFull: no room for the new files.
        """
        return self.swap(self.prepare(table, merge))

    def prepare(self, table: Table, merge: Merge) -> Prepared:
        """Read the inputs and write the files that are to stand for them; no lock is held.

        Raises:
            LakeUnavailable: a file cannot be read.
            SchemaMismatch: a file holds a column of another type than is declared.
            StorageFull: no room for the new files.
        """
        started = time.perf_counter()
        held = self._catalog.tables()[table.name]
        files = self._files()
        try:
            source = _Source.open(self._lake / held.folder, merge.inputs, table, held)
            outputs, target, place = self._written(source, merge, files)
        except BaseException:
            files.discard()
            raise
        return Prepared(
            table, held, merge, outputs, files, source.inputs, target, place, time.perf_counter() - started
        )

    def swap(self, prepared: Prepared) -> Merged | None:
        """Let the files of a merge stand for its inputs, in one commit; null where an input is no more.

        Raises:
            LakeBusy: another process committed at the same time; nothing was changed.
            LakeUnavailable: the catalog was lost.
            StorageFull: no room for the new files.
        """
        try:
            # Most of what was deleted meanwhile is read before others wait.
            known: dict[str, Places] = {}
            with self._catalog.reading() as conn:
                now = live_files(conn, prepared.held.table_id)
            self._gone(prepared, {file.data_file_id: file for file in now}, known)
            merged = self._swapped(prepared, known)
        except LakeUnavailable:
            # The commit may have happened: files that no snapshot knows cost room, missing ones data.
            raise
        except BaseException:
            prepared.files.discard()
            raise
        if merged is None:
            prepared.files.discard()
            _log.info("lake.merge_overtaken", table=prepared.table.name, kind=prepared.merge.kind)
            return None
        faults.reach("compaction.after_swap")
        return merged

    def _swapped(self, prepared: Prepared, known: dict[str, Places]) -> Merged | None:
        merge = prepared.merge
        with self._catalog.commit() as commit:
            began = time.perf_counter()
            now = _still_there(commit, prepared)
            if now is None:
                return None
            deletes = prepared.files.write_deletes(prepared.held, self._gone(prepared, now, known))
            commit.replace(
                prepared.table, [file.data_file_id for file in merge.inputs], prepared.outputs, deletes
            )
            faults.reach("compaction.before_swap")
            snapshot_id = commit.finish()
        return Merged(
            kind=merge.kind,
            files_in=len(merge.inputs),
            files_out=len(prepared.outputs),
            rows=len(prepared.target),
            bytes_in=sum(file.bytes for file in merge.inputs),
            bytes_out=sum(file.bytes for file in prepared.outputs),
            seconds=prepared.seconds,
            swap_s=time.perf_counter() - began,
            snapshot_id=snapshot_id,
        )

    def _gone(
        self, prepared: Prepared, now: Mapping[int, LiveFile], known: dict[str, Places]
    ) -> dict[int, tuple[str, Places]]:
        """The rows that were deleted from the inputs since they were read, as positions in the outputs."""
        moved = []
        for number, source in enumerate(prepared.inputs):
            file = now.get(source.file.data_file_id)
            if file is None or file.delete_path is None or file.delete_path == source.file.delete_path:
                continue
            if file.delete_path not in known:
                known[file.delete_path] = deleted_places(self._lake / prepared.held.folder / file.delete_path)
            moved.append(prepared.moved(number, np.intersect1d(known[file.delete_path], source.live)))
        if not moved:
            return {}
        target = np.concatenate([targets for targets, _ in moved])
        place = np.concatenate([places for _, places in moved])
        return {
            int(number): (prepared.outputs[number].path, np.sort(place[target == number]))
            for number in np.unique(target)
        }

    def _written(
        self, source: "_Source", merge: Merge, files: FileWriter
    ) -> tuple[list[DataFile], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        rows = sum(len(part.live) for part in source.inputs)
        target, place = np.zeros(rows, np.int32), np.zeros(rows, np.int64)
        if not rows:
            return [], target, place
        table, held = source.table, source.held
        values, names = self._partitions(source)
        order, runs = order_of(source.sort_columns(), table, values if merge.apart else [])
        whole = source.in_order(order)
        if merge.apart:
            pieces = [_piece(run, whole, names) for run in runs]
        else:
            spanned = tuple(tuple(pc.unique(value).to_pylist()) for value in values)
            pieces = [Piece(run.of(whole), spanned, ()) for run in runs]
        outputs = files.write(held, pieces)
        start = 0
        for number, output in enumerate(outputs):
            moved = order[start : start + output.rows]
            target[moved], place[moved] = number, np.arange(output.rows)
            start += output.rows
        self._note_keys(table, held, outputs, whole)
        return outputs, target, place

    def _partitions(self, source: "_Source") -> tuple[list[pa.ChunkedArray], tuple[str, ...]]:
        """The value of each partition key for each row, and the keys' names."""
        if source.held.layout is None:
            raise LakeUnavailable(
                f"{source.table.name} is partitioned in a way that chronolake does not know"
            )
        keys = partition_keys(source.table, source.held.layout)
        if not keys:
            return [], ()
        listed = ", ".join(f"{key} AS c{number}" for number, key in enumerate(keys))
        with self._cursor() as cursor:
            cursor.register("given", source.sort_columns())
            found = cursor.execute(f"SELECT {listed} FROM given").to_arrow_table()
        return list(found.columns), partition_names(source.held.layout)

    def _note_keys(self, table: Table, held: LakeTable, outputs: Sequence[DataFile], whole: pa.Table) -> None:
        """Index the keys of large files now, for the first change that meets one would hold all others up."""
        with self._catalog.reading() as conn:
            if stream_checkpoint(conn) is None:
                return
        index = KeyIndex(table, lake=self._lake / held.folder, folder=self._keys)
        start = 0
        for output in outputs:
            # Smaller ones are not kept on the disk, and are read in a moment.
            if output.rows >= MEMORY_ROWS:
                index.add(output.path, keys_of(whole[table.key].slice(start, output.rows)))
            start += output.rows


@dataclass
class _Source:
    """The live rows of the inputs, one file's after another's, read column by column."""

    table: Table
    held: LakeTable
    files: list[pq.ParquetFile]
    inputs: list[_Input]

    @classmethod
    def open(cls, folder: Path, inputs: Sequence[LiveFile], table: Table, held: LakeTable) -> "_Source":
        found, start = [], 0
        for file in inputs:
            live = np.arange(file.rows)
            if file.delete_path is not None:
                live = np.setdiff1d(live, deleted_places(folder / file.delete_path), assume_unique=True)
            found.append(_Input(file, live, start))
            start += len(live)
        opened = [pq.ParquetFile(folder / file.path) for file in inputs]
        return cls(table, held, opened, found)

    def sort_columns(self) -> pa.Table:
        """The columns that decide where a row goes."""
        named = [*self.table.sort, self.table.bucket_by, self.table.time]
        return self._read(list(dict.fromkeys(name for name in named if name is not None)))

    def in_order(self, order: npt.NDArray[np.int64]) -> pa.Table:
        """Every column, in an order."""
        names = [column.name for column in self.table.columns]
        step = max(1, CELLS_AT_ONCE // len(order))
        columns: list[pa.Array] = []
        for start in range(0, len(names), step):
            # In a function of its own, so that nothing of it outlives the step.
            columns += self._taken(names[start : start + step], order)
        return pa.table(columns, names=names)

    def _taken(self, names: Sequence[str], order: npt.NDArray[np.int64]) -> list[pa.Array]:
        return [taken(column, order) for column in self._read(names).columns]

    def _read(self, names: Sequence[str]) -> pa.Table:
        parts = [
            self._of_file(file, source, names) for file, source in zip(self.files, self.inputs, strict=True)
        ]
        return pa.concat_tables(parts)

    def _of_file(self, file: pq.ParquetFile, source: _Input, names: Sequence[str]) -> pa.Table:
        there = _names_in(file.schema_arrow, self.held)
        read = file.read(columns=[there[name] for name in names if name in there], use_threads=False)
        columns = [
            _as(read[there[name]], self.table[name].arrow, name)
            if name in there
            else pa.nulls(source.file.rows, self.table[name].arrow)
            for name in names
        ]
        rows = pa.table(columns, names=list(names))
        return rows if len(source.live) == source.file.rows else rows.take(pa.array(source.live))


def deleted_places(path: Path) -> Places:
    """The positions that a delete file names, sorted."""
    rows = pq.ParquetFile(path).read(columns=["pos"])
    return np.sort(rows["pos"].to_numpy())


def _piece(run: Run, whole: pa.Table, names: Sequence[str]) -> Piece:
    folders = tuple(f"{name}={value}" for name, value in zip(names, run.values, strict=True))
    return Piece(run.of(whole), tuple((value,) for value in run.values), folders)


def _still_there(commit: Commit, prepared: Prepared) -> dict[int, LiveFile] | None:
    """The table's files before this commit; null where an input is no more, or the table lies otherwise now."""
    held = commit.tables.get(prepared.table.name)
    if held is None or (held.table_id, held.partition_id) != (
        prepared.held.table_id,
        prepared.held.partition_id,
    ):
        return None
    now = {file.data_file_id: file for file in commit.live(prepared.table)}
    return now if all(source.file.data_file_id in now for source in prepared.inputs) else None


def _names_in(schema: pa.Schema, held: LakeTable) -> dict[str, str]:
    """What a file calls each column: by the lake's number of it, or by name where the file bears no numbers."""
    by_number = {
        int(field.metadata[_FIELD_ID]): field.name
        for field in schema
        if field.metadata and _FIELD_ID in field.metadata
    }
    if not by_number:
        return {name: name for name in held.columns if name in schema.names}
    return {name: by_number[number] for name, number in held.columns.items() if number in by_number}


def _as(column: pa.ChunkedArray, kind: pa.DataType, name: str) -> pa.ChunkedArray:
    """The column as it is declared: an older file may hold a narrower number."""
    if column.type == kind:
        return column
    if kind == pa.uuid() and column.type == pa.binary(16):
        return pa.chunked_array(
            [pa.ExtensionArray.from_storage(kind, chunk) for chunk in column.chunks], kind
        )
    try:
        return column.cast(kind)
    except pa.ArrowException as error:
        raise SchemaMismatch(
            f"{name} is {column.type} in a file of the lake, declared {kind}: {error}",
            hint="A newer chronolake wrote it; upgrade this one.",
        ) from error


def _is_ours(table: Table, held: LakeTable) -> bool:
    """Whether we know every column: what a newer version added must not be lost by writing rows anew."""
    unknown = sorted(set(held.columns) - {column.name for column in table.columns})
    if unknown:
        _log.info("lake.not_compacted", table=table.name, unknown_columns=unknown)
    return not unknown
