"""`DataSyncService`: the plan's name for what keeps the lake equal to PostgreSQL, and says how far it is."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from chronolake.clock import Clock, SystemClock
from chronolake.errors import ChronolakeError, DatabaseError, DatabaseMisconfigured, Retry, SyncError
from chronolake.lake import Lake
from chronolake.loop import Loop, LoopState
from chronolake.oltp import Database, current_lsn, ledger, replication, sync_tables
from chronolake.oltp.replication import SlotFacts, lsn_of
from chronolake.settings import Settings
from chronolake.sync.lsn import format_lsn
from chronolake.sync.tables import TableState
from chronolake.sync.worker import SyncWorker

#: How often it is looked how far a copy is.
_LOOK_S = 0.1


@dataclass(frozen=True)
class SyncStatus:
    """How far the lake is behind PostgreSQL, and what is in the way.

    `lag_bytes` of WAL lie between the checkpoint and the present; `lag_s` ago the lake was known to be equal. All that
    is not known is null: `reason` says why.
    """

    state: str
    epoch: str | None
    term: int | None
    lsn: str | None
    committed_at: datetime | None
    lag_bytes: int | None
    lag_s: float | None
    pending_batches: int
    dead_letters: int
    slot: SlotFacts | None
    tables: list[sync_tables.TableStatus]
    reason: str | None


class DataSyncService:
    """Runs the worker, waits for it, and tells how it goes."""

    def __init__(
        self, *, database: Database, lake: Lake, settings: Settings, clock: Clock | None = None
    ) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._lake = lake
        self._settings = settings
        self.worker = SyncWorker(database=database, lake=lake, settings=settings)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """What steps in the background while a door stays open."""
        return (self.worker,)

    def following(self) -> AbstractContextManager[None]:
        """Within the block, what PostgreSQL commits is brought to the lake, by this process where no other does it."""
        return self.worker.following()

    def reach(self, lsn: str | None = None) -> None:
        """Return once the lake has everything that was committed before `lsn` (now, by default).

        Raises:
            LakeBusy: it took longer than CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            ChronolakeError: the lake or PostgreSQL failed.
        """
        self.worker.reach(lsn)

    def backfill(
        self, tables: Sequence[str], *, told: Callable[[list[sync_tables.TableStatus]], None] = lambda _: None
    ) -> list[sync_tables.TableStatus]:
        """Copy `tables` into the lake anew, and return once it holds the copies; what became of each.

        A copy of them that did not end goes on. Whoever leads does it: this process's worker, or another's. `told` is
        called with how far they are, a few times a second.

        Raises:
            ChronolakeError: PostgreSQL or the lake failed; the same again goes on. What failed for one table alone
                stands in its status.
        """
        with self._database.connection() as conn:
            for name in tables:
                sync_tables.ask_copy(conn, name, TableState.COPYING)
        with self.worker.following():
            while True:
                with self._database.connection() as conn:
                    found = [table for table in sync_tables.all_of(conn) if table.table_name in tables]
                told(found)
                if all(table.state != TableState.COPYING for table in found):
                    return found
                error = self.worker.error
                if error is not None and self._is_lasting(error):
                    raise error
                self._clock.sleep(_LOOK_S)

    def _is_lasting(self, error: Exception) -> bool:
        if self.worker.state is LoopState.FAILED or not isinstance(error, ChronolakeError):
            return True
        # What parked a table stands in its status, and the others go on.
        return error.retry is not Retry.LATER and (
            isinstance(error, DatabaseMisconfigured) or not isinstance(error, DatabaseError | SyncError)
        )

    def sweep(self) -> int:
        """Remove staged files that nobody will ask for; how many."""
        return self.worker.sweep()

    def status(self) -> SyncStatus:
        """How far the lake is, read from PostgreSQL and the catalog; asks no worker."""
        held = self._lake.stream_checkpoint()
        with self._database.connection() as conn:
            now = lsn_of(current_lsn(conn))
            slot = replication.slot_facts(conn, replication.slot_name(conn))
            backlog = ledger.backlog(conn)
            tables = sync_tables.all_of(conn)
            letters = sync_tables.open_dead_letters(conn)
        state, reason = "streaming", None
        if held is None:
            state, reason = "new", "the lake has never followed the stream"
        elif slot is None:
            state, reason = "broken", "the replication slot is gone; the next worker begins a new epoch"
        elif slot.wal_status == "lost":
            state, reason = "broken", "the replication slot is lost; the next worker begins a new epoch"
        elif any(table.state == TableState.COPYING for table in tables):
            state, reason = "copying", "tables are being copied, and the stream waits meanwhile"
        elif slot.active_pid is None:
            state, reason = "stopped", "no worker reads the stream: chronolake sync run, or chronolake serve"
        return SyncStatus(
            state=state,
            epoch=held.epoch if held else None,
            term=held.term if held else None,
            lsn=format_lsn(held.lsn) if held else None,
            committed_at=held.committed_at.astimezone(UTC) if held else None,
            lag_bytes=max(0, now - held.lsn) if held else None,
            lag_s=backlog.lag_s,
            pending_batches=backlog.batches,
            dead_letters=letters,
            slot=slot,
            tables=tables,
            reason=reason,
        )
