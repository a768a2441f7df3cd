"""Epochs: one unbroken history of one slot, within which LSNs can be compared.

A checkpoint says nothing to a slot that was made anew, to another server or to another of its timelines: then the
tables are copied as the new slot's snapshot shows them, while readers go on seeing what the lake held.
"""

import uuid
from collections.abc import Iterator, Sequence

import psycopg

from chronolake.capture.columns import TABLES
from chronolake.clock import Clock
from chronolake.errors import DatabaseError, ValueUnrepresentable
from chronolake.lake import Lake, StreamCheckpoint, note_relation
from chronolake.lsn import format_lsn
from chronolake.oltp import Database, relations, replication, sync_tables
from chronolake.oltp.replication import ReplicationConnection, SlotFacts
from chronolake.settings import Settings
from chronolake.sync.copying import held_batches, seen, whole
from chronolake.sync.schema import RESUME, Parked
from chronolake.sync.shapes import CopyPlan, Shapes, lake_name, syncable
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)


class Epochs:
    """Tells whether the stream goes on where the lake is, and begins anew where it does not."""

    def __init__(self, *, database: Database, lake: Lake, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings
        self._clock = clock

    def begin(self, stream: ReplicationConnection) -> StreamCheckpoint:
        """The checkpoint at which this term goes on, with the term's number in it.

        Raises:
            DatabaseError: the slot cannot be made, or the role may not replicate.
            LakeError: the lake could not take the copy.
        """
        identity = stream.identify()
        history = f"{identity.system_id}/{identity.timeline}"
        with self._database.connection() as conn:
            name = replication.slot_name(conn)
            slot = replication.slot_facts(conn, name)
        # The term first: until it is taken, whoever led before may still commit, and what was read would be old.
        term = self._lake.take_term()
        held = self._lake.stream_checkpoint()
        if slot is not None and slot.active_pid is not None:
            self._cut_off(name)
        reason = broken(held, slot, history)
        if held is not None and reason is None:
            return StreamCheckpoint(held.epoch, term, held.lsn, held.committed_at, held.noted_at)
        _log.warning("sync.epoch_begins", reason=reason)
        if slot is not None:
            with self._database.connection() as conn:
                replication.drop_slot(conn, name)
        made = stream.create_slot(name)
        now = self._clock.now()
        checkpoint = StreamCheckpoint(f"{history}/{uuid.uuid4()}", term, made.lsn, now, now)
        self._copy(made.snapshot, checkpoint)
        return checkpoint

    def _cut_off(self, name: str) -> None:
        """Take the slot from who led before: it cannot commit any more, but may hold its stream for a minute still."""
        try:
            with self._database.connection() as conn:
                replication.cut_off(conn, name)
        except DatabaseError as error:
            _log.warning("sync.slot_held", reason=error.message)

    def _copy(self, snapshot: str, checkpoint: StreamCheckpoint) -> None:
        """Let the lake hold what `snapshot` shows, in one commit with the checkpoint that stands for it.

        Tables whose shape the lake cannot have are parked.
        """
        shapes = Shapes(lake=self._lake, database=self._database)
        with seen(self._database, snapshot) as conn:
            plans = list(self._plans(conn, shapes, checkpoint))
            while True:
                try:
                    self._apply(conn, plans, checkpoint)
                    break
                except ValueUnrepresentable as error:
                    # One table's odd row is no reason for the others to wait.
                    name = str(error.facts["table"])
                    shapes.park(
                        name, Parked(error.message, f"{error.hint} Then: {RESUME.format(table=name)}")
                    )
                    plans = [plan for plan in plans if plan.table.name != name]
        with self._database.connection() as conn:
            for plan in plans:
                sync_tables.followed(
                    conn, plan.table.name, lsn=format_lsn(checkpoint.lsn), epoch=checkpoint.epoch
                )
        _log.info("sync.copied", lsn=format_lsn(checkpoint.lsn))

    def _apply(
        self, conn: psycopg.Connection, plans: Sequence[CopyPlan], checkpoint: StreamCheckpoint
    ) -> None:
        def noting(commit: psycopg.Connection) -> None:
            for plan in plans:
                note_relation(commit, plan.note)

        self._lake.apply_changes(
            (changes for plan in plans for changes in whole(conn, plan)),
            checkpoint=checkpoint,
            batches=held_batches(conn, self._lake, set(TABLES)),
            within=noting,
        )

    def _plans(
        self, conn: psycopg.Connection, shapes: Shapes, checkpoint: StreamCheckpoint
    ) -> Iterator[CopyPlan]:
        for source in syncable(relations.published(conn)):
            plan = shapes.plan_copy(conn, source, checkpoint.lsn)
            if isinstance(plan, Parked):
                shapes.park(lake_name(source), plan)
            else:
                yield shapes.prepare(plan)


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
