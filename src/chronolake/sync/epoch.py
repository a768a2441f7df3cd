"""Epochs: one unbroken history of one slot, within which LSNs can be compared.

A checkpoint says nothing to a slot that was made anew, to another server or to another of its timelines: then the
tables are copied as the new slot's snapshot shows them, while readers go on seeing what the lake held.
"""

import uuid

from chronolake.capture.columns import TABLES
from chronolake.clock import Clock
from chronolake.errors import DatabaseError
from chronolake.lake import Lake, StreamCheckpoint
from chronolake.lsn import format_lsn
from chronolake.oltp import Database, backfills, relations, replication, sync_tables
from chronolake.oltp.backfills import CopyFacts
from chronolake.oltp.replication import NewSlot, ReplicationConnection, SlotFacts
from chronolake.sync.backfill import Backfill
from chronolake.sync.leader import Leadership
from chronolake.sync.shapes import lake_name, syncable
from chronolake.sync.tables import TableEvent, TableState, next_state
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)


class Epochs:
    """Tells whether the stream goes on where the lake is, and begins anew where it does not."""

    def __init__(self, *, database: Database, lake: Lake, backfill: Backfill, clock: Clock) -> None:
        self._database = database
        self._lake = lake
        self._backfill = backfill
        self._clock = clock

    def begin(self, stream: ReplicationConnection, leadership: Leadership) -> StreamCheckpoint:
        """The checkpoint at which this term goes on, with the term's number in it, once all tables are copied.

        Raises:
            DatabaseError: the slot cannot be made, or the role may not replicate.
            LakeError: the lake could not take the copy.
            Stopped: the worker is to end.
        """
        identity = stream.identify()
        history = f"{identity.system_id}/{identity.timeline}"
        with self._database.connection() as conn:
            name = replication.slot_name(conn)
            slot = replication.slot_facts(conn, name)
        # The term first: until it is taken, whoever led before may still commit, and what was read would be old.
        term = self._lake.take_term()
        held = self._lake.stream_checkpoint()
        with self._database.connection() as conn:
            known = backfills.copies(conn)
        if slot is not None and slot.active_pid is not None:
            self._cut_off(name)
        reason = broken(held, slot, history)
        made: NewSlot | None = None
        if held is not None and reason is None:
            checkpoint = StreamCheckpoint(held.epoch, term, held.lsn, held.committed_at, held.noted_at)
            self._greet()
        elif (begun := unfinished(known, held, slot, history)) is not None:
            epoch, lsn = begun
            now = self._clock.now()
            checkpoint = StreamCheckpoint(epoch, term, lsn, now, now)
            _log.info("sync.epoch_goes_on", epoch=epoch)
        else:
            _log.warning("sync.epoch_begins", reason=reason)
            made, checkpoint = self._anew(stream, slot, name, history, term)
        if wanted := self._backfill.wanted():
            checkpoint = self._backfill.run(wanted, checkpoint=checkpoint, leadership=leadership, made=made)
        return checkpoint

    def _anew(
        self, stream: ReplicationConnection, slot: SlotFacts | None, name: str, history: str, term: int
    ) -> tuple[NewSlot, StreamCheckpoint]:
        """Make the slot of a new epoch, for which every table is to be copied; a parked one stays so.

        Those that the registry does not know are copied by the term that begins.
        """
        with self._database.connection() as conn:
            if slot is not None:
                replication.drop_slot(conn, name)
            known = backfills.copies(conn)
            more = {lake_name(source) for source in syncable(relations.published(conn))} - TABLES.keys()
        made = stream.create_slot(name)
        now = self._clock.now()
        checkpoint = StreamCheckpoint(f"{history}/{uuid.uuid4()}", term, made.lsn, now, now)
        for table in TABLES.values():
            self._backfill.drop(table)
        with self._database.connection() as conn:
            for table_name in (*TABLES, *sorted(more)):
                if _state(known, table_name) is not TableState.PARKED:
                    state = next_state(_state(known, table_name), TableEvent.ASKED)
                    sync_tables.put(conn, table_name, state, lsn=format_lsn(made.lsn), epoch=checkpoint.epoch)
        return made, checkpoint

    def _cut_off(self, name: str) -> None:
        """Take the slot from who led before: it cannot commit any more, but may hold its stream for a minute still."""
        try:
            with self._database.connection() as conn:
                replication.cut_off(conn, name)
        except DatabaseError as error:
            _log.warning("sync.slot_held", reason=error.message)

    def _greet(self) -> None:
        """Ask for copies of the registry's tables that follow no relation, or that nobody noted anything of."""
        followed = {note.table_name for note in self._lake.relation_notes()}
        with self._database.connection() as conn:
            known = backfills.copies(conn)
            for name in TABLES:
                state = _state(known, name)
                if state is None or (name not in followed and state is not TableState.PARKED):
                    sync_tables.ask_copy(conn, name, next_state(state, TableEvent.ASKED))


def unfinished(
    known: dict[str, CopyFacts], held: StreamCheckpoint | None, slot: SlotFacts | None, history: str
) -> tuple[str, int] | None:
    """The epoch that has begun and whose copy the lake has not taken in yet, and where its stream begins."""
    copies = [facts for name, facts in known.items() if name in TABLES and facts.state == TableState.COPYING]
    epochs = {facts.epoch for facts in copies}
    epoch = epochs.pop() if len(epochs) == 1 else None
    if epoch is None or not epoch.startswith(history + "/") or (held is not None and held.epoch == epoch):
        return None
    if slot is None or slot.wal_status == "lost" or slot.confirmed_lsn is None:
        return None
    # A slot that is past what was copied is another than the one that this epoch began with.
    if any(facts.from_lsn is None or facts.from_lsn < slot.confirmed_lsn for facts in copies):
        return None
    if any(_state(known, table) not in {TableState.COPYING, TableState.PARKED} for table in TABLES):
        return None
    return epoch, slot.confirmed_lsn


def _state(known: dict[str, CopyFacts], table: str) -> TableState | None:
    return TableState(known[table].state) if table in known else None


def broken(held: StreamCheckpoint | None, slot: SlotFacts | None, history: str) -> str | None:
    """Why the stream does not go on where the lake is; None where it does."""
    if held is None:
        return "the lake has never followed the stream"
    if not held.epoch.startswith(history + "/"):
        return f"the lake followed another history, {held.epoch}"
    if slot is None:
        return "the replication slot is gone"
    if slot.wal_status == "lost" or slot.confirmed_lsn is None:
        return f"the replication slot is lost ({slot.invalidation_reason or slot.wal_status})"
    if slot.confirmed_lsn > held.lsn:
        return f"the replication slot is at {format_lsn(slot.confirmed_lsn)}, past the lake's {format_lsn(held.lsn)}"
    return None
