"""How changes of rows enter the lake: what is no more goes by its position, what is now comes as a file.

Exactly once is kept by whoever calls: changes and checkpoint are one commit, and what is at or below the checkpoint
is not brought again. Bringing changes again does no harm either: a row is put in the place of the one of its key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.capture.columns import Table
from chronolake.lake.commit import Commit
from chronolake.lake.engine import identifier
from chronolake.lake.files import FileWriter
from chronolake.lake.keys import KeyIndex, Keys, Places, keys_of
from chronolake.lake.parquet import names_by_field
from chronolake.lake.records import LakeTable, LiveFile
from chronolake.lake.writer import lay_down

#: Gives the rows of a table that have these keys, as they are in PostgreSQL now.
Refetch = Callable[[Table, pa.ChunkedArray], pa.Table]


@dataclass(frozen=True)
class TableChanges:
    """What became of the rows of one table, each key once, as its last change left it.

    `rows` are the rows that are now, in the table's Arrow schema; `kept` marks, for a column, the rows whose value is
    the one that the lake holds (an unchanged TOAST value), and `was` is the key that the lake has each row under.
    `gone` are keys whose row in the lake is no more, replaced or deleted. `truncated`: the table was emptied before
    all of these.
    """

    table: Table
    rows: pa.Table
    gone: Keys
    truncated: bool = False
    kept: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    was: Keys | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of changes: rows added and rows taken away in the lake, and keys whose kept values were not found.

    `refetched` rows of such keys were asked for anew.
    """

    table: Table
    added: int
    removed: int
    incomplete: Keys
    refetched: int = 0


@dataclass(frozen=True)
class Applied:
    """The snapshot that holds changes, and what came of each of them."""

    snapshot_id: int
    outcomes: tuple[Outcome, ...]


@dataclass
class _Target:
    """A live file and what this commit takes from it."""

    file: LiveFile
    before: Places
    taken: list[Places] = field(default_factory=list)


class ChangeWriter:
    """Applies changes to one lake. For one thread at a time."""

    def __init__(self, *, lake: Path, folder: Path) -> None:
        self._lake = lake
        self._folder = folder
        self._indexes: dict[tuple[str, str], KeyIndex] = {}
        #: by data file: its delete file, and the positions in that
        self._deleted: dict[str, tuple[str, Places]] = {}

    def apply(
        self,
        commit: Commit,
        changes: TableChanges,
        files: FileWriter,
        cursor: duckdb.DuckDBPyConnection,
        refetch: Refetch | None = None,
    ) -> Outcome:
        """Bring the changes of one table into `commit`.

        Raises:
            StorageFull: no room for the lake's files.
        """
        table, held = changes.table, commit.tables[changes.table.name]
        index = self._index(table, held)
        live = commit.live(table)
        self._forget(index, live)
        if changes.truncated:
            commit.end(table, [file.data_file_id for file in live])
            live = []
        targets = [_Target(file, self._deleted_of(held, file)) for file in live]
        rows, incomplete, lost = self._completed(index, held, targets, changes, cursor)
        refetched = 0
        if refetch is not None and len(lost):
            # What the lake has not, it cannot have taken from the stream: a copy of the table passed the row by.
            anew = refetch(table, lost)
            refetched = anew.num_rows
            rows = pa.concat_tables([rows, anew])
        removed = self._take(index, targets, changes.gone)
        self._write_deletes(commit, table, held, targets, files)
        written = lay_down(cursor, table, held, rows, files, noted=index.add)
        commit.add(table, written)
        return Outcome(table, rows.num_rows, removed, incomplete, refetched)

    def _take(self, index: KeyIndex, targets: Sequence[_Target], gone: Keys) -> int:
        """Mark the rows of `gone` keys wherever they are; how many."""
        if not len(gone):
            # Where nothing goes, no file's keys need be read.
            return 0
        # In order, so that a search of many keys walks through a file's keys once.
        keys = gone[np.lexsort((gone[:, 1], gone[:, 0]))]
        removed = 0
        for target in targets:
            places = index.find(target.file, keys).place
            places = places[~_among(places, target.before)]
            if len(places):
                target.taken.append(places)
                removed += len(places)
        return removed

    def _completed(
        self,
        index: KeyIndex,
        held: LakeTable,
        targets: Sequence[_Target],
        changes: TableChanges,
        cursor: duckdb.DuckDBPyConnection,
    ) -> tuple[pa.Table, Keys, pa.ChunkedArray]:
        """The rows with the values that a change left as they are; those that cannot be completed are left out.

        Of these, the key under which the lake should have had them, and the one that they have now.
        """
        rows, kept = changes.rows, changes.kept
        lacking = np.zeros(rows.num_rows, bool)
        for mask in kept.values():
            lacking |= mask
        if not lacking.any():
            return rows, np.empty((0, 2), np.uint64), rows[changes.table.key].slice(0, 0)
        own = keys_of(rows[changes.table.key])
        was = own if changes.was is None else changes.was
        names = list(kept)
        values = self._held_values(
            index, held, targets, cursor, keys=was, wanted=np.flatnonzero(lacking), names=names
        )
        absent = lacking.copy()
        absent[list(values)] = False
        if absent.any():
            # Rows that were staged anew have the keys they got since.
            values |= self._held_values(
                index, held, targets, cursor, keys=own, wanted=np.flatnonzero(absent), names=names
            )
        columns = {name: rows[name].to_pylist() for name in kept}
        for row, old in values.items():
            for name, mask in kept.items():
                if mask[row]:
                    columns[name][row] = old[name]
        for name, filled in columns.items():
            position = rows.schema.get_field_index(name)
            rows = rows.set_column(
                position, rows.schema.field(name), pa.array(filled, rows.schema.field(name).type)
            )
        missing = lacking.copy()
        missing[list(values)] = False
        lost = rows[changes.table.key].filter(pa.array(missing))
        return rows.filter(pa.array(~missing)), was[missing], lost

    def _held_values(
        self,
        index: KeyIndex,
        held: LakeTable,
        targets: Sequence[_Target],
        cursor: duckdb.DuckDBPyConnection,
        *,
        keys: Keys,
        wanted: Places,
        names: Sequence[str],
    ) -> dict[int, dict[str, object]]:
        """What the lake holds of the `wanted` numbers of `keys`, by number; those it lacks are left out."""
        values: dict[int, dict[str, object]] = {}
        for target in targets:
            found = index.find(target.file, keys[wanted])
            live = ~_among(found.place, target.before)
            if live.any():
                places = dict(zip(found.place[live].tolist(), wanted[found.key[live]].tolist(), strict=True))
                read = self._read(held, target.file, names, list(places), cursor)
                values |= {places[place]: row for place, row in read.items()}
        return values

    def _read(
        self,
        held: LakeTable,
        file: LiveFile,
        names: Sequence[str],
        places: Sequence[int],
        cursor: duckdb.DuckDBPyConnection,
    ) -> dict[int, dict[str, object]]:
        """The values of some columns at some positions of a file."""
        path = self._lake / held.folder / file.path
        # A column bears the name that it had when the file was written; its number stays.
        called = names_by_field(path)
        listed = ", ".join(
            identifier(called[held.columns[name]]) if held.columns[name] in called else "NULL"
            for name in names
        )
        found = cursor.execute(
            f"SELECT file_row_number, {listed} FROM read_parquet(?, file_row_number = true)"
            " WHERE list_contains(?::BIGINT[], file_row_number)",
            [str(path), list(places)],
        ).fetchall()
        return {row[0]: dict(zip(names, row[1:], strict=True)) for row in found}

    def _write_deletes(
        self, commit: Commit, table: Table, held: LakeTable, targets: Sequence[_Target], files: FileWriter
    ) -> None:
        now = {
            target.file.data_file_id: (target.file, _union(target.before, np.concatenate(target.taken)))
            for target in targets
            if target.taken
        }
        empty = [number for number, (file, places) in now.items() if len(places) == file.rows]
        commit.end(table, empty)
        some = {
            number: (file.path, places) for number, (file, places) in now.items() if number not in set(empty)
        }
        written = files.write_deletes(held, some)
        commit.delete(table, written)
        for number, delete_file in written.items():
            self._deleted[some[number][0]] = delete_file.path, some[number][1]

    def _deleted_of(self, held: LakeTable, file: LiveFile) -> Places:
        """The positions that are deleted from a file before this commit, sorted."""
        if file.delete_path is None:
            return np.empty(0, np.int64)
        known = self._deleted.get(file.path)
        if known is None or known[0] != file.delete_path:
            rows = pq.ParquetFile(self._lake / held.folder / file.delete_path).read(columns=["pos"])
            known = file.delete_path, np.sort(rows["pos"].to_numpy())
            self._deleted[file.path] = known
        return known[1]

    def _forget(self, index: KeyIndex, live: Sequence[LiveFile]) -> None:
        """Let go of what was known of files that are no part of the table any more."""
        for path in index.forget_all_but(live):
            self._deleted.pop(path, None)

    def _index(self, table: Table, held: LakeTable) -> KeyIndex:
        # A table that was copied anew may have another key.
        place = table.name, table.key
        if place not in self._indexes:
            self._indexes[place] = KeyIndex(table, lake=self._lake / held.folder, folder=self._folder)
        return self._indexes[place]


def _among(places: Places, known: Places) -> npt.NDArray[np.bool_]:
    """Which of `places` are among `known`, which are sorted: those of a file that has long been changed are many."""
    if not len(known):
        return np.zeros(len(places), bool)
    at = np.minimum(np.searchsorted(known, places), len(known) - 1)
    found: npt.NDArray[np.bool_] = known[at] == places
    return found


def _union(known: Places, more: Places) -> Places:
    """Both, sorted, each once; `known` is sorted and has none of `more`."""
    # A stable sort merges what is sorted already.
    return np.sort(np.concatenate([known, np.unique(more)]), kind="stable")
