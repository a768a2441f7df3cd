"""Carry ledger batches into the lake: at least once here, exactly once there.

One committer at a time, by an advisory lock in PostgreSQL. Rows and the fact that their batch is applied
enter the lake in one transaction, so a batch that is carried again after a crash is recognised and skipped.
A staged file that is missing or damaged costs nothing but time: PostgreSQL has its rows, and they are staged
anew.
"""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection

from chronolake import faults
from chronolake.capture.columns import TABLES
from chronolake.clock import Clock, SystemClock
from chronolake.errors import LakeBusy
from chronolake.lake import Lake, StagedBatch, StagedFile, stage, verify
from chronolake.oltp import Database, imports, ledger
from chronolake.oltp import rows as row_store
from chronolake.settings import Settings
from chronolake.telemetry import logs, metrics

#: Key of the advisory lock that the one committer holds: "lake" in ASCII.
COMMITTER_LOCK = 0x6C616B65
#: Rows that one lake commit takes at most. Files of a commit are split by partition, so a commit should be
#: large; its rows are sorted in memory, so it should not be huge.
ROWS_PER_COMMIT = 2_000_000
#: Bytes of staged files likewise, for rows with long texts.
BYTES_PER_COMMIT = 512_000_000
_LOCK_POLL_S = 0.05
_STAGED_NAME = re.compile(r"import-(\d+)-batch-(\d+)\.parquet")

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class Carried:
    """What one run brought to the lake. `snapshot_id` is the lake's newest snapshot after it."""

    batches: int
    rows: int
    snapshot_id: int


class Committer:
    """The one writer of facts to the lake."""

    def __init__(
        self, *, database: Database, lake: Lake, settings: Settings, clock: Clock | None = None
    ) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings
        self._staging = settings.staging(database.instance)
        self._clock = clock or SystemClock()
        self._turn = threading.Lock()

    def carry(self) -> Carried:
        """Bring every batch of the ledger that the lake lacks; calling it again does nothing more.

        Raises:
            LakeBusy: another committer held the lock for longer than CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            LakeError: the lake refused; the batches stay in the ledger.
        """
        batches = rows = 0
        with self._alone() as still_alone:
            while group := self._next_group():
                snapshot_id = self._apply(group, still_alone)
                batches += len(group)
                rows += sum(batch.rows for batch in group)
                _log.info("lake.committed", snapshot_id=snapshot_id, batches=len(group))
        metrics.LEDGER_PENDING.set(0)
        return Carried(batches=batches, rows=rows, snapshot_id=self._lake.snapshot())

    def recover(self) -> int:
        """Where the lake was made anew, owe it everything again; how many batches. Else it costs one look.

        Without it the ledger would go on saying that the lake holds what the old one held.
        """
        self._take_over()
        if self._lake.holds_batches():
            return 0
        with self._database.connection() as conn:
            again = ledger.owe_again(conn)
        if again:
            _log.warning("lake.made_anew", batches=again)
        return again

    def _take_over(self) -> None:
        """Bring home the staged files that lie where all databases of a home once laid theirs.

        Another database's file may have the name of one of ours, but not its checksum.
        """
        if not any(_STAGED_NAME.match(path.name) for path in self._settings.staged.glob("*.parquet")):
            return
        with self._database.connection() as conn:
            pending = ledger.pending(conn)
        self._staging.mkdir(parents=True, exist_ok=True)
        for batch in pending:
            old = self._settings.staged / batch.path
            if verify(StagedFile(path=old, rows=batch.rows, bytes=batch.bytes, checksum=batch.checksum)):
                old.rename(self._path(batch))

    def sweep(self) -> int:
        """Remove staged files that the ledger does not owe and no living import writes; return how many.

        They are what a process leaves that dies between staging and commit, where PostgreSQL rolled the rows
        back, or between the lake's commit and the removal of the file.
        """
        removed = 0
        for path in sorted(self._staging.glob("*")):
            match = _STAGED_NAME.match(path.name)
            if match is None:
                continue
            with self._database.connection() as conn:
                if imports.is_held(conn, int(match[1])) or ledger.owed(conn, int(match[2])):
                    continue
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    @contextmanager
    def _alone(self) -> Iterator[Callable[[], None]]:
        """Hold the committer's lock; it falls with the connection, so a dead committer blocks nobody.

        Yields what raises where the connection, and with it the lock, is gone.
        """
        deadline = self._clock.monotonic() + self._settings.lake.lock_timeout_s
        waited = self._settings.lake.lock_timeout_s
        # Those of this process wait here, where they hold no connection that the one at work may need.
        if not self._turn.acquire(timeout=waited):
            raise LakeBusy(f"this process has been committing to the lake for {waited:g} s")
        try:
            with self._database.connection() as conn:
                while not _try_lock(conn):
                    conn.commit()
                    if self._clock.monotonic() > deadline:
                        raise LakeBusy(f"another process has been committing to the lake for {waited:g} s")
                    self._clock.sleep(_LOCK_POLL_S)
                # The lock belongs to the session; an open transaction would hold back vacuum all the while.
                conn.commit()
                try:
                    yield lambda: _still_held(conn)
                finally:
                    conn.execute("SELECT pg_advisory_unlock(%s)", [COMMITTER_LOCK])
        finally:
            self._turn.release()

    def _next_group(self) -> list[ledger.LedgerBatch]:
        """The oldest pending batches that fit one commit, of any table."""
        with self._database.connection() as conn:
            pending = ledger.pending(conn)
        metrics.LEDGER_PENDING.set(len(pending))
        group: list[ledger.LedgerBatch] = []
        rows = size = 0
        for batch in pending:
            rows += batch.rows
            size += batch.bytes
            if group and (rows > ROWS_PER_COMMIT or size > BYTES_PER_COMMIT):
                break
            group.append(batch)
        return group

    def _apply(self, group: Sequence[ledger.LedgerBatch], still_alone: Callable[[], None]) -> int:
        ids = [batch.batch_id for batch in group]
        done = self._lake.applied(ids)
        staged = [self._staged(batch) for batch in group if batch.batch_id not in done]
        snapshot_id = self._lake.apply(staged, before_commit=still_alone) if staged else self._lake.snapshot()
        with self._database.connection() as conn:
            ledger.mark_applied(conn, ids, snapshot_id)
        faults.reach("lake.after_ledger")
        for batch in group:
            self._path(batch).unlink(missing_ok=True)
        return snapshot_id

    def _staged(self, batch: ledger.LedgerBatch) -> StagedBatch:
        file = StagedFile(path=self._path(batch), rows=batch.rows, bytes=batch.bytes, checksum=batch.checksum)
        if not verify(file):
            _log.warning("lake.restaged", batch_id=batch.batch_id, path=batch.path, rows=batch.rows)
            table = TABLES[batch.table_name]
            with self._database.connection() as conn:
                rows = row_store.of_batch(
                    conn, table, batch.batch_id, fetch_rows=self._settings.sync.batch_size
                )
            self._staging.mkdir(parents=True, exist_ok=True)
            file = stage(table, rows, self._path(batch), self._settings.parquet)
        return StagedBatch(
            batch_id=batch.batch_id, table=TABLES[batch.table_name], file=file, message_lsn=batch.message_lsn
        )

    def _path(self, batch: ledger.LedgerBatch) -> Path:
        return self._staging / batch.path


def _try_lock(conn: Connection) -> bool:
    row = conn.execute("SELECT pg_try_advisory_lock(%s)", [COMMITTER_LOCK]).fetchone()
    return bool(row and row[0])


def _still_held(conn: Connection) -> None:
    """Raise where the lock's connection broke: then another may have taken it, and the same batches."""
    conn.execute("SELECT 1")
    conn.commit()
