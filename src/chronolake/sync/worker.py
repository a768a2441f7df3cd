"""`SyncWorker`: brings to the lake what PostgreSQL committed, exactly once and in commit order.

The guarantee, kept here and in `lake/commit.py`: rows and the checkpoint behind them enter the lake in one
transaction; the slot is advanced only after it; on restart the stream goes on at the checkpoint. So whatever moment
the process dies at, each change is in the lake once. Staged batches of dual write are taken in at their message's place
in the same order.
"""

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

from chronolake.capture.columns import Table
from chronolake.clock import Clock, SystemClock
from chronolake.errors import DatabaseConflict, LakeBusy, StorageFull, SyncError
from chronolake.lake import Lake, Repaired
from chronolake.loop import Loop, LoopState, running
from chronolake.lsn import format_lsn, parse_lsn
from chronolake.oltp import Database, backfills, current_lsn, moments, replication
from chronolake.oltp.replication import ReplicationConnection
from chronolake.settings import Settings
from chronolake.sync.backfill import Backfill, Stopped
from chronolake.sync.copying import Copier
from chronolake.sync.epoch import Epochs
from chronolake.sync.leader import Leadership, leading
from chronolake.sync.places import places_of
from chronolake.sync.receiver import Receiver
from chronolake.sync.shapes import Shapes
from chronolake.sync.spool import Spools
from chronolake.sync.staged import StagedBatches
from chronolake.sync.term import Term
from chronolake.sync.transactions import Assembler
from chronolake.telemetry import logs, metrics

#: How often `reach` looks.
_REACH_POLL_S = 0.02
#: After so long it asks whoever leads for haste, and again as often as that holds.
_HURRY_AFTER_S = 0.1
_HURRY_EVERY_S = 1.0

_log = logs.get_logger(__name__)


class SyncWorker(Loop):
    """Leads where nobody does, and stands by where somebody does."""

    def __init__(
        self,
        *,
        database: Database,
        lake: Lake,
        settings: Settings,
        interval_s: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(interval_s=interval_s)
        self._database = database
        self._lake = lake
        self._settings = settings
        self._clock = clock or SystemClock()
        self._staged = StagedBatches(database=database, settings=settings)
        self._backfill = Backfill(
            database=database,
            lake=lake,
            settings=settings,
            clock=self._clock,
            is_stopped=self._is_ending,
        )
        self._epochs = Epochs(database=database, lake=lake, backfill=self._backfill, clock=self._clock)
        self._hurried = threading.Event()
        #: whether it is `step` that leads; `reach` leads until it is there, whatever the loop did before
        self._steps = True

    def step(self) -> None:
        """Lead until stopped, if nobody else does.

        Raises:
            ChronolakeError: what ended the term; the next step begins another.
        """
        with leading(self._database, timeout_s=self._settings.database.connect_timeout_s) as leadership:
            if leadership is not None:
                self._lead(leadership, done=None)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Run in a thread of its own within the block, where it does not run already."""
        with nullcontext() if self.state is LoopState.RUNNING else running(self):
            yield

    def sweep(self) -> int:
        """Remove staged files that nobody will ask for; how many."""
        return self._staged.sweep()

    def reach(self, lsn: str | None = None) -> None:
        """Return once the lake has everything that was committed before `lsn` (now, by default).

        Whoever leads brings it: this process's worker, another's, or this call where nobody does.

        Raises:
            LakeBusy: it took longer than CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            ChronolakeError: the lake or PostgreSQL failed this process's worker, or this call while it led.
        """
        target = parse_lsn(lsn) if lsn is not None else self._now()
        self._wait(
            lambda: self._reached(target),
            done=lambda term: term.has_reached(target),
            what=f"come to {format_lsn(target)}",
        )

    def repair(self, table: Table, keys: Sequence[str]) -> Repaired:
        """Have the lake's rows of these keys made as PostgreSQL's are, by whoever leads, in order with the stream.

        Keys are written as PostgreSQL writes them. Repairing twice leaves the lake as after once.

        Raises:
            LakeBusy: nobody did within CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            ChronolakeError: as `reach`.
        """
        wish = self._lake.ask_repair(table, keys)
        answers: list[Repaired] = []

        def answered() -> bool:
            if not answers and (answer := self._lake.take_repair(wish)) is not None:
                answers.append(answer)
            return bool(answers)

        try:
            self._wait(answered, done=lambda _: answered(), what=f"repaired {len(keys)} rows of {table.name}")
        finally:
            self._lake.withdraw_repair(wish)
        return answers[0]

    def _wait(self, is_so: Callable[[], bool], *, done: Callable[[Term], bool], what: str) -> None:
        """Return once it is so. Where nobody leads, this call does, until `done`."""
        deadline = self._clock.monotonic() + self._settings.lake.lock_timeout_s
        hurry_at = self._clock.monotonic() + _HURRY_AFTER_S
        while not is_so():
            if self.state is not LoopState.RUNNING:
                with leading(
                    self._database, timeout_s=self._settings.database.connect_timeout_s
                ) as leadership:
                    if leadership is not None:
                        # Who led before may not have let go of the slot yet, or may commit at this moment.
                        with suppress(LakeBusy, DatabaseConflict):
                            self._lead(leadership, done=done)
                            continue
            elif self.error is not None and not isinstance(self.error, LakeBusy):
                raise self.error
            self._hurried.set()
            if self._clock.monotonic() >= hurry_at:
                # It may be another process that leads.
                hurry_at = self._clock.monotonic() + _HURRY_EVERY_S
                with self._database.connection() as conn:
                    moments.hurry(conn)
            if self._clock.monotonic() > deadline:
                waited = self._settings.lake.lock_timeout_s
                raise LakeBusy(f"the sync has not {what} within {waited:g} s") from self.error
            self._clock.sleep(_REACH_POLL_S)

    def _now(self) -> int:
        with self._database.connection() as conn:
            return parse_lsn(current_lsn(conn))

    def _reached(self, target: int) -> bool:
        checkpoint = self._lake.stream_checkpoint()
        if checkpoint is None or checkpoint.lsn < target:
            return False
        return not any(parse_lsn(batch.message_lsn or "0/0") < target for batch in self._staged.pending())

    def _is_ending(self) -> bool:
        return self._steps and self._stopped.is_set()

    def _lead(self, leadership: Leadership, *, done: Callable[[Term], bool] | None) -> None:
        """Lead until `done`, or where that is null until the loop is stopped."""
        self._steps = done is None
        timeout_s = self._settings.database.connect_timeout_s
        with (
            _files_translated(),
            ReplicationConnection.open(self._database.url, timeout_s=timeout_s) as stream,
        ):
            try:
                checkpoint = self._epochs.begin(stream, leadership)
            except Stopped:
                return
            with self._database.connection() as conn:
                slot = replication.slot_name(conn)
                places = places_of(backfills.copies(conn), self._lake.restaged())
            _log.info(
                "sync.leads", term=checkpoint.term, epoch=checkpoint.epoch, lsn=format_lsn(checkpoint.lsn)
            )
            folder = self._settings.home.root / "spool" / str(self._database.instance)
            stream.start(slot, checkpoint.lsn)
            with Spools(folder) as spools, Receiver(stream, lsn=checkpoint.lsn) as receiver:
                term = Term(
                    lake=self._lake,
                    database=self._database,
                    staged=self._staged,
                    receiver=receiver,
                    slot=slot,
                    leadership=leadership,
                    assembler=Assembler(spools),
                    shapes=Shapes(lake=self._lake, database=self._database),
                    copier=Copier(
                        database=self._database, lake=self._lake, clock=self._clock, timeout_s=timeout_s
                    ),
                    checkpoint=checkpoint,
                    places=places,
                    batch_size=self._settings.sync.batch_size,
                    clock=self._clock,
                )
                metrics.SYNC_LEADING.set(1)
                try:
                    while not self._is_over(term, done):
                        # Who leads for a while only has somebody waiting.
                        hurried = done is not None or self._hurried.is_set()
                        self._hurried.clear()
                        term.round(hurried=hurried)
                finally:
                    metrics.SYNC_LEADING.set(0)

    def _is_over(self, term: Term, done: Callable[[Term], bool] | None) -> bool:
        # A copy is made at the beginning of a term, where nothing waits to be applied.
        if term.is_to_copy:
            return True
        # Stopping ends the loop's own terms; a caller who leads has come for `done`, after the loop's end too.
        return self._stopped.is_set() if done is None else done(term)


@contextmanager
def _files_translated() -> Iterator[None]:
    """Let a spool or a staged file that fails end the term, not the loop: a disk that is full has room again one day.

    Raises:
        StorageFull: no room for the sync's own files.
        SyncError: they cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"no room for the sync's files: {error}") from error
        raise SyncError(
            f"the sync's files cannot be used: {error}",
            hint="Give this user the right to read and write in the folders spool and staged of CHRONOLAKE_HOME.",
        ) from error
