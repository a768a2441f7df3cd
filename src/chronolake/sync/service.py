"""`DataSyncService`: the plan's name for what keeps the lake equal to PostgreSQL, and says how far it is."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from chronolake.capture.columns import TABLES, Table
from chronolake.clock import Clock, SystemClock
from chronolake.errors import (
    ChronolakeError,
    DatabaseError,
    DatabaseMisconfigured,
    Retry,
    SyncError,
    TableNotParked,
)
from chronolake.lake import Lake
from chronolake.loop import Loop, LoopState
from chronolake.lsn import format_lsn, parse_lsn
from chronolake.oltp import Database, current_lsn, dead_letters, ledger, replication, sync_tables
from chronolake.oltp.dead_letters import Letter
from chronolake.oltp.replication import SlotFacts
from chronolake.settings import Settings
from chronolake.sync.tables import TableEvent, TableState, next_state
from chronolake.sync.verifier import Verifier
from chronolake.sync.verify import Verdict, Verification
from chronolake.sync.worker import SyncWorker
from chronolake.telemetry import metrics

#: Seconds between two looks.
OBSERVE_S = 5.0
#: What PostgreSQL says of a slot's WAL (`pg_replication_slots.wal_status`), and that there is none.
SLOT_STATUSES = ("reserved", "extended", "unreserved", "lost", "missing")
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
    #: what an operator should see to, though nothing is broken yet
    advice: list[str]


class SyncObserver(Loop):
    """Sets the metrics that tell how far the lake is, as PostgreSQL and the catalog say it."""

    def __init__(self, service: "DataSyncService") -> None:
        super().__init__(interval_s=OBSERVE_S)
        self._service = service

    def step(self) -> SyncStatus:
        """Look once."""
        try:
            found = self._service.status()
        except ChronolakeError:
            for gauge in (
                metrics.LAKE_LAG_SECONDS,
                metrics.SYNC_LAG_BYTES,
                metrics.SLOT_HELD_BYTES,
                metrics.SYNC_DEAD_LETTERS_OPEN,
            ):
                gauge.set(math.nan)
            raise
        metrics.SYNC_LAG_BYTES.set(math.nan if found.lag_bytes is None else found.lag_bytes)
        metrics.LAKE_LAG_SECONDS.set(math.nan if found.lag_s is None else found.lag_s)
        metrics.SYNC_DEAD_LETTERS_OPEN.set(found.dead_letters)
        slot = found.slot
        metrics.SLOT_HELD_BYTES.set(math.nan if slot is None or slot.held_bytes is None else slot.held_bytes)
        now = slot.wal_status if slot is not None and slot.wal_status else "missing"
        for status in SLOT_STATUSES:
            metrics.SLOT_STATUS.labels(status=status).set(status == now)
        return found


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
        self._verification = Verification(database=database, lake=lake, worker=self.worker)
        self._verifier = Verifier(self._verification, lake=lake, interval_s=settings.sync.verify_interval_s)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """What steps in the background while a door stays open."""
        verifying = (self._verifier,) if self._settings.sync.verify_interval_s else ()
        return (self.worker, SyncObserver(self), *verifying)

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

    def resume(self, table_name: str) -> None:
        """Have a parked table copied anew and followed again by whoever leads; `copied` waits for it.

        Raises:
            TableNotParked: no table of that name is parked.
        """
        with self._database.connection() as conn:
            if table_name not in sync_tables.in_state(conn, TableState.PARKED):
                raise TableNotParked(f"no table {table_name} is parked", table=table_name)
            sync_tables.ask_copy(conn, table_name, next_state(TableState.PARKED, TableEvent.ASKED))

    def backfill(
        self, tables: Sequence[str], *, told: Callable[[list[sync_tables.TableStatus]], None] = lambda _: None
    ) -> list[sync_tables.TableStatus]:
        """Have `tables` copied into the lake anew, and wait for it as `copied` does.

        A copy of them that did not end goes on.
        """
        with self._database.connection() as conn:
            for name in tables:
                sync_tables.ask_copy(conn, name, next_state(None, TableEvent.ASKED))
        return self.copied(tables, told=told)

    def copied(
        self, tables: Sequence[str], *, told: Callable[[list[sync_tables.TableStatus]], None] = lambda _: None
    ) -> list[sync_tables.TableStatus]:
        """Return once the lake holds the copies of `tables` that are asked for; what became of each.

        Whoever leads does it: this process's worker, or another's. `told` is called with how far they are, a few times
        a second.

        Raises:
            ChronolakeError: PostgreSQL or the lake failed; the same again goes on. What failed for one table alone
                stands in its status.
        """
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

    def verify(self, tables: Iterable[Table] = TABLES.values(), *, repair: bool = False) -> list[Verdict]:
        """Compare `tables` (all, if none are named) with PostgreSQL; with `repair`, put right what differs.

        Nothing that is on its way is told as a difference, and no difference is overlooked: `sync/verify.py` says why.

        Raises:
            LakeBusy: the lake did not come as far as PostgreSQL within CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            ChronolakeError: PostgreSQL or the lake failed.
        """
        return [self._verification.verify(table, repair=repair) for table in tables]

    def dead_letters(self, *, table: str | None = None, letter_id: int | None = None) -> list[Letter]:
        """Changes that the lake could not take and nobody has dealt with, oldest first."""
        with self._database.connection() as conn:
            return dead_letters.listed(conn, table_name=table, letter_id=letter_id)

    def retry(self, letters: Sequence[Letter]) -> dict[int, str]:
        """Bring to the lake what PostgreSQL has now of the rows that these letters speak of.

        A letter whose row fits, or is no more, is closed. By the number of each other one, why it stays open.

        Raises:
            LakeBusy: nobody led within CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            ChronolakeError: PostgreSQL or the lake failed.
        """
        open_: dict[int, str] = {}
        by_table: dict[str, list[Letter]] = {}
        for letter in letters:
            if letter.key is None:
                open_[letter.letter_id] = "its row is not known: chronolake sync verify --repair finds it"
            else:
                by_table.setdefault(letter.table_name, []).append(letter)
        for name, of_table in by_table.items():
            keys = list(dict.fromkeys(letter.key for letter in of_table if letter.key is not None))
            answer = self._verification.repair(TABLES[name], keys)
            moved = dict.fromkeys(answer.moved, "its row changed meanwhile: try again")
            reasons = {**moved, **answer.unfit}
            done = [letter.letter_id for letter in of_table if letter.key not in reasons]
            open_ |= {letter.letter_id: reasons[letter.key] for letter in of_table if letter.key in reasons}
            with self._database.connection() as conn:
                dead_letters.resolve(conn, done, "retried")
                for letter in of_table:
                    if letter.key is not None and letter.key in answer.unfit:
                        dead_letters.explain(conn, letter.letter_id, answer.unfit[letter.key])
        return open_

    def dismiss(self, letter_id: int) -> bool:
        """Close a letter and leave the lake as it is; whether it was open."""
        with self._database.connection() as conn:
            return dead_letters.resolve(conn, [letter_id], "dismissed") > 0

    def sweep(self) -> int:
        """Remove staged files that nobody will ask for; how many."""
        return self.worker.sweep()

    def status(self) -> SyncStatus:
        """How far the lake is, read from PostgreSQL and the catalog; asks no worker."""
        held = self._lake.stream_checkpoint()
        with self._database.connection() as conn:
            now = parse_lsn(current_lsn(conn))
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
            advice=_advice(slot, letters),
        )


def _advice(slot: SlotFacts | None, letters: int) -> list[str]:
    advice = []
    if slot is not None and slot.safe_bytes is None and slot.wal_status != "lost":
        advice.append(
            "max_slot_wal_keep_size is unlimited: while no worker runs, WAL grows until the disk is full."
            " As a superuser: ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf();"
        )
    if slot is not None and slot.wal_status == "unreserved":
        advice.append("the slot is about to be lost: let a worker catch up, or raise max_slot_wal_keep_size")
    if letters:
        advice.append(f"{letters} changes lie among the dead letters: chronolake sync dead-letters")
    return advice
