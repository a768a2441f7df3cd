"""Copy the registry's tables whole, in ranges side by side, and take them into the lake in one commit.

A range is some blocks of a table's file, read in one snapshot whose place in the stream is known exactly: commits
before its LSN are in it, those from it on are not. Each range becomes files of the lake that no snapshot knows yet, and
is noted; a process that dies leaves the others less to do. A snapshot dies with it, so ranges of one table may be of
several snapshots. The table then goes on in the stream at the oldest one, and up to the newest each change is applied
as to a row that may be there already: what it leaves is right once the stream has come past the newest.
The stream waits while tables are copied; docs/decisions/0005-backfill.md says why.
"""

import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import psycopg
import pyarrow as pa

from chronolake import faults, memory
from chronolake.capture.columns import TABLES, Table
from chronolake.clock import Clock
from chronolake.errors import ChronolakeError, DatabaseError, DatabaseUnavailable, Retry, StorageFull
from chronolake.lake import Lake, StreamCheckpoint, TableCopy, note_relation
from chronolake.lsn import format_lsn
from chronolake.oltp import (
    Database,
    backfills,
    dead_letters,
    ledger,
    relations,
    replication,
    sync_tables,
)
from chronolake.oltp.backfills import CopyFacts, Range, TableSize
from chronolake.oltp.replication import NewSlot, ReplicationConnection
from chronolake.settings import Settings
from chronolake.sync import scan
from chronolake.sync.leader import Leadership
from chronolake.sync.scan import Misfit
from chronolake.sync.schema import RESUME, Parked, unpublished
from chronolake.sync.shapes import CopyPlan, Shapes, lake_name, park
from chronolake.sync.tables import TableEvent, TableState, next_state
from chronolake.telemetry import logs, metrics

#: Rows of a range: its files are sorted in memory, so it should not be huge, and each of them is a file for every
#: partition, so it should be large.
RANGE_ROWS = 500_000
#: Or so many bytes of the table, for rows with long texts.
RANGE_BYTES = 512 << 20
#: Of a smaller table, ranges have no fewer rows than this only so that all processors have one.
SMALL_RANGE_ROWS = 100_000
#: More connections would wait for each other: one busy one keeps a processor here and another at the server.
MOST_WORKERS = 4

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class _Job:
    """A range to be copied."""

    plan: CopyPlan
    range: Range


class Stopped(Exception):
    """The worker is to end; what is copied is noted."""


class Backfill:
    """Copies the tables that are to be copied. For the one worker that leads."""

    def __init__(
        self,
        *,
        database: Database,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._is_stopped = is_stopped

    def wanted(self) -> list[Table]:
        """The tables that are to be copied."""
        with self._database.connection() as conn:
            known = backfills.copies(conn)
        return [
            table
            for name, table in TABLES.items()
            if name in known and known[name].state == TableState.COPYING
        ]

    def drop(self, table: Table) -> None:
        """Forget what was copied of a table."""
        with self._database.connection() as conn:
            self._discard(table, backfills.ranges(conn, table.name))
            backfills.forget(conn, table.name)

    def run(
        self,
        tables: Sequence[Table],
        *,
        checkpoint: StreamCheckpoint,
        leadership: Leadership,
        made: NewSlot | None = None,
    ) -> StreamCheckpoint:
        """Copy `tables`, or what is left of them, and take them in at `checkpoint`, from which the stream goes on.

        `made` is a slot that was made right now, whose snapshot is the one to copy from.

        A table whose shape the lake cannot have is parked, and the others are copied.

        Raises:
            Stopped: the worker is to end; the next call goes on.
            ChronolakeError: nothing was taken in; the next call goes on. A table whose error stays is parked.
        """
        started = time.monotonic()
        shapes = Shapes(lake=self._lake, database=self._database)
        with self._readers(made) as (readers, lsn):
            batches = ledger.pending(readers[0])
            plans: list[CopyPlan] = []
            jobs: deque[_Job] = deque()
            for table in tables:
                plan = self._planned(readers[0], shapes, table, lsn)
                if plan is not None:
                    plans.append(plan)
                    jobs += self._jobs(readers[0], plan, checkpoint.epoch, lsn, batches)
            try:
                self._copy(jobs, readers, lsn, checkpoint.epoch)
            finally:
                # Ranges are alike, so what one leaves the next takes: given back after each, it costs a tenth.
                memory.release()
        if not plans:
            return checkpoint
        taken = self._take_in(plans, checkpoint, leadership)
        _log.info(
            "sync.backfilled",
            tables=[plan.table.name for plan in plans],
            lsn=format_lsn(lsn),
            seconds=round(time.monotonic() - started, 3),
        )
        return taken

    @contextmanager
    def _readers(self, made: NewSlot | None) -> Iterator[tuple[list[psycopg.Connection], int]]:
        """Connections that all see one snapshot, and where in the stream it lies."""
        with ExitStack() as stack, _translated():
            with ExitStack() as exporting:
                # A temporary slot is the way to a snapshot whose place in the stream is known exactly.
                if made is None:
                    timeout_s = self._settings.database.connect_timeout_s
                    stream = exporting.enter_context(
                        ReplicationConnection.open(self._database.url, timeout_s=timeout_s)
                    )
                    with self._database.connection() as conn:
                        name = replication.slot_name(conn)
                    made = stream.create_slot(f"{name}_copy_{secrets.token_hex(4)}", temporary=True)
                readers = [stack.enter_context(self._reader(made.snapshot)) for _ in range(_worker_count())]
            yield readers, made.lsn

    @contextmanager
    def _reader(self, snapshot: str) -> Iterator[psycopg.Connection]:
        with psycopg.connect(
            self._database.url,
            application_name="chronolake backfill",
            options="-c search_path=chronolake,public -c timezone=UTC",
        ) as conn:
            conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            conn.read_only = True
            conn.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
            yield conn

    def _planned(self, reader: psycopg.Connection, shapes: Shapes, table: Table, lsn: int) -> CopyPlan | None:
        """What is copied of a table as it is at `lsn`; the lake's has that shape then. None where it was parked."""
        with self._parking(table), _translated():
            sources = {lake_name(source): source for source in relations.published(reader)}
            if table.name not in sources:
                park(self._database, table.name, unpublished(table.name))
                return None
            # Nobody may change or rewrite the table from here on until its rows are read: they would move to other
            # blocks.
            reader.execute(
                psycopg.sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(
                    psycopg.sql.Identifier(table.postgres_table)
                )
            )
            plan = shapes.plan_copy(reader, sources[table.name], lsn)
            if isinstance(plan, Parked):
                park(self._database, table.name, plan)
                return None
            return shapes.prepare(plan)

    def _jobs(
        self,
        reader: psycopg.Connection,
        plan: CopyPlan,
        epoch: str,
        lsn: int,
        batches: Sequence[ledger.LedgerBatch],
    ) -> list[_Job]:
        """The ranges of a table that are to be copied; drawn now, or left by a copy that did not end."""
        table = plan.table
        with self._parking(table), _translated():
            size = backfills.table_size(reader, table.postgres_table)
            with self._database.connection() as conn:
                facts = backfills.copies(conn).get(table.name)
                ranges = backfills.ranges(conn, table.name)
                if facts is not None and _goes_on(facts, ranges, epoch, size, plan.shape):
                    sync_tables.be_careful(conn, table.name, format_lsn(lsn))
                    ranges = self._less_lost(conn, table, ranges)
                else:
                    self._discard(table, ranges)
                    estimate = size.rows if size.rows >= 0 else backfills.count(reader, table.postgres_table)
                    backfills.begin(
                        conn,
                        table_name=table.name,
                        state=next_state(None, TableEvent.ASKED),
                        lsn=format_lsn(lsn),
                        epoch=epoch,
                        batches=[batch.batch_id for batch in batches if batch.table_name == table.name],
                        size=size,
                        shape=plan.shape,
                        bounds=bounds(size, estimate),
                        estimate=estimate,
                    )
                    ranges = backfills.ranges(conn, table.name)
        _show_progress(table, ranges)
        return [_Job(plan, found) for found in ranges if not found.is_staged]

    def _less_lost(self, conn: psycopg.Connection, table: Table, ranges: Sequence[Range]) -> list[Range]:
        """The ranges, with those to be copied again whose files are not there any more."""
        for found in ranges:
            if found.file is not None and self._lake.prepared(table, found.file) is None:
                backfills.again(conn, table.name, found.number)
        return backfills.ranges(conn, table.name)

    def _discard(self, table: Table, ranges: Sequence[Range]) -> None:
        """Remove the files of a copy that nobody will take in."""
        for found in ranges:
            if found.file is not None:
                self._lake.discard(table, found.file)

    def _copy(self, jobs: deque[_Job], readers: Sequence[psycopg.Connection], lsn: int, epoch: str) -> None:
        """Copy all ranges, one after the other in each of the connections."""
        failed = threading.Event()

        def work(reader: psycopg.Connection) -> None:
            while not failed.is_set():
                try:
                    job = jobs.popleft()
                except IndexError:
                    return
                try:
                    with self._parking(job.plan.table), _translated():
                        self._copy_range(reader, job, lsn, epoch, failed)
                except BaseException:
                    failed.set()
                    raise

        with ThreadPoolExecutor(len(readers), "backfill") as pool:
            running: list[Future[None]] = [pool.submit(work, reader) for reader in readers]
        errors = [error for future in running if (error := future.exception()) is not None]
        # Where one failed the others were stopped, and only the one says why.
        for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
            raise error

    def _copy_range(
        self, reader: psycopg.Connection, job: _Job, lsn: int, epoch: str, failed: threading.Event
    ) -> None:
        table, found, misfits = job.plan.table, [], list[Misfit]()
        blocks, types = (job.range.lower, job.range.upper), job.plan.evolution.types
        for piece in scan.whole(reader, table, blocks=blocks, types=types):
            if self._is_stopped() or failed.is_set():
                raise Stopped
            found.append(piece.fitting)
            misfits += piece.misfits
        rows = pa.concat_tables([table.arrow_schema.empty_table(), *found])
        del found
        file = self._lake.prepare(table, rows)
        with self._database.connection() as conn:
            backfills.staged(
                conn, table.name, job.range.number, rows=rows.num_rows, file=file, lsn=format_lsn(lsn)
            )
            for misfit in misfits:
                self._bury(conn, table, misfit, lsn, epoch)
            ranges = backfills.ranges(conn, table.name)
        metrics.SYNC_BACKFILL_ROWS.labels(table=table.name).inc(rows.num_rows)
        _show_progress(table, ranges)
        _log.info("sync.copied_range", table=table.name, number=job.range.number, rows=rows.num_rows)
        faults.reach("sync.backfill_range")

    def _take_in(
        self, plans: Sequence[CopyPlan], checkpoint: StreamCheckpoint, leadership: Leadership
    ) -> StreamCheckpoint:
        """Let the copies take their tables' place, in one commit with what the sync knows of them."""
        tables = [plan.table for plan in plans]
        with self._database.connection() as conn:
            known = backfills.copies(conn)
            texts = {table.name: [r.file for r in backfills.ranges(conn, table.name)] for table in tables}
            pending = {batch.batch_id: batch for batch in ledger.pending(conn)}
        copies = []
        for table in tables:
            files = []
            for text in texts[table.name]:
                laid = self._lake.prepared(table, text or "") if text else None
                if laid is None:
                    raise DatabaseError(
                        f"the copy of {table.name} lost a file",
                        hint="The next try copies what is missing: chronolake sync run",
                    )
                files += laid
            copies.append(TableCopy(table, files))
        seen = [pending[n] for table in tables for n in known[table.name].batches if n in pending]

        def within(conn: psycopg.Connection) -> None:
            for plan in plans:
                table, facts = plan.table, known[plan.table.name]
                # The stream goes on at the oldest snapshot that a range is of.
                note_relation(conn, replace(plan.note, copied_lsn=facts.from_lsn or 0))
                event = (
                    TableEvent.TAKEN_IN if facts.from_lsn == facts.careful_lsn else TableEvent.TAKEN_IN_PIECES
                )
                sync_tables.put(
                    conn,
                    table.name,
                    next_state(TableState(facts.state), event),
                    epoch=checkpoint.epoch,
                )
                backfills.forget(conn, table.name)
            leadership.check()

        noted = replace(checkpoint, noted_at=self._clock.now())
        self._lake.replace(
            copies,
            checkpoint=noted,
            batches=[(batch.batch_id, batch.table_name, batch.message_lsn, batch.rows) for batch in seen],
            within=within,
        )
        return noted

    def _bury(self, conn: psycopg.Connection, table: Table, misfit: Misfit, lsn: int, epoch: str) -> None:
        """Keep a row that the lake cannot take, as a change that the stream brings would be kept."""
        key = misfit.values[table.key]
        dead_letters.add(
            conn,
            table_name=table.name,
            change_kind="I",
            epoch=epoch,
            lsn=format_lsn(lsn),
            commit_at=self._clock.now(),
            reason=f"the value of {misfit.column} does not fit the lake's type {table[misfit.column].arrow}",
            raw=misfit.raw,
            key=None if key is None else str(key),
            payload=misfit.values,
        )
        metrics.SYNC_DEAD_LETTERS.labels(table=table.name).inc()

    @contextmanager
    def _parking(self, table: Table) -> Iterator[None]:
        """Let a table rest whose copy fails in a way that trying again does not heal."""
        try:
            yield
        except ChronolakeError as error:
            # A full disk is no table's fault: the copy goes on once there is room.
            if error.retry is not Retry.LATER and not isinstance(error, StorageFull):
                hint = error.hint or "Mend what the error names."
                park(
                    self._database,
                    table.name,
                    Parked(error.message, f"{hint} Then: {RESUME.format(table=table.name)}"),
                )
            raise


def bounds(size: TableSize, rows: int) -> list[tuple[int | None, int | None]]:
    """The ranges in which a table is copied, as blocks: as many as its rows and bytes ask for.

    The last has no end, for in a later snapshot the table may have more blocks.
    """
    workers = _worker_count()
    count = max(
        -(-rows // RANGE_ROWS), -(-size.bytes // RANGE_BYTES), min(2 * workers, rows // SMALL_RANGE_ROWS), 1
    )
    edges = sorted({size.blocks * number // count for number in range(1, count)} - {0})
    return list(zip([None, *edges], [*edges, None], strict=True))


def _goes_on(facts: CopyFacts, ranges: Sequence[Range], epoch: str, size: TableSize, shape: str) -> bool:
    """Whether there is a copy that did not end, of which something is of use."""
    return (
        facts.state == TableState.COPYING
        and facts.ranges_total is not None
        and facts.ranges_total == len(ranges)
        and facts.epoch == epoch
        and facts.filenode == size.filenode
        and facts.shape == shape
        and any(found.is_staged for found in ranges)
    )


def _show_progress(table: Table, ranges: Sequence[Range]) -> None:
    done = sum(found.is_staged for found in ranges)
    metrics.SYNC_BACKFILL_PROGRESS.labels(table=table.name).set(done / max(1, len(ranges)))


def _worker_count() -> int:
    return min(MOST_WORKERS, os.cpu_count() or 1)


@contextmanager
def _translated() -> Iterator[None]:
    """What the driver raises, as errors of ours."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"PostgreSQL: {str(error).strip()}") from error
    except psycopg.Error as error:
        raise DatabaseError(f"PostgreSQL: {str(error).strip()}") from error
