"""Store one batch: PostgreSQL holds the truth, and the same transaction promises the lake its copy.

The guarantee, kept here and in `sync/`: whatever moment the process dies at, either the batch is in neither
store and ingesting again brings it, or PostgreSQL has it together with a ledger row that names the staged file,
and the sync brings it to the lake exactly once.

    BEGIN
      rows      those not stored yet
      stage     exactly the stored rows, one sorted Parquet file: temporary name, fsync, rename
      ledger    file, row count, checksum; a logical message of the same words enters the WAL
    COMMIT      from here on the lake owes these rows
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from chronolake import faults
from chronolake.capture.columns import Table
from chronolake.capture.record import Rejection
from chronolake.lake import stage
from chronolake.oltp import domains, imports, ledger, quarantine
from chronolake.oltp import rows as row_store


@dataclass(frozen=True)
class Inserted:
    """A batch in an open transaction: the rows that are new."""

    conn: Connection
    batch_id: int
    rows: pa.Table


@dataclass(frozen=True)
class Stored:
    """What became of one batch: rows newly stored, and the LSN of its message where it was staged."""

    rows: int
    message_lsn: str | None


def staged_path(staging: Path, import_id: int, batch_id: int) -> Path:
    """Where the staged file of a batch lies; the name tells a sweep whose it is."""
    return staging / f"import-{import_id}-batch-{batch_id}.arrow"


@dataclass(frozen=True)
class DualWrite:
    """Stores the batches of one import. With `staging` None nothing is staged: the change stream brings the rows."""

    table: Table
    import_id: int
    staging: Path | None
    #: domains that are noted
    seen: set[str] = field(default_factory=set)

    def note_domains(self, conn: Connection, rows: pa.Table) -> None:
        """Note the domains of `rows` that this import has not noted yet, in a transaction of their own.

        The stream brings domains to the lake, and it may not show the transactions whose rows are staged.
        """
        if "registered_domain" not in rows.column_names:
            return
        named = pc.unique(rows["domain"])
        unseen = named.filter(pc.invert(pc.is_in(named, value_set=pa.array(sorted(self.seen), pa.string()))))
        if len(unseen):
            domains.add(conn, rows.filter(pc.is_in(rows["domain"], value_set=unseen)))
            self.seen.update(unseen.to_pylist())

    def insert(self, conn: Connection, rows: pa.Table, rejected: Sequence[Rejection]) -> Inserted:
        """Insert `rows` and `rejected` in the transaction that `conn` has open; the rows that are new.

        `rows` has the table's columns less `batch_id`, which is given here. Rows that are stored already are
        left out.

        Raises:
            DatabaseError: PostgreSQL refused; nothing of the batch is kept once the caller rolls back.
        """
        faults.reach("ingest.before_postgres")
        batch_id = imports.next_batch(conn)
        new = row_store.insert_new(conn, self.table, _with_batch_id(self.table, rows, batch_id))
        quarantine.add(conn, self.import_id, rejected)
        faults.reach("ingest.after_insert")
        return Inserted(conn, batch_id, new)

    def promise(self, inserted: Inserted) -> Stored:
        """Stage what was inserted and promise it to the lake, in the same transaction; the caller commits.

        Raises:
            DatabaseError: PostgreSQL refused; nothing of the batch is kept once the caller rolls back.
            StorageFull: no room for the staged file; likewise.
        """
        message_lsn = None
        if self.staging is not None and inserted.rows.num_rows:
            path = staged_path(self.staging, self.import_id, inserted.batch_id)
            staged = stage(self.table, inserted.rows, path)
            faults.reach("ingest.after_stage")
            message_lsn = ledger.record(
                inserted.conn,
                ledger.LedgerBatch(
                    batch_id=inserted.batch_id,
                    import_id=self.import_id,
                    table_name=self.table.name,
                    path=path.name,
                    rows=staged.rows,
                    bytes=staged.bytes,
                    checksum=staged.checksum,
                ),
            )
        return Stored(rows=inserted.rows.num_rows, message_lsn=message_lsn)


def _with_batch_id(table: Table, rows: pa.Table, batch_id: int) -> pa.Table:
    column = pa.repeat(pa.scalar(batch_id, pa.int64()), rows.num_rows)
    arrays = [column if name == "batch_id" else rows[name] for name in table.arrow_schema.names]
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema)
