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
from chronolake.lake import (
    Lake,
    Repair,
    Repaired,
    StagedBatch,
    StreamCheckpoint,
    TableChanges,
    note_restaged,
)
from chronolake.lake import repairs as repair_store
from chronolake.lake.keys import keys_of
from chronolake.lake.writer import staged_rows
from chronolake.lsn import format_lsn, parse_lsn
from chronolake.oltp import (
    Database,
    current_lsn,
    dead_letters,
    insert_lsn,
    moments,
    relations,
    replication,
    sync_tables,
)
from chronolake.oltp.ledger import LedgerBatch
from chronolake.sync import scan
from chronolake.sync.copying import Copier
from chronolake.sync.leader import Leadership
from chronolake.sync.places import Places
from chronolake.sync.receiver import Receiver
from chronolake.sync.repair import key_texts, plan_repair
from chronolake.sync.schema import unpublished
from chronolake.sync.shapes import Shapes, lake_name, syncable
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
#: With more WAL than this before us there is more to come, and a change waits so long instead.
BEHIND_BYTES = 4 << 20
BEHIND_LINGER_S = 1.0
#: Staged rows that are worth a commit; fewer wait for BATCH_LINGER_S, or until somebody waits for them.
BATCH_ROWS = 500_000
BATCH_LINGER_S = 5.0
#: For so long nothing lingers after somebody has asked for haste: what he waits for may come a moment later.
HURRY_S = 1.0
#: How long a round waits for the stream while nothing comes.
IDLE_S = 0.1
#: How often the checkpoint is noted and the server told of it, if nothing else makes us.
CONFIRM_S = 1.0
#: WAL that the slot may keep before the server is asked to let go of what is behind us; so much more of it makes us
#: tell the server sooner.
KEPT_BYTES = 16 << 20
#: How often the leader looks whether somebody asked for a repair.
REPAIRS_S = 0.5
#: How long a repair waits for transactions that may have changed the table.
WRITERS_S = 5.0

_log = logs.get_logger(__name__)


class Term:
    """What one leader knows. For one thread."""

    def __init__(
        self,
        *,
        lake: Lake,
        database: Database,
        staged: StagedBatches,
        receiver: Receiver,
        slot: str,
        leadership: Leadership,
        assembler: Assembler,
        shapes: Shapes,
        copier: Copier,
        checkpoint: StreamCheckpoint,
        places: Places,
        batch_size: int,
        clock: Clock,
    ) -> None:
        self._lake = lake
        self._database = database
        self._staged = staged
        self._receiver = receiver
        self._leadership = leadership
        self._assembler = assembler
        self._shapes = shapes
        self._copier = copier
        self._places = places
        self._batch_size = batch_size
        self._clock = clock
        self._checkpoint = checkpoint
        #: the server has sent everything that was committed before this
        self._watermark = checkpoint.lsn
        self._pending: list[LedgerBatch] = []
        self._pending_since: float | None = None
        #: where the server's WAL was when the round began
        self._wal_lsn = checkpoint.lsn
        self._stretch = self._new_stretch()
        self._stretch_since = 0.0
        self._stretch_began = 0.0
        self._told_at = 0.0
        self._told_wal_lsn = checkpoint.lsn
        self._looked_at = 0.0
        self._slot = slot
        #: whether the server lets us ask it to
        self._may_release = True
        #: tables that are published no more, and the LSN up to which the stream may still bring changes of them
        self._leaving: dict[str, int] = {}
        self._repairs_at = 0.0
        self._hurried_until = 0.0
        #: by table, where PostgreSQL was when rows were asked of it that the lake's commit holds
        self._refetched: dict[str, int] = {}
        #: whether a table of the registry is to be copied, which is done where a term begins: nothing that was read
        #: waits to be applied
        self.is_to_copy = False

    def has_reached(self, target: int) -> bool:
        """Whether the lake has everything that was committed before `target`."""
        return not self._leaving and not self._asked() and self._is_past(target)

    def _is_past(self, target: int) -> bool:
        """Whether the stream, and the staged batches with it, are applied up to `target`."""
        return self._checkpoint.lsn >= target and not first_group(self._staged.pending(), target)

    def round(self, *, hurried: bool) -> None:
        """Read what has come, apply what is due, tell the server how far we are. `hurried`: all of it is due.

        Raises:
            DatabaseUnavailable: PostgreSQL or the leader's lock was lost.
            DecodeError: the stream is broken.
            LakeError: the lake could not take the changes; the next term begins at the checkpoint.
        """
        self._look_at_tables(hurried=hurried)
        if self.is_to_copy:
            return
        self._follow(hurried=hurried)
        now = time.monotonic()
        if now - self._repairs_at >= REPAIRS_S:
            self._repairs_at = now
            while (repair := self._lake.waiting_repair()) is not None:
                self._repair(repair)

    def _follow(self, *, hurried: bool) -> None:
        waiting = hurried or bool(self._stretch.transactions)
        items = self._receiver.read(max_bytes=READ_BYTES, wait_s=LINGER_S if waiting else IDLE_S)
        self._look_at_ledger()
        for event in self._assembler.feed(items):
            if isinstance(event, int):
                self._watermark = max(self._watermark, event)
            else:
                self._take(event)
        hurried = hurried or time.monotonic() < self._hurried_until
        if self._is_due(hurried=hurried, at_hand=bool(items)):
            self._flush()
        if self._batches_are_due(hurried=hurried):
            self._bring_batches(self._watermark)
        self._tell(hurried=hurried)

    def _repair(self, repair: Repair) -> None:
        """Make rows of the lake as PostgreSQL's are; `sync/repair.py` says why nothing newer is lost."""
        table, keys = TABLES[repair.table_name], list(repair.keys)
        with moments.moment(self._database) as seen:
            read = scan.of_keys(seen.conn, table, keys)
        while not self._is_past(parse_lsn(seen.lsn)):
            self._follow(hurried=True)
        ended = moments.writers_ended(self._database, table.postgres_table, timeout_s=WRITERS_S)
        with self._database.connection() as conn:
            now = scan.versions_of(conn, table, keys)
        changes, repaired = plan_repair(table, keys, read, now)
        if not ended:
            repaired = Repaired(moved=repair.keys)

        def within(conn: Connection) -> None:
            repair_store.answer(conn, repair.repair_id, repaired)
            self._leadership.check()

        applied = self._lake.apply_changes(
            [changes] if repaired.keys else [], checkpoint=self._checkpoint, within=within
        )
        _log.info(
            "sync.repaired",
            table=table.name,
            keys=len(repaired.keys),
            moved=len(repaired.moved),
            unfit=len(repaired.unfit),
            snapshot_id=applied.snapshot_id,
        )

    def _look_at_tables(self, *, hurried: bool) -> None:
        """Copy the tables that are new in the publication or that somebody asked for, and park those that left it.

        A table of the registry makes the term end.
        """
        now = time.monotonic()
        if not hurried and now - self._looked_at < CONFIRM_S:
            return
        self._looked_at = now
        with self._database.connection() as conn:
            published = relations.published(conn)
            asked = sync_tables.in_state(conn, TableState.COPYING)
            lsn = parse_lsn(current_lsn(conn))
        unknown = self._shapes.unknown(published)
        registered = asked.union(map(lake_name, unknown)) & TABLES.keys()
        if registered:
            self._apply_stretch()
            with self._database.connection() as conn:
                for name in registered:
                    sync_tables.ask_copy(conn, name, next_state(None, TableEvent.ASKED))
            self.is_to_copy = True
            return
        self._shapes.leave_out(asked)
        by_name = {lake_name(table): table for table in syncable(published)}
        for name in sorted(asked - by_name.keys()):
            self._shapes.park(name, unpublished(name))
        wanted = [by_name[name] for name in sorted(asked & by_name.keys())]
        for source in [*wanted, *unknown]:
            self._apply_stretch()
            self._copier.copy_table(source, self._shapes, self._checkpoint)
        lost = self._shapes.lost(published)
        self._leaving = {name: known for name, known in self._leaving.items() if name in lost}
        for name in lost:
            # What it changed before it left may still be on its way.
            if self._checkpoint.lsn >= self._leaving.setdefault(name, lsn):
                self._shapes.park(name, unpublished(name))
                del self._leaving[name]

    def _look_at_ledger(self) -> None:
        with self._database.connection() as conn:
            self._wal_lsn = parse_lsn(current_lsn(conn))
        self._pending = self._staged.pending()
        if not self._pending:
            self._pending_since = None
        elif self._pending_since is None:
            self._pending_since = time.monotonic()

    def _take(self, transaction: Transaction) -> None:
        tables = touched(transaction)
        earlier = [b for b in self._pending if parse_lsn(b.message_lsn or "0/0") < transaction.commit_lsn]
        if any(TABLES[batch.table_name].postgres_table in tables for batch in earlier):
            self._bring_batches(transaction.commit_lsn)
        self._follow_shapes(transaction)
        if transaction.hurries:
            self._hurried_until = time.monotonic() + HURRY_S
        if not self._stretch.transactions:
            # What came while the last stretch was applied has waited long enough.
            self._stretch_since = self._receiver.came_at
            self._stretch_began = time.monotonic()
        self._stretch.add(transaction)
        self._watermark = max(self._watermark, transaction.lsn)
        if self._stretch.rows >= self._batch_size * BEHIND_FACTOR or self._stretch.bytes >= STRETCH_BYTES:
            self._flush()

    def _follow_shapes(self, transaction: Transaction) -> None:
        """Let the lake have the shapes that a transaction's rows are of; rows before them go in the old ones."""
        for relation in self._assembler.relations_of(transaction):
            if not self._shapes.follows(relation.oid, transaction.commit_lsn):
                continue
            met = self._shapes.meet(relation)
            if met is not None:
                self._apply_stretch()
                self._shapes.follow(relation, met)

    def _apply_stretch(self) -> None:
        if self._stretch.transactions:
            self._flush()

    def _is_due(self, *, hurried: bool, at_hand: bool) -> bool:
        """Whether the stretch is to be applied now. It grows while there is more `at_hand` and before us."""
        if not self._stretch.transactions:
            return False
        now = time.monotonic()
        if at_hand and self._wal_lsn - self._watermark > BEHIND_BYTES:
            return now - self._stretch_began >= BEHIND_LINGER_S
        return hurried or now - self._stretch_since >= LINGER_S or self._stretch.rows >= self._batch_size

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
        self._shapes.noted()
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
                    key=letter.key,
                    payload=letter.payload,
                )
                metrics.SYNC_DEAD_LETTERS.labels(table=letter.table.name).inc()
            note_restaged(conn, self._refetched)
            self._refetched.clear()
            self._shapes.noting(conn)
            self._leadership.check()

        return within

    def _bring_batches(self, upto_lsn: int) -> None:
        """Apply the staged batches whose message lies before `upto_lsn`, after what the stream had before them."""
        while group := first_group(self._pending, upto_lsn):
            if any(TABLES[batch.table_name].postgres_table in self._stretch.tables for batch in group):
                self._flush()
            more = {name: self._shapes.more_columns(name) for name in {batch.table_name for batch in group}}
            files, restaged = self._staged.files(
                group, {name: columns for name, columns in more.items() if columns is not None}
            )
            ahead: dict[str, int] = {}
            if restaged:
                # Their rows are as they are now, and the stream still brings how they came to be so.
                with self._database.connection() as conn:
                    ahead = dict.fromkeys(restaged, parse_lsn(insert_lsn(conn)))
            snapshot_id = self._apply(files, ahead)
            self._staged.done(group, snapshot_id)
            self._pending = self._pending[len(group) :]
            _log.info("lake.committed", snapshot_id=snapshot_id, batches=len(group))
        if not self._pending:
            self._pending_since = None

    def _asked(self) -> set[str]:
        with self._database.connection() as conn:
            return sync_tables.in_state(conn, TableState.COPYING)

    def _apply(self, batches: Sequence[StagedBatch], ahead: dict[str, int]) -> int:
        """Bring staged batches in; one whose rows a copy may have, row by row in the place of those.

        The rows of the tables `ahead` may be as they are at these LSNs.
        """

        def within(conn: Connection) -> None:
            note_restaged(conn, ahead)
            self._leadership.check()

        held = self._lake.applied([batch.batch_id for batch in batches])
        for batch in batches:
            lsn = parse_lsn(batch.message_lsn or "0/0")
            if batch.batch_id in held or not self._places.is_careful(batch.table.name, lsn):
                continue
            rows = staged_rows([batch])
            self._lake.apply_changes(
                [TableChanges(batch.table, rows, keys_of(rows[batch.table.key]))],
                checkpoint=self._checkpoint,
                batches=[(batch.batch_id, batch.table.name, batch.message_lsn, rows.num_rows)],
                within=within,
            )
        for table, lsn in ahead.items():
            self._places.be_careful(table, lsn)
        # The checkpoint stays where it is; that it is noted keeps a worker whose term is over from committing.
        return self._lake.apply(
            batches, checkpoint=self._checkpoint, restaged=ahead, before_commit=self._leadership.check
        )

    def _refetch(self, table: Table, keys: pa.ChunkedArray) -> pa.Table:
        """Rows as they are in PostgreSQL now; until the stream has come here, it may bring what they have."""
        if table.name not in TABLES:
            # Its copy is of one snapshot, and passes no row by.
            return table.arrow_schema.empty_table()
        _, types = self._shapes.more_columns(table.name) or (table, {})
        with self._database.connection() as conn:
            rows = scan.of_keys(conn, table, key_texts(keys), types=types).fitting
            # Read after the rows: all that they hold was committed before it.
            lsn = parse_lsn(insert_lsn(conn))
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
        # A vacuum of a large table writes in a second what else takes minutes, and the slot would keep all of it.
        due = hurried or now - self._told_at >= CONFIRM_S or self._wal_lsn - self._told_wal_lsn >= KEPT_BYTES
        if due and not self._stretch.transactions:
            self._checkpoint = replace(
                self._checkpoint, lsn=max(self._watermark, self._checkpoint.lsn), noted_at=self._clock.now()
            )
            self._lake.note_checkpoint(self._checkpoint)
            self._catch_up()
        if due and self._may_release:
            with self._database.connection() as conn:
                self._may_release = replication.release_wal(conn, self._slot, kept_bytes=KEPT_BYTES)
        behind = bool(self._pending) and parse_lsn(self._pending[-1].message_lsn or "0/0") >= self._watermark
        if due or behind or self._receiver.reply_wanted:
            self._receiver.confirm(self._checkpoint.lsn)
            self._told_at, self._told_wal_lsn = now, self._wal_lsn

    def _new_stretch(self) -> Stretch:
        return Stretch(
            pieces=self._assembler.pieces,
            shapes=self._shapes,
            lsn=self._checkpoint.lsn,
            committed_at=self._checkpoint.committed_at,
        )
