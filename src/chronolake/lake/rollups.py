"""`Rollups`: makes rollups, and keeps them true by computing anew only those cells whose rows came or went.

A cell is computed from the table itself, as it is in one snapshot; so sums, different values and quantiles are all as
exact as the table's own, and a refresh gives what a rebuild would. Cells and the note of the snapshot that they are
true of enter in one commit.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from psycopg import Connection
from psycopg.types.json import Jsonb

from chronolake.capture.columns import Table
from chronolake.errors import ChronolakeError, LakeError, LakeUnavailable
from chronolake.lake.cells import TOUCHED, cells_of, cells_there, touched_by
from chronolake.lake.changes import ChangeWriter, TableChanges
from chronolake.lake.commit import CATALOG_SCHEMA, Catalog, Commit, live_files
from chronolake.lake.engine import identifier
from chronolake.lake.estimate import Estimate, estimated
from chronolake.lake.files import FileWriter
from chronolake.lake.keys import keys_of
from chronolake.lake.layout import layout_of
from chronolake.lake.records import DataFile
from chronolake.lake.rollup import CELL, Rollup, RollupState, kept_as, states
from chronolake.lake.schema import created
from chronolake.lake.touched import touched
from chronolake.lake.writer import lay_down
from chronolake.settings import Layout
from chronolake.telemetry import logs

#: First half of the key of the advisory lock of a rollup's refresh: "lkru" in ASCII; the other is its table.
REFRESH_LOCK = 0x6C6B7275
#: Cells that are put in order and written at a time, some 200 bytes each in memory.
CELLS_AT_ONCE = 1_000_000
#: From this share of the table's rows on that came or went in whole files, all cells are computed anew.
REBUILD_SHARE = 0.5

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: how many cells were computed, whether all of them, and of which snapshot."""

    name: str
    cells: int
    rebuilt: bool
    snapshot_id: int
    seconds: float


@dataclass(frozen=True)
class _Moment:
    """A snapshot, the oldest one that is kept, and the stream's checkpoint in it."""

    snapshot_id: int
    oldest_id: int
    lsn: str | None
    noted_at: datetime | None


class Rollups:
    """The rollups of one lake. For one thread at a time; several processes take turns by rollup."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        lake: Path,
        keys: Path,
        files: Callable[[], FileWriter],
        reading: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
        evolve: Callable[[Sequence[str]], None],
        layout: Layout,
    ) -> None:
        self._catalog = catalog
        self._lake = lake
        self._files = files
        self._reading = reading
        self._evolve = evolve
        self._layout = layout
        self._writer = ChangeWriter(lake=lake, folder=keys)

    def states(self) -> list[RollupState]:
        """Every rollup and how far it is, oldest first."""
        with self._catalog.reading() as conn:
            return states(conn, CATALOG_SCHEMA)

    def make(self, rollup: Rollup, *, asked: str) -> Refreshed | None:
        """Make a rollup and compute its cells; null where it was there already, or another process makes it.

        `asked` says what for.

        Raises:
            LakeError: a column would have a type that the lake does not keep, or the engine refused.
            LakeBusy: another process committed at the same time.
        """
        typed = self.typed(rollup)
        if typed.name not in self._catalog.tables():
            self._evolve(created(typed.table, layout_of(typed.table, self._layout)))
        with self._catalog.reading() as conn:
            conn.execute(
                "INSERT INTO chronolake_rollups (name, definition, asked) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [typed.name, Jsonb(typed.document()), asked],
            )
        return self.refresh(typed.name)

    def estimates(self, rollups: Sequence[Rollup]) -> dict[str, Estimate]:
        """About what these would take, by name; each table of theirs is scanned once. They need their types.

        Raises:
            LakeError: the engine refused.
        """
        found: dict[str, Estimate] = {}
        for source in sorted({rollup.source for rollup in rollups}):
            alike = [rollup for rollup in rollups if rollup.source == source]
            table_id = self._catalog.tables()[source].table_id
            with self._catalog.reading() as conn:
                files = live_files(conn, table_id)
            with self._reading() as cursor:
                told = estimated(cursor, alike, sum(file.live_rows for file in files))
            found |= {rollup.name: estimate for rollup, estimate in zip(alike, told, strict=True)}
        return found

    def sizes(self) -> dict[str, int]:
        """Bytes that the cells of each rollup take, by name."""
        names = [state.rollup.name for state in self.states()]
        held = self._catalog.tables()
        with self._catalog.reading() as conn:
            return {
                name: sum(file.bytes for file in live_files(conn, held[name].table_id))
                for name in names
                if name in held
            }

    def drop(self, name: str) -> bool:
        """Forget a rollup and its cells; whether there was one. Files go once no kept snapshot needs them.

        Raises:
            LakeBusy: another process committed at the same time.
        """
        with self._catalog.reading() as conn:
            gone = conn.execute("DELETE FROM chronolake_rollups WHERE name = %s", [name]).rowcount
        if name in self._catalog.tables():
            self._evolve([f"DROP TABLE {identifier(name)}"])
        return bool(gone)

    def refresh_all(self, rest_s: Callable[[RollupState], float] = lambda _: 0.0) -> list[Refreshed]:
        """Refresh each rollup that is not true any more. One that fails says so in its state and keeps no other.

        One that was refreshed within `rest_s` seconds is left out; the others go before it.

        Raises:
            LakeUnavailable: the catalog was lost.
        """
        done = []
        for state in self.states():
            name = state.rollup.name
            if state.rested_s is not None and state.rested_s < rest_s(state):
                continue
            try:
                refreshed = self.refresh(name)
            except ChronolakeError as error:
                _log.warning("rollup.failed", rollup=name, error=error.message)
                with self._catalog.reading() as conn:
                    conn.execute(
                        "UPDATE chronolake_rollups SET error = %s WHERE name = %s", [error.message, name]
                    )
            else:
                done += [] if refreshed is None else [refreshed]
        return done

    def refresh(self, name: str) -> Refreshed | None:
        """Compute the cells anew whose rows came or went; null where nothing did, or another process does it.

        Raises:
            LakeBusy: another process committed at the same time.
            LakeError: the engine refused, as where a column is gone.
            StorageFull: no room for the cells.
        """
        held = self._catalog.tables().get(name)
        if held is None:
            return None
        with self._catalog.alone(REFRESH_LOCK, held.table_id) as free:
            if free is None:
                return None
            state = next((found for found in self.states() if found.rollup.name == name), None)
            if state is None:
                return None
            with self._catalog.reading() as conn:
                moment = _now(conn)
                if state.current:
                    _note(conn, name, moment)
                    return None
            return self._refreshed(state, moment)

    def _refreshed(self, state: RollupState, moment: _Moment) -> Refreshed:
        started = time.perf_counter()
        rollup, since = state.rollup, state.snapshot_id
        change = None
        # A rollup without dimensions is one cell of all rows.
        if rollup.dimensions and since is not None and since >= moment.oldest_id:
            change = self._changed_cells(rollup, since, moment.snapshot_id)
        if change is None:
            cells = self._rebuild(rollup, moment, started)
        else:
            cells = change.rows.num_rows
            self._commit(
                rollup,
                moment,
                started,
                lambda commit, files, cursor: self._writer.apply(commit, change, files, cursor),
            )
        seconds = time.perf_counter() - started
        _log.info(
            "rollup.refreshed",
            rollup=rollup.name,
            cells=cells,
            rebuilt=change is None,
            seconds=round(seconds, 3),
        )
        return Refreshed(rollup.name, cells, change is None, moment.snapshot_id, seconds)

    def _changed_cells(self, rollup: Rollup, since: int, until: int) -> TableChanges | None:
        """The touched cells as they are now; null where all of them had better be computed."""
        source = self._catalog.tables()[rollup.source]
        if gone := [name for name in rollup.reads if name not in source.columns]:
            raise LakeError(
                f"{rollup.source} has no column {gone[0]} any more",
                hint=f"Forget it: chronolake optimize drop {rollup.name}",
            )
        with self._catalog.reading() as conn:
            found = touched(conn, source, self._lake, since=since, until=until)
            live = sum(file.live_rows for file in live_files(conn, source.table_id))
        if found.rows > REBUILD_SHARE * live:
            return None
        rows = found.statement(source, rollup.reads)
        if rows is None:
            return TableChanges(rollup.table, rollup.table.arrow_schema.empty_table(), keys_of(_no_cells()))
        with self._reading() as cursor:
            parts = cursor.execute(touched_by(rollup, rows)).to_arrow_table()
            cursor.register(TOUCHED, parts)
            try:
                gone = cursor.execute(cells_there(rollup)).to_arrow_table() if rollup.rows else parts
                now = cursor.execute(cells_of(rollup, until, of_touched=True)).to_arrow_table()
            finally:
                cursor.unregister(TOUCHED)
        return TableChanges(rollup.table, _as_declared(now, rollup.table), keys_of(_uuids(gone[CELL])))

    def _rebuild(self, rollup: Rollup, moment: _Moment, started: float) -> int:
        files, laid = self._files(), []
        try:
            for cells in self._all_cells(rollup, moment.snapshot_id):
                laid += self._laid(rollup.table, cells, files)

            def swap(commit: Commit, _files: FileWriter, _cursor: duckdb.DuckDBPyConnection) -> None:
                commit.end(rollup.table, [file.data_file_id for file in commit.live(rollup.table)])
                commit.add(rollup.table, laid)

            self._commit(rollup, moment, started, swap)
        except LakeUnavailable:
            raise
        except BaseException:
            files.discard()
            raise
        return sum(file.rows for file in laid)

    def _all_cells(self, rollup: Rollup, snapshot_id: int) -> Iterator[pa.Table]:
        """Every cell, some at a time: they come as the engine has them, and none waits for all."""
        with self._reading() as cursor:
            reader = cursor.execute(cells_of(rollup, snapshot_id)).to_arrow_reader(CELLS_AT_ONCE)
            gathered: list[pa.RecordBatch] = []
            for batch in reader:
                gathered.append(batch)
                if sum(part.num_rows for part in gathered) >= CELLS_AT_ONCE:
                    yield _as_declared(pa.Table.from_batches(gathered), rollup.table)
                    gathered = []
            if gathered:
                yield _as_declared(pa.Table.from_batches(gathered), rollup.table)

    def _laid(self, table: Table, cells: pa.Table, files: FileWriter) -> list[DataFile]:
        with self._reading() as cursor:
            return lay_down(cursor, table, self._catalog.tables()[table.name], cells, files)

    def _commit(
        self,
        rollup: Rollup,
        moment: _Moment,
        started: float,
        write: Callable[[Commit, FileWriter, duckdb.DuckDBPyConnection], object],
    ) -> None:
        files = self._files()
        try:
            with self._reading() as cursor, self._catalog.commit() as commit:
                write(commit, files, cursor)
                cells = sum(file.live_rows for file in commit.live(rollup.table))
                held_in = commit.finish()
                seconds = time.perf_counter() - started
                _note(commit.conn, rollup.name, moment, held_in=held_in, cells=cells, seconds=seconds)
        except LakeUnavailable:
            # The commit may have happened: files that no snapshot knows cost room, missing ones cells.
            raise
        except BaseException:
            files.discard()
            raise

    def typed(self, rollup: Rollup) -> Rollup:
        """The rollup with the engine's types of its columns.

        Raises:
            LakeError: the engine refused, as where a column is gone.
        """
        with self._reading() as cursor:
            told = cursor.execute(f"DESCRIBE {cells_of(rollup, None)}").fetchall()
        kinds = {row[0]: kept_as(row[1]) for row in told}
        return replace(
            rollup,
            dimensions=tuple(replace(found, kind=kinds[found.name]) for found in rollup.dimensions),
            measures=tuple(replace(found, kind=kinds[found.name]) for found in rollup.measures),
        )


def rollup_states(conn: Connection) -> list[RollupState]:
    """Every rollup of this database's lake, by a connection of the caller's; none where there is no lake."""
    return states(conn, CATALOG_SCHEMA)


def _now(conn: Connection) -> _Moment:
    row = conn.execute(
        "SELECT max(snapshot_id), min(snapshot_id), (SELECT lsn::text FROM chronolake_checkpoint),"
        " (SELECT noted_at FROM chronolake_checkpoint) FROM ducklake_snapshot"
    ).fetchone()
    if row is None:
        raise LakeError("the lake's catalog has no snapshot")
    return _Moment(*row)


def _note(
    conn: Connection,
    name: str,
    moment: _Moment,
    *,
    held_in: int | None = None,
    cells: int | None = None,
    seconds: float | None = None,
) -> None:
    """Write down the snapshot that a rollup is true of; the rest where its cells were computed."""
    conn.execute(
        "UPDATE chronolake_rollups SET snapshot_id = %(snapshot_id)s, lsn = %(lsn)s, noted_at = %(noted_at)s,"
        " error = NULL, held_in = coalesce(%(held_in)s, held_in), cells = coalesce(%(cells)s, cells),"
        " seconds = coalesce(%(seconds)s, seconds), refreshed_at ="
        " CASE WHEN %(seconds)s::float8 IS NULL THEN refreshed_at ELSE clock_timestamp() END WHERE name = %(name)s",
        vars(moment) | {"name": name, "held_in": held_in, "cells": cells, "seconds": seconds},
    )


def _uuids(hashes: pa.ChunkedArray) -> pa.Array:
    raw = hashes.combine_chunks().cast(pa.binary(16))
    return pa.ExtensionArray.from_storage(
        pa.uuid(), pa.concat_arrays(raw.chunks) if isinstance(raw, pa.ChunkedArray) else raw
    )


def _no_cells() -> pa.Array:
    return pa.array([], pa.uuid())


def _as_declared(cells: pa.Table, table: Table) -> pa.Table:
    """Cells in the Arrow types of their table."""
    schema = table.arrow_schema
    columns = [
        _uuids(cells[field.name]) if field.name == CELL else cells[field.name].cast(field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
