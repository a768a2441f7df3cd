"""Epochs: one unbroken history of one slot, within which LSNs can be compared.

A checkpoint says nothing to a slot that was made anew, to another server or to another of its timelines: then the
tables are copied as the new slot's snapshot shows them, while readers go on seeing what the lake held.
"""

import uuid
from collections.abc import Iterator

import psycopg
import pyarrow as pa

from chronolake.capture.columns import TABLES, Table
from chronolake.clock import Clock
from chronolake.errors import DatabaseUnavailable
from chronolake.lake import Lake, StreamCheckpoint, TableChanges
from chronolake.lake.keys import keys_of
from chronolake.oltp import Database, ledger, replication
from chronolake.oltp import rows as row_store
from chronolake.oltp.replication import ReplicationConnection, SlotFacts
from chronolake.settings import Settings
from chronolake.sync.lsn import format_lsn
from chronolake.telemetry import logs

#: Rows that are copied at a time.
COPY_ROWS = 100_000

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

    def _copy(self, snapshot: str, checkpoint: StreamCheckpoint) -> None:
        """Let the lake hold what `snapshot` shows, in one commit with the checkpoint that stands for it."""
        try:
            with psycopg.connect(
                self._database.url, options="-c search_path=chronolake,public -c timezone=UTC"
            ) as conn:
                conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                conn.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
                batches = ledger.pending(conn)
                applied = self._lake.applied([batch.batch_id for batch in batches])
                self._lake.apply_changes(
                    (changes for table in TABLES.values() for changes in self._whole(conn, table)),
                    checkpoint=checkpoint,
                    batches=[
                        (batch.batch_id, batch.table_name, batch.message_lsn, batch.rows)
                        for batch in batches
                        if batch.batch_id not in applied
                    ],
                )
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"PostgreSQL: {str(error).strip()}") from error
        _log.info("sync.copied", lsn=format_lsn(checkpoint.lsn))

    def _whole(self, conn: psycopg.Connection, table: Table) -> Iterator[TableChanges]:
        """The table emptied, then its rows piece by piece."""
        nothing = keys_of(pa.array([], pa.int64()))
        yield TableChanges(table, table.arrow_schema.empty_table(), nothing, truncated=True)
        for rows in row_store.whole(conn, table, fetch_rows=COPY_ROWS):
            yield TableChanges(table, rows, nothing)


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
