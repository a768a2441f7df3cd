"""Copy a table of the operator's own whole into the lake while the stream waits: one that is new, or was parked.

The lake gets rows of one snapshot, with a note of that snapshot's LSN in the same commit: the stream's changes before
that LSN are left out, those at or after it are applied. The registry's tables are copied by `Backfill`, in ranges.
"""

import secrets
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
from chronolake.oltp import Database, replication, sync_tables
from chronolake.oltp.relations import PublishedTable
from chronolake.oltp.replication import ReplicationConnection
from chronolake.sync import scan
from chronolake.sync.schema import RESUME, Parked
from chronolake.sync.shapes import CopyPlan, Shapes, lake_name
from chronolake.sync.tables import TableEvent, TableState, next_state
from chronolake.telemetry import logs

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
        ):
            with self._database.connection() as conn:
                slot = replication.slot_name(conn)
            made = stream.create_slot(f"{slot}_copy_{secrets.token_hex(4)}", temporary=True)
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
                        within=partial(_note, plan, checkpoint.epoch),
                    )
                except ValueUnrepresentable as error:
                    shapes.park(
                        name, Parked(error.message, f"{error.hint} Then: {RESUME.format(table=name)}")
                    )
                    return False
        shapes.copied(plan)
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
    table, schema = plan.table, plan.source.schema
    yield TableChanges(table, table.arrow_schema.empty_table(), nothing, truncated=True)
    for piece in scan.whole(conn, table, types=plan.evolution.types, schema=schema):
        for misfit in piece.misfits:
            raise ValueUnrepresentable(
                f"a row of {table.name} has no place in the lake: the value of {misfit.column} does not fit the"
                f" lake's type {table[misfit.column].arrow}",
                table=table.name,
            )
        yield TableChanges(table, piece.fitting, nothing)


def _note(plan: CopyPlan, epoch: str, commit: psycopg.Connection) -> None:
    note_relation(commit, plan.note)
    state = next_state(TableState.COPYING, TableEvent.TAKEN_IN)
    sync_tables.put(commit, plan.note.table_name, state, lsn=format_lsn(plan.note.copied_lsn), epoch=epoch)
