"""Copy one table whole into the lake while the stream waits: a table that is new, or that was parked.

`copy_table` is the seam: whatever copies in its stead, range by range or beside the stream, must give the lake rows
of one snapshot, with `noting` that snapshot's LSN in the same commit, since the stream's changes before that LSN are
left out and those at or after it are applied.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
import pyarrow as pa

from chronolake.clock import Clock
from chronolake.errors import DatabaseUnavailable, ValueUnrepresentable
from chronolake.lake import Lake, StreamCheckpoint, TableChanges, note_relation
from chronolake.lake.keys import keys_of
from chronolake.lsn import format_lsn
from chronolake.oltp import Database, ledger, replication, sync_tables
from chronolake.oltp import rows as row_store
from chronolake.oltp.ledger import LedgerBatch
from chronolake.oltp.relations import PublishedTable
from chronolake.oltp.replication import ReplicationConnection
from chronolake.sync.schema import RESUME, Parked
from chronolake.sync.shapes import CopyPlan, Shapes, lake_name
from chronolake.telemetry import logs

#: Rows that are copied at a time.
COPY_ROWS = 100_000

_log = logs.get_logger(__name__)


class Copier:
    """Copies tables as a slot's snapshot shows them."""

    def __init__(self, *, database: Database, lake: Lake, clock: Clock, timeout_s: float) -> None:
        self._database = database
        self._lake = lake
        self._clock = clock
        self._timeout_s = timeout_s

    def copy_table(self, source: PublishedTable, shapes: Shapes, checkpoint: StreamCheckpoint) -> bool:
        """Let the lake table hold what a new snapshot shows; whether it could. The table is parked where it cannot.

        What the lake's table had before is readable until the copy commits, save columns whose type has to be another.

        Raises:
            DatabaseUnavailable: the connection broke.
            LakeError: the lake could not take the copy.
        """
        name = lake_name(source)
        with (
            ReplicationConnection.open(self._database.url, timeout_s=self._timeout_s) as stream,
            self._database.connection() as conn,
        ):
            made = stream.create_slot(replication.slot_name(conn) + "_copy", temporary=True)
            with seen(self._database, made.snapshot) as snapshot:
                plan = shapes.plan_copy(snapshot, source, made.lsn)
                if isinstance(plan, Parked):
                    shapes.park(name, plan)
                    return False
                plan = shapes.prepare(plan)
                try:
                    self._lake.apply_changes(
                        whole(snapshot, plan),
                        checkpoint=checkpoint,
                        batches=held_batches(snapshot, self._lake, {name}),
                        within=partial(_note, plan),
                    )
                except ValueUnrepresentable as error:
                    shapes.park(
                        name, Parked(error.message, f"{error.hint} Then: {RESUME.format(table=name)}")
                    )
                    return False
        shapes.copied(plan)
        with self._database.connection() as conn:
            sync_tables.followed(conn, name, lsn=format_lsn(made.lsn), epoch=checkpoint.epoch)
        _log.info("sync.table_copied", table=name, lsn=format_lsn(made.lsn))
        return True


@contextmanager
def seen(database: Database, snapshot: str) -> Iterator[psycopg.Connection]:
    """A transaction that sees what a slot's snapshot shows.

    Raises:
        DatabaseUnavailable: the connection broke.
    """
    try:
        with psycopg.connect(
            database.url, options="-c search_path=chronolake,public -c timezone=UTC"
        ) as conn:
            conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            conn.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
            yield conn
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"PostgreSQL: {str(error).strip()}") from error


def whole(conn: psycopg.Connection, plan: CopyPlan) -> Iterator[TableChanges]:
    """The table emptied, then its rows piece by piece.

    Raises:
        ValueUnrepresentable: a row has a value that the lake's type cannot hold.
    """
    nothing = keys_of(pa.array([], pa.int64()))
    table = plan.table
    yield TableChanges(table, table.arrow_schema.empty_table(), nothing, truncated=True)
    try:
        for rows in row_store.whole(
            conn, table, fetch_rows=COPY_ROWS, schema=plan.source.schema, rendered=plan.rendered
        ):
            yield TableChanges(table, rows, nothing)
    except (psycopg.DataError, pa.ArrowInvalid, OverflowError) as error:
        raise ValueUnrepresentable(
            f"a row of {table.name} has no place in the lake: {error}", table=table.name
        ) from error


def _note(plan: CopyPlan, commit: psycopg.Connection) -> None:
    note_relation(commit, plan.note)


def held_batches(
    conn: psycopg.Connection, lake: Lake, names: set[str]
) -> list[tuple[int, str, str | None, int]]:
    """The staged batches of these tables whose rows are in a copy already, to be noted as applied by it."""
    batches: list[LedgerBatch] = [batch for batch in ledger.pending(conn) if batch.table_name in names]
    applied = lake.applied([batch.batch_id for batch in batches])
    return [
        (batch.batch_id, batch.table_name, batch.message_lsn, batch.rows)
        for batch in batches
        if batch.batch_id not in applied
    ]
