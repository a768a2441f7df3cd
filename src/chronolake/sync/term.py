"""One term of the worker that leads: from the stream to the lake, round after round.

A stretch of transactions is gathered and applied in one lake commit. Staged batches are applied when the stream has
come past their message, and before any later change of their table.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa
from psycopg import Connection

from chronolake.capture.columns import TABLES, Table
from chronolake.clock import Clock
from chronolake.lake import Lake, StagedBatch, StreamCheckpoint, TableChanges
from chronolake.lake.keys import keys_of
from chronolake.lake.writer import staged_rows
from chronolake.oltp import Database, backfills, dead_letters, insert_lsn, sync_tables
from chronolake.oltp.ledger import LedgerBatch
from chronolake.oltp.replication import ReplicationConnection, lsn_of
from chronolake.sync.copied import rows_of_keys
from chronolake.sync.leader import Leadership
from chronolake.sync.lsn import format_lsn
from chronolake.sync.places import Places
from chronolake.sync.staged import StagedBatches, first_group
from chronolake.sync.stretch import DeadLetter, Stretch, touched
from chronolake.sync.tables import TableEvent, TableState, next_state
from chronolake.sync.transactions import Assembler, Transaction
from chronolake.telemetry import logs, metrics

#: Bytes of the stream that are read before they are looked at.
READ_BYTES = 16 << 20
#: While the stream brings more than can be applied at once, a commit takes this many times DATA_SYNC_BATCH_SIZE
#: changes: the larger it is, the less each change costs.
BEHIND_FACTOR = 20
#: Or this many bytes of messages.
STRETCH_BYTES = 256 << 20
#: A change waits so long for others to come with it.
LINGER_S = 0.05
#: Staged rows that are worth a commit; fewer wait for BATCH_LINGER_S, or until somebody waits for them.
BATCH_ROWS = 500_000
BATCH_LINGER_S = 5.0
#: How long a round waits for the stream while nothing comes.
IDLE_S = 0.1
#: How often the checkpoint is noted and the server told of it, if nothing else makes us.
CONFIRM_S = 1.0
#: How often it is looked whether a table is to be copied.
ASK_S = 1.0

_log = logs.get_logger(__name__)


class Term:
    """What one leader knows. For one thread."""

    def __init__(
        self,
        *,
        lake: Lake,
        database: Database,
        staged: StagedBatches,
        stream: ReplicationConnection,
        leadership: Leadership,
        assembler: Assembler,
        checkpoint: StreamCheckpoint,
        places: Places,
        batch_size: int,
        clock: Clock,
    ) -> None:
        self._lake = lake
        self._database = database
        self._staged = staged
        self._stream = stream
        self._leadership = leadership
        self._assembler = assembler
        self._places = places
        self._batch_size = batch_size
        self._clock = clock
        self._checkpoint = checkpoint
        #: the server has sent everything that was committed before this
        self._watermark = checkpoint.lsn
        self._pending: list[LedgerBatch] = []
        self._pending_since: float | None = None
        self._stretch = self._new_stretch()
        self._stretch_since = 0.0
        self._told_at = 0.0
        self._asked_at = 0.0
        #: by table, where PostgreSQL was when rows were asked of it that the lake's commit holds
        self._refetched: dict[str, int] = {}

    def has_reached(self, target: int) -> bool:
        """Whether the lake has everything that was committed before `target`."""
        return self._checkpoint.lsn >= target and not first_group(self._staged.pending(), target)

    def is_to_copy(self) -> bool:
        """Whether somebody wants a table copied, and nothing that was read waits to be applied."""
        now = time.monotonic()
        if now - self._asked_at < ASK_S or self._stretch.transactions:
            return False
        self._asked_at = now
        with self._database.connection() as conn:
            return any(facts.state == TableState.COPYING for facts in backfills.copies(conn).values())

    def round(self, *, hurried: bool) -> None:
        """Read what has come, apply what is due, tell the server how far we are. `hurried`: all of it is due.

        Raises:
            DatabaseUnavailable: PostgreSQL or the leader's lock was lost.
            DecodeError: the stream is broken.
            LakeError: the lake could not take the changes; the next term begins at the checkpoint.
        """
        waiting = hurried or bool(self._stretch.transactions)
        items = self._stream.read(max_bytes=READ_BYTES, wait_s=LINGER_S if waiting else IDLE_S)
        self._look_at_ledger()
        for event in self._assembler.feed(items):
            if isinstance(event, int):
                self._watermark = max(self._watermark, event)
            else:
                self._take(event)
        if self._is_due(hurried=hurried, more=len(items) >= self._batch_size):
            self._flush()
        if self._batches_are_due(hurried=hurried):
            self._bring_batches(self._watermark)
        self._tell(hurried=hurried)

    def _look_at_ledger(self) -> None:
        self._pending = self._staged.pending()
        if not self._pending:
            self._pending_since = None
        elif self._pending_since is None:
            self._pending_since = time.monotonic()

    def _take(self, transaction: Transaction) -> None:
        tables = touched(transaction)
        earlier = first_group(self._pending, transaction.commit_lsn)
        if any(TABLES[batch.table_name].postgres_table in tables for batch in earlier):
            self._bring_batches(transaction.commit_lsn)
        if not self._stretch.transactions:
            self._stretch_since = time.monotonic()
        self._stretch.add(transaction)
        self._watermark = max(self._watermark, transaction.lsn)
        if self._stretch.rows >= self._batch_size * BEHIND_FACTOR or self._stretch.bytes >= STRETCH_BYTES:
            self._flush()

    def _is_due(self, *, hurried: bool, more: bool) -> bool:
        """Whether the stretch is to be applied now; with `more` at hand it may grow."""
        if not self._stretch.transactions:
            return False
        lingered = time.monotonic() - self._stretch_since >= LINGER_S
        return hurried or (not more and (lingered or self._stretch.rows >= self._batch_size))

    def _batches_are_due(self, *, hurried: bool) -> bool:
        if self._pending_since is None:
            return False
        lingered = time.monotonic() - self._pending_since >= BATCH_LINGER_S
        return hurried or lingered or sum(batch.rows for batch in self._pending) >= BATCH_ROWS

    def _flush(self) -> None:
        """Apply the stretch in one commit."""
        stretch, self._stretch = self._stretch, self._new_stretch()
        letters: list[tuple[DeadLetter, Transaction]] = []
        checkpoint = replace(
            self._checkpoint, lsn=stretch.lsn, committed_at=stretch.committed_at, noted_at=self._clock.now()
        )
        started = time.monotonic()
        applied = self._lake.apply_changes(
            stretch.changes(self._places, lambda letter, of: letters.append((letter, of))),
            checkpoint=checkpoint,
            refetch=self._refetch,
            within=self._in_commit(letters),
        )
        self._checkpoint = checkpoint
        seconds = time.monotonic() - started
        metrics.SYNC_COMMIT_SECONDS.observe(seconds)
        for outcome in applied.outcomes:
            metrics.SYNC_ROWS.labels(table=outcome.table.name, outcome="added").inc(outcome.added)
            metrics.SYNC_ROWS.labels(table=outcome.table.name, outcome="removed").inc(outcome.removed)
            if len(outcome.incomplete):
                _log.warning(
                    "sync.incomplete",
                    table=outcome.table.name,
                    rows=len(outcome.incomplete),
                    refetched=outcome.refetched,
                )
        _log.info(
            "sync.committed",
            snapshot_id=applied.snapshot_id,
            changes=stretch.rows,
            lsn=format_lsn(stretch.lsn),
            seconds=round(seconds, 3),
        )

    def _in_commit(self, letters: list[tuple[DeadLetter, Transaction]]) -> Callable[[Connection], None]:
        """What is done in the lake's own transaction, right before it commits."""

        def within(conn: Connection) -> None:
            for letter, transaction in letters:
                dead_letters.add(
                    conn,
                    table_name=letter.table.name,
                    change_kind=letter.kind,
                    epoch=self._checkpoint.epoch,
                    lsn=format_lsn(transaction.commit_lsn),
                    commit_at=transaction.committed_at,
                    reason=letter.reason,
                    raw=letter.raw,
                )
                metrics.SYNC_DEAD_LETTERS.labels(table=letter.table.name).inc()
            for table, lsn in self._refetched.items():
                sync_tables.be_careful(conn, table, format_lsn(lsn))
            self._refetched.clear()
            self._leadership.check()

        return within

    def _bring_batches(self, upto_lsn: int) -> None:
        """Apply the staged batches whose message lies before `upto_lsn`, after what the stream had before them."""
        while group := first_group(self._pending, upto_lsn):
            if any(TABLES[batch.table_name].postgres_table in self._stretch.tables for batch in group):
                self._flush()
            files, restaged = self._staged.files(group)
            if restaged:
                # Their rows are as they are now, and the stream still brings how they came to be so.
                with self._database.connection() as conn:
                    now = insert_lsn(conn)
                    for table in restaged:
                        sync_tables.be_careful(conn, table, now)
                        self._places.be_careful(table, lsn_of(now))
            snapshot_id = self._apply(files)
            self._staged.done(group, snapshot_id)
            self._pending = self._pending[len(group) :]
            _log.info("lake.committed", snapshot_id=snapshot_id, batches=len(group))
        if not self._pending:
            self._pending_since = None

    def _apply(self, batches: Sequence[StagedBatch]) -> int:
        """Bring staged batches in; one whose rows a copy may have, row by row in the place of those."""
        held = self._lake.applied([batch.batch_id for batch in batches])
        for batch in batches:
            lsn = lsn_of(batch.message_lsn or "0/0")
            if batch.batch_id in held or not self._places.is_careful(batch.table.name, lsn):
                continue
            rows = staged_rows([batch])
            self._lake.apply_changes(
                [TableChanges(batch.table, rows, keys_of(rows[batch.table.key]))],
                checkpoint=self._checkpoint,
                batches=[(batch.batch_id, batch.table.name, batch.message_lsn, rows.num_rows)],
                within=self._in_commit([]),
            )
        return self._lake.apply(batches, before_commit=self._leadership.check)

    def _refetch(self, table: Table, keys: pa.ChunkedArray) -> pa.Table:
        """Rows as they are in PostgreSQL now; until the stream has come here, it may bring what they have."""
        rows, lsn = rows_of_keys(self._database, table, keys)
        self._places.be_careful(table.name, lsn)
        self._refetched[table.name] = lsn
        return rows

    def _catch_up(self) -> None:
        """Call tables streaming whose copy of several snapshots the stream has come past."""
        for name in sorted(self._places.catching_up):
            if self._places.is_careful(name, self._checkpoint.lsn):
                continue
            with self._database.connection() as conn:
                sync_tables.put(conn, name, next_state(TableState.CATCHING_UP, TableEvent.CAUGHT_UP))
            self._places.catching_up.discard(name)
            _log.info("sync.caught_up", table=name, lsn=format_lsn(self._checkpoint.lsn))

    def _tell(self, *, hurried: bool) -> None:
        """Note how far the stream is where nothing in it was for the lake; the server may forget what is behind us."""
        now = time.monotonic()
        due = hurried or now - self._told_at >= CONFIRM_S
        if due and not self._stretch.transactions:
            self._checkpoint = replace(
                self._checkpoint, lsn=max(self._watermark, self._checkpoint.lsn), noted_at=self._clock.now()
            )
            self._lake.note_checkpoint(self._checkpoint)
            self._catch_up()
        behind = bool(self._pending) and lsn_of(self._pending[-1].message_lsn or "0/0") >= self._watermark
        if due or behind or self._stream.reply_wanted:
            self._stream.confirm(self._checkpoint.lsn, ask=hurried or behind)
            self._told_at = now

    def _new_stretch(self) -> Stretch:
        return Stretch(
            pieces=self._assembler.pieces,
            relations=self._assembler.relations,
            lsn=self._checkpoint.lsn,
            committed_at=self._checkpoint.committed_at,
        )
