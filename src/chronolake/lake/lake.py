"""`Lake`: the analytical copy, exactly once.

Rows and the record that their batch is applied enter in one commit, so a batch is in the lake whole or not at all,
and one that comes again is recognised. Readers see whole snapshots, in this process and in others, while a writer
commits.

Threads: every method may be called from any thread. Writes queue on one lock. A cursor is for one thread at a
time, so a query takes its own.
"""

import os
import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import psycopg
import pyarrow as pa

from chronolake import faults
from chronolake.capture.columns import TABLES, Table
from chronolake.clock import Clock, SystemClock
from chronolake.errors import LakeBusy, LakeMissing, LakeUnavailable, SnapshotExpired
from chronolake.lake import catalog, copies, place, repairs, schema, stream_notes, writer
from chronolake.lake import commit as commits
from chronolake.lake.catalog import Checkpoint, FileCounts, LakeInfo
from chronolake.lake.changes import Applied, ChangeWriter, Refetch, TableChanges
from chronolake.lake.commit import CATALOG_SCHEMA, Catalog
from chronolake.lake.compaction import TARGET_FILE_BYTES, Compactor, Limits
from chronolake.lake.copies import TableCopy
from chronolake.lake.engine import Engine, quoted
from chronolake.lake.failure import Scrubber, translated
from chronolake.lake.files import FileWriter
from chronolake.lake.layout import layout_of
from chronolake.lake.layout_trial import LayoutTrials
from chronolake.lake.machine import engine_memory_bytes, memory_bytes
from chronolake.lake.parquet import ZSTD_LEVEL
from chronolake.lake.records import DataFile
from chronolake.lake.repairs import Repair, Repaired
from chronolake.lake.resident import Residents
from chronolake.lake.retention import Retention, Snapshot, reachable
from chronolake.lake.rollup import states
from chronolake.lake.rollups import Rollups
from chronolake.lake.scan import Reach, Scanner, Wanted, unnoted
from chronolake.lake.staging import StagedBatch, conform
from chronolake.lake.stream_notes import RelationNote, StreamCheckpoint
from chronolake.lake.whole import Bounds, WholeFiles, whole_files
from chronolake.settings import Layout, Settings

#: Columns are derived for the writer in this share of the engine's memory.
WRITER_MEMORY_SHARE = 0.25
#: An ad-hoc query may take this share of the engine's memory, so that it cannot starve the questions.
SANDBOX_MEMORY_SHARE = 0.25
#: And the refresh of rollups beside those who ask.
BACKGROUND_MEMORY_SHARE = 0.5
#: Small tables that are kept in memory may take this share of it.
RESIDENT_MEMORY_SHARE = 0.25
#: And spill this much.
SANDBOX_SPILL = "10GB"
#: A file that no snapshot sees stays on the disk for so long at least, and for twice a query's time.
LEAST_GRACE = timedelta(minutes=10)
#: Where a lake of version 0.1.0 noted the batches that it holds.
OLD_BATCHES = "applied_batches"


class Lake:
    """DuckLake tables as the registry declares them, catalog in PostgreSQL, Parquet files beside it."""

    def __init__(self, settings: Settings, database_url: str, *, read_only: bool) -> None:
        self._settings = settings
        self._database_url = database_url
        self._read_only = read_only
        self._scrub = Scrubber(database_url)
        self._writing = threading.Lock()
        self._opening = threading.Lock()
        self._sandbox: Engine | None = None
        self._writer: Engine | None = None
        self._background: Engine | None = None
        self._commits = Catalog(
            database_url,
            self._scrub,
            connect_timeout_s=settings.database.connect_timeout_s,
            lock_timeout_s=settings.lake.lock_timeout_s,
        )
        self._changes: ChangeWriter | None = None
        #: folder or address of its files
        self.path = ""
        self._keys = settings.home.root / "keys"
        self._engine = Engine.open(settings)
        engine_bytes = engine_memory_bytes(settings.duckdb.memory_limit, memory_bytes())
        self._residents = Residents(
            cursor=self._engine.cursor,
            most_bytes=min(settings.lake.resident_bytes, int(engine_bytes * RESIDENT_MEMORY_SHARE)),
        )
        self._scanner = Scanner(
            catalog=self._commits.reading,
            cursor=self._engine.cursor,
            lake=lambda: Path(self.path),
            residents=self._residents,
        )

    @classmethod
    def open(cls, settings: Settings, database_url: str, *, read_only: bool = False) -> Self:
        """Attach the lake; a writing one is made where it is missing and brought to the registry where older.

        One that is read only changes nothing anywhere and waits for no lock: a role that may only read can open
        it, while others write.

        Raises:
            LakeMissing: it was to be read only, and there is none.
            LakeBusy: another process has been making the lake for longer than CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            LakeUnavailable: the catalog or the files are out of reach, an extension is missing, or the
                lake of this database lies elsewhere.
            SchemaMismatch: the lake holds a column of another type than the registry declares.
        """
        lake = cls(settings, database_url, read_only=read_only)
        try:
            lake._attach()
        except BaseException:
            lake.close()
            raise
        return lake

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of catalog and engine. Calling it twice is safe."""
        for part in (
            self._scanner,
            self._residents,
            self._sandbox,
            self._writer,
            self._background,
            self._engine,
            self._commits,
        ):
            if part is not None:
                part.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A fresh cursor with the lake's tables in reach by name; one per query, close it or use `with`.

        What it raises is DuckDB's own: run it within `errors_translated` and `interrupting`.

        Raises:
            LakeUnavailable: the catalog is out of reach.
        """
        cursor = self._engine.cursor()
        with self.errors_translated():
            cursor.execute("USE lake")
        return cursor

    def files_of(
        self, wanted: Sequence[Wanted], snapshot_id: int, laid: Callable[[str], Hashable] = unnoted
    ) -> list[str] | None:
        """Subqueries that read tables of one snapshot by their files, for `file_cursor`; null where that cannot be.

        `laid` tells of a table what stays the same while its files do, so that they need not be asked for again.

        Raises:
            LakeUnavailable: the catalog is out of reach.
        """
        return self._scanner.relations(wanted, snapshot_id, laid) if self.is_local else None

    @contextmanager
    def lent(
        self, wanted: Sequence[Wanted], snapshot_id: int, laid: Callable[[str], Hashable] = unnoted
    ) -> Iterator[list[str] | None]:
        """As `files_of`, but small tables may be read from memory; for `file_cursor`, within the block.

        Raises:
            LakeUnavailable: the catalog is out of reach.
        """
        if not self.is_local:
            yield None
            return
        with self._scanner.lent(wanted, snapshot_id, laid) as relations:
            yield relations

    def reach(
        self, wanted: Sequence[Wanted], snapshot_id: int, laid: Callable[[str], Hashable] = unnoted
    ) -> list[Reach] | None:
        """What has to be looked at to read these, from what the catalog notes of files; null where that is not known.

        `laid` is as `files_of` has it.

        Raises:
            LakeUnavailable: the catalog is out of reach.
        """
        return self._scanner.reach(wanted, snapshot_id, laid) if self.is_local else None

    def holds_lists(
        self, wanted: Sequence[Wanted], snapshot_id: int, laid: Callable[[str], Hashable] = unnoted
    ) -> bool:
        """Whether `files_of` would answer without the catalog, as it must while that is out of reach."""
        return self.is_local and self._scanner.holds(wanted, snapshot_id, laid)

    def file_cursor(self) -> duckdb.DuckDBPyConnection:
        """A fresh cursor that knows no table: for statements over `files_of`. Else as `cursor`, and cheaper."""
        return self._engine.cursor()

    def sandbox(self) -> duckdb.DuckDBPyConnection:
        """A fresh cursor for SQL that others wrote, in an engine of its own.

        The lake is attached read-only there, no file outside the lake's folder can be opened, nothing can be
        configured, and memory and spill are bounded. Still accept one SELECT over known tables only: COPY
        into the lake's folder works, and the catalog's tables and the PostgreSQL behind them can be named.

        Raises:
            LakeUnavailable: the catalog is out of reach.
        """
        with self._opening:
            if self._sandbox is None:
                self._sandbox = self._open_sandbox()
            cursor = self._sandbox.cursor()
        with self.errors_translated():
            cursor.execute("USE lake")
        return cursor

    @contextmanager
    def errors_translated(self) -> Iterator[None]:
        """Raise what a cursor of this lake raises within as an error of ours, without secrets.

        Raises:
            LakeError: the class says what happened.
        """
        with translated(self._scrub):
            yield

    @property
    def is_local(self) -> bool:
        """Whether its files lie in a folder, where we can write them."""
        return "://" not in self.path

    def snapshot(self) -> int:
        """The newest snapshot's id; it grows with every commit, so it can key a cache."""
        with self._reading() as cursor:
            return catalog.current_snapshot(cursor)

    def checkpoint(self) -> Checkpoint:
        """How far the lake is: newest snapshot, and WAL position and time of the newest batch in it."""
        with self._commits.reading() as conn:
            return catalog.checkpoint(conn)

    def applied(self, batch_ids: Collection[int]) -> set[int]:
        """Those of `batch_ids` that the lake holds."""
        if not batch_ids:
            return set()
        with self._commits.reading() as conn:
            return commits.applied(conn, batch_ids)

    def holds_batches(self) -> bool:
        """Whether any batch was ever applied: a lake that was made anew has none."""
        with self._commits.reading() as conn:
            return catalog.batches(conn) > 0

    def info(self) -> LakeInfo:
        """Tables with rows, files, bytes and layout, and the snapshots; from the catalog alone."""
        with self._reading() as cursor:
            present = catalog.columns(cursor)
            tables = catalog.tables(cursor, list(TABLES), present)
            count, newest, at = catalog.snapshots(cursor)
        with self._commits.reading() as conn:
            checkpoint = catalog.checkpoint(conn)
            batches = catalog.batches(conn)
        asked = self._settings.lake.layout
        other = sorted(
            {table.layout for table in tables if table.layout != layout_of(TABLES[table.name], asked)}
        )
        note = (
            f"CHRONOLAKE_LAKE_LAYOUT={asked} holds for a lake that is being created; this one was made with"
            f" {', '.join(other)} and keeps it"
            if other
            else None
        )
        return LakeInfo(
            path=self.path,
            snapshots=count,
            snapshot_id=newest,
            snapshot_at=at,
            applied_batches=batches,
            message_lsn=checkpoint.message_lsn,
            tables=tables,
            layout_note=note,
        )

    def file_counts(self) -> FileCounts:
        """Data files of each table, and snapshots; cheaper than `info`."""
        with self._commits.reading() as conn:
            return catalog.file_counts(conn)

    def apply(
        self,
        batches: Sequence[StagedBatch],
        *,
        checkpoint: StreamCheckpoint | None = None,
        restaged: Mapping[str, int] | None = None,
        before_commit: Callable[[], None] = lambda: None,
    ) -> int:
        """Bring staged batches into the lake in one commit, with the record that they are applied.

        `restaged` has, by table, an LSN up to which its rows are ahead of the stream, for they were staged anew.
        `before_commit` is called when all is written; what it raises keeps everything out.

        A batch that the lake holds already is left out. On any error nothing of any batch is in the lake,
        save where the catalog was lost during the commit itself: then ask `applied` before trying again.

        Returns:
            The id of the snapshot that holds them.

        Raises:
            SchemaMismatch: a file has not the declared columns, or not the rows its batch promises.
            LakeBusy: another process committed at the same time.
            LakeUnavailable: the catalog was lost.
            StorageFull: no room for the lake's files.
        """
        done = self.applied([batch.batch_id for batch in batches])
        todo = [batch for batch in batches if batch.batch_id not in done]
        by_table: dict[str, list[StagedBatch]] = {}
        for batch in todo:
            by_table.setdefault(batch.table.name, []).append(batch)
        with self._writes() as files:
            laid = {
                name: (
                    of_table[0].table,
                    self._lay_down(of_table[0].table, writer.staged_rows(of_table), files),
                )
                for name, of_table in sorted(by_table.items())
            }
            with self._commits.commit() as commit:
                if commit.applied([batch.batch_id for batch in todo]):
                    raise LakeBusy("another process applied the same batches at the same time")
                for table, data_files in laid.values():
                    commit.add(table, data_files)
                commit.note_batches([(b.batch_id, b.table.name, b.message_lsn, b.file.rows) for b in todo])
                if checkpoint is not None:
                    commit.note_checkpoint(checkpoint)
                stream_notes.note_restaged(commit.conn, restaged or {})
                faults.reach("lake.before_commit")
                before_commit()
                snapshot_id = commit.finish()
        with self.errors_translated():
            faults.reach("lake.after_commit")
        return snapshot_id

    def apply_changes(
        self,
        changes: Iterable[TableChanges],
        *,
        checkpoint: StreamCheckpoint,
        batches: Sequence[tuple[int, str, str | None, int]] = (),
        refetch: Refetch | None = None,
        within: Callable[[psycopg.Connection], None] = lambda _: None,
    ) -> Applied:
        """Bring the changes of a stretch of the stream into the lake, with the checkpoint at its end, in one commit.

        `changes` may tell of one table several times, in order, and are taken one after the other, so that all of
        them need not be in memory. `batches` (id, table, LSN of the message, rows) are noted as applied by them.
        `refetch` gives rows that the changes alone do not make whole.
        `within` is called with the commit's own transaction when all is written.

        Raises:
            LakeBusy: another process committed at the same time.
            LakeUnavailable: the catalog was lost; ask `stream_checkpoint` before trying again.
            StorageFull: no room for the lake's files.
        """
        with (
            self._writes() as files,
            self._writing_engine().cursor() as cursor,
            self._commits.commit() as commit,
        ):
            outcomes = [
                self._change_writer().apply(commit, change, files, cursor, refetch) for change in changes
            ]
            commit.note_batches(batches)
            commit.note_checkpoint(checkpoint)
            faults.reach("lake.before_commit")
            within(commit.conn)
            snapshot_id = commit.finish()
        with self.errors_translated():
            faults.reach("lake.after_commit")
        return Applied(snapshot_id, tuple(outcomes))

    def prepare(self, table: Table, rows: pa.Table) -> str:
        """Lay `rows` down as files that no snapshot knows yet; a text that names them, for `prepared`.

        Several threads may do so at once, and none waits for commits.

        Raises:
            StorageFull: no room for the lake's files.
            LakeUnavailable: they cannot be written.
        """
        files = self._file_writer()
        with self.errors_translated():
            try:
                laid = self._lay_down(table, rows, files)
            except BaseException:
                files.discard()
                raise
        return copies.to_text(laid, self._commits.tables()[table.name])

    def prepared(self, table: Table, text: str) -> list[DataFile] | None:
        """The files that `prepare` laid down; None where they are not there any more, or not of use."""
        held = self._commits.tables()[table.name]
        return copies.of_text(text, held, Path(self.path) / held.folder)

    def discard(self, table: Table, text: str) -> None:
        """Remove files that `prepare` laid down and no snapshot knows."""
        copies.discard(text, Path(self.path) / self._commits.tables()[table.name].folder)

    def replace(
        self,
        tables: Sequence[TableCopy],
        *,
        checkpoint: StreamCheckpoint,
        batches: Sequence[tuple[int, str, str | None, int]] = (),
        within: Callable[[psycopg.Connection], None] = lambda _: None,
    ) -> int:
        """Let copies take the place of what their tables hold, in one commit with the checkpoint they go on from.

        `batches` are noted as applied by them; `within` is called as by `apply_changes`. Until then readers see
        what the tables held, and as of an older snapshot they still do.

        Returns:
            The id of the snapshot that holds them.

        Raises:
            LakeBusy: another process committed at the same time, or leads since.
            LakeUnavailable: the catalog was lost.
        """
        with self._writes(), self._commits.commit() as commit:
            for copy in tables:
                commit.end(copy.table, [file.data_file_id for file in commit.live(copy.table)])
                commit.add(copy.table, copy.files)
            held = commit.applied([batch[0] for batch in batches])
            commit.note_batches([batch for batch in batches if batch[0] not in held])
            commit.note_checkpoint(checkpoint)
            faults.reach("lake.before_commit")
            within(commit.conn)
            snapshot_id = commit.finish()
        with self.errors_translated():
            faults.reach("lake.after_commit")
        return snapshot_id

    def stream_checkpoint(self) -> StreamCheckpoint | None:
        """How far the change stream has been applied; null where none ever was."""
        with self._commits.reading() as conn:
            return stream_notes.stream_checkpoint(conn)

    def restaged(self) -> dict[str, int]:
        """By table, an LSN up to which the lake may hold rows that the stream still brings."""
        with self._commits.reading() as conn:
            return stream_notes.restaged(conn)

    def take_term(self) -> int:
        """Begin to lead: the number of the term; whoever led before cannot commit any more."""
        with self._commits.commit() as commit:
            return stream_notes.take_term(commit.conn)

    def note_checkpoint(self, checkpoint: StreamCheckpoint) -> None:
        """Write down how far the stream is where nothing in it was for the lake; no snapshot is made."""
        with self._commits.reading() as conn:
            stream_notes.note_checkpoint(conn, checkpoint)

    def columns(self, table_name: str) -> dict[str, tuple[int, str]]:
        """DuckLake's number and DuckDB's type of each column that a table has now; none where there is no table."""
        with self._reading() as cursor:
            kinds = catalog.columns(cursor).get(table_name, {})
        held = self._commits.tables().get(table_name)
        return {name: (held.columns[name], kind) for name, kind in kinds.items()} if held else {}

    def evolve(self, statements: Sequence[str]) -> None:
        """Run statements that define tables and columns, in one commit of their own.

        Raises:
            LakeBusy: another process committed at the same time.
            LakeUnavailable: the catalog was lost.
        """
        with self._writing, self._reading() as cursor:
            # In one transaction: a lake is made whole or not at all, in a third of the time.
            cursor.execute("BEGIN")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("COMMIT")

    def relation_notes(self) -> list[RelationNote]:
        """The shape of PostgreSQL's table that each lake table has followed last."""
        with self._commits.reading() as conn:
            return stream_notes.relation_notes(conn)

    def ask_repair(self, table: Table, keys: Sequence[str]) -> int:
        """Ask whoever leads to make the rows of these keys as PostgreSQL's are; the wish's number."""
        with self._commits.reading() as conn:
            return repairs.ask(conn, table.name, keys)

    def waiting_repair(self) -> Repair | None:
        """The oldest wish that nobody has answered."""
        with self._commits.reading() as conn:
            return repairs.waiting(conn)

    def take_repair(self, repair_id: int) -> Repaired | None:
        """What became of a wish, once; null while nobody has answered."""
        with self._commits.reading() as conn:
            return repairs.take_answer(conn, repair_id)

    def withdraw_repair(self, repair_id: int) -> None:
        """Ask no longer; doing it twice is safe."""
        with self._commits.reading() as conn:
            repairs.withdraw(conn, repair_id)

    def append(self, table: Table, rows: pa.Table) -> int:
        """Add `rows` to the lake alone, without PostgreSQL: for benchmarks, and for lakes that are only read.

        Appending twice stores twice. Returns the id of the snapshot that holds them.

        Raises:
            SchemaMismatch: `rows` has not exactly the declared columns.
            LakeBusy: another process committed at the same time.
            LakeUnavailable: the catalog was lost.
            StorageFull: no room for the lake's files.
        """
        checked = conform(table, rows)
        with self._writes() as files:
            data_files = self._lay_down(table, checked, files)
            with self._commits.commit() as commit:
                commit.add(table, data_files)
                return commit.finish()

    def _change_writer(self) -> ChangeWriter:
        if self._changes is None:
            self._changes = ChangeWriter(lake=Path(self.path), folder=self._keys)
        return self._changes

    def compactor(self, limits: Limits | None = None) -> Compactor:
        """What merges this lake's small files into sorted ones; see there. It may run while rows are written.

        Raises:
            LakeUnavailable: the lake was opened for reading only, or does not lie in a folder.
        """
        self._check_writable()
        return Compactor(
            catalog=self._commits,
            lake=Path(self.path),
            keys=self._keys,
            files=self._file_writer,
            cursor=lambda: self._writing_engine().cursor(),
            tables=self._kept_tables,
            limits=limits,
        )

    def rollups(self, *, in_background: bool = False) -> Rollups:
        """What makes this lake's rollups and keeps them true; `in_background` by an engine that gives way to questions.

        Raises:
            LakeUnavailable: the lake was opened for reading only, or does not lie in a folder.
        """
        self._check_writable()
        return Rollups(
            catalog=self._commits,
            lake=Path(self.path),
            keys=self._keys,
            files=self._file_writer,
            reading=self._reading_in_background if in_background else self._reading,
            evolve=self.evolve,
            layout=self._settings.lake.layout,
        )

    def layout_trials(self) -> LayoutTrials:
        """What lays a part of a table down in other ways, to measure them.

        Raises:
            LakeUnavailable: the lake was opened for reading only, or does not lie in a folder.
        """
        self._check_writable()
        return LayoutTrials(
            catalog=self._commits,
            relation=self._relation,
            reading=self._reading,
            parquet=self._settings.parquet,
            folder=self._settings.home.root / "trials",
        )

    def layout(self, table: Table) -> Layout | None:
        """How new files of a table lie; null: in a way that is not ours."""
        return self._commits.tables()[table.name].layout

    def relay(self, table: Table, layout: Layout) -> None:
        """Let new files of a table lie in that layout; compaction deals the others out anew.

        Raises:
            LakeBusy: another process committed at the same time.
            LakeUnavailable: the catalog was lost.
        """
        self._check_writable()
        self.evolve(schema.relaid(table, layout))

    def _relation(self, table: Table, columns: Sequence[str], bucket_of: str | None) -> str:
        """What reads a table's rows, by its files where that can be; those of one bucket alone, where one is said."""
        found = self.files_of([Wanted(table.name, tuple(columns), bucket_of)], self.checkpoint().snapshot_id)
        return found[0] if found else table.name

    def _kept_tables(self) -> dict[str, Table]:
        """Every table that is ours to keep in shape: those of the registry, and the rollups'."""
        with self._commits.reading() as conn:
            made = [state.rollup for state in states(conn, CATALOG_SCHEMA)]
        return {**TABLES, **{rollup.name: rollup.table for rollup in made}}

    def retention(self, clock: Clock | None = None) -> Retention:
        """What lets go of this lake's old snapshots and their files.

        Raises:
            LakeUnavailable: the lake was opened for reading only, or does not lie in a folder.
        """
        self._check_writable()
        return Retention(
            catalog=self._commits,
            lake=Path(self.path),
            keys=self._keys,
            retention=timedelta(seconds=self._settings.lake.retention_s),
            grace=max(LEAST_GRACE, timedelta(seconds=2 * self._settings.query.timeout_s)),
            clock=clock or SystemClock(),
        )

    def as_of(self, at: datetime) -> Snapshot:
        """The snapshot that held at a time.

        Raises:
            SnapshotExpired: the lake keeps none so old.
        """
        with self._commits.reading() as conn:
            found, oldest = reachable(conn, at)
        if found is None:
            since = f"its oldest state is of {oldest.at:%Y-%m-%dT%H:%M:%SZ}" if oldest else "it has no state"
            raise SnapshotExpired(f"the lake does not reach back to {at:%Y-%m-%dT%H:%M:%SZ}: {since}")
        return found

    def whole_files(self, table: Table, bounds: Bounds) -> WholeFiles:
        """The files of the newest snapshot whose rows all lie within `bounds`; none of a lake outside a folder."""
        if not self.is_local:
            return WholeFiles(None, (), 0)
        with self._commits.reading() as conn:
            return whole_files(conn, Path(self.path), table, bounds)

    def _lay_down(self, table: Table, rows: pa.Table, files: FileWriter) -> list[DataFile]:
        held = self._commits.tables()[table.name]
        with self._writing_engine().cursor() as cursor:
            return writer.lay_down(cursor, table, held, rows, files)

    @contextmanager
    def _writes(self) -> Iterator[FileWriter]:
        """What writes the files of one commit; they go where the body fails.

        A commit whose answer was lost may have happened: then its files stay, for files that no snapshot knows cost
        room, missing ones data.
        """
        self._check_writable()
        files = self._file_writer()
        with self._writing, self.errors_translated():
            try:
                yield files
            except LakeUnavailable:
                raise
            except BaseException:
                files.discard()
                raise

    def _check_writable(self) -> None:
        if self._read_only:
            raise LakeUnavailable("the lake was opened for reading only", hint="Open it without read_only.")
        if not self.is_local:
            raise LakeUnavailable("a lake that does not lie in a folder can only be read")

    def _file_writer(self) -> FileWriter:
        threads = min(self._settings.duckdb_threads, os.cpu_count() or 1)
        return FileWriter(Path(self.path), self._settings.parquet, threads)

    def _reading(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return self._using(self._engine)

    def _reading_in_background(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        with self._opening:
            if self._background is None:
                engine = Engine.open_in_background(self._settings, memory_share=BACKGROUND_MEMORY_SHARE)
                self._attach_to(engine, read_only=True)
                self._background = engine
        return self._using(self._background)

    @contextmanager
    def _using(self, engine: Engine) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.errors_translated(), engine.cursor() as cursor:
            # A cursor of its own for each piece of work: what one leaves broken, the next does not see.
            cursor.execute("USE lake")
            yield cursor

    def _attach(self) -> None:
        with place.catalog(self._settings, self._database_url, self._scrub) as conn:
            recorded = place.recorded(conn)
            if self._read_only:
                if recorded is None:
                    raise LakeMissing("this database has no lake yet")
                self.path = place.of_files(self._settings, recorded)
                self._attach_to(self._engine, read_only=True)
                return
            place.wait_for_setup(conn, self._settings.lake.lock_timeout_s)
            self.path = place.of_files(self._settings, place.recorded(conn))
            place.make_folder(self.path)
            self._forget_level(conn)
            self._attach_to(self._engine, read_only=False)
            self._bring_up_to_date()

    def _attach_to(self, engine: Engine, *, read_only: bool) -> None:
        statement = place.attaching(
            self._settings, self._database_url, self.path, self._scrub, read_only=read_only
        )
        with self.errors_translated():
            engine.execute(statement)

    def _forget_level(self, conn: psycopg.Connection) -> None:
        """Take back the level of zstd before another codec is set, which DuckLake has no call for."""
        if self._settings.parquet.compression != "ZSTD" and place.recorded(conn) is not None:
            conn.execute(
                f"DELETE FROM {CATALOG_SCHEMA}.ducklake_metadata WHERE key = 'parquet_compression_level'"
            )

    def _bring_up_to_date(self) -> None:
        with self._reading() as cursor:
            present = catalog.columns(cursor)
            statements = schema.plan(TABLES, present, self._settings.lake.layout)
            # In one transaction: a lake is made whole or not at all, in a third of the time.
            cursor.execute("BEGIN")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("COMMIT")
            held = catalog.options(cursor)
            for name, value in self._file_options().items():
                if held.get(name) != value:
                    # A size is written with its unit, and held without.
                    said = f"{value} bytes" if name == "target_file_size" else value
                    cursor.execute(f"CALL lake.set_option({quoted(name)}, {quoted(said)})")

            self._commits.set_up()
            if OLD_BATCHES in present:
                self._take_over_batches(cursor)

    def _take_over_batches(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Note in the catalog which batches an older lake holds; it kept them in a table of its own."""
        rows = cursor.execute(f"SELECT batch_id, table_name, message_lsn, rows FROM {OLD_BATCHES}").fetchall()
        with self._commits.commit() as commit:
            held = commit.applied([row[0] for row in rows])
            commit.note_batches([(row[0], row[1], row[2], row[3]) for row in rows if row[0] not in held])
        cursor.execute(f"DROP TABLE {OLD_BATCHES}")

    def _file_options(self) -> dict[str, str]:
        """How the lake writes its files; the process that opened it last for writing decides."""
        parquet = self._settings.parquet
        level = {"parquet_compression_level": str(ZSTD_LEVEL)} if parquet.compression == "ZSTD" else {}
        return level | {
            "parquet_compression": parquet.compression.lower(),
            "parquet_row_group_size": str(parquet.row_group_size),
            "target_file_size": str(TARGET_FILE_BYTES),
            # DuckDB inserts nothing here: rows come by our own files, sorted already (writer.py).
            "sort_on_insert": "false",
        }

    def _writing_engine(self) -> Engine:
        """The engine that derives columns for the writer, opened by the first write; it keeps the order of rows."""
        with self._opening:
            if self._writer is None:
                engine = Engine.open(self._settings, memory_share=WRITER_MEMORY_SHARE, threads=1)
                engine.execute("SET GLOBAL preserve_insertion_order = true")
                self._writer = engine
            return self._writer

    def _open_sandbox(self) -> Engine:
        engine = Engine.open(self._settings, memory_share=SANDBOX_MEMORY_SHARE)
        try:
            self._attach_to(engine, read_only=True)
            with self.errors_translated():
                engine.execute(f"SET max_temp_directory_size = {quoted(SANDBOX_SPILL)}")
                engine.execute(f"SET allowed_directories = [{quoted(self.path)}]")
                engine.execute("SET enable_external_access = false")
                engine.execute("SET lock_configuration = true")
        except BaseException:
            engine.close()
            raise
        return engine
