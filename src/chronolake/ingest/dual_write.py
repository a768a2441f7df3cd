"""Store one batch: PostgreSQL holds the truth, and the same transaction promises the lake its copy.

The guarantee, kept here and in `committer.py`: whatever moment the process dies at, either the batch is in
neither store and ingesting again brings it, or PostgreSQL has it together with a ledger row that names the
staged file, and the committer carries it to the lake exactly once.

    BEGIN
      rows      COPY to a temporary table, INSERT ... ON CONFLICT DO NOTHING RETURNING id
      stage     exactly the stored rows, one sorted Parquet file: temporary name, fsync, rename
      ledger    file, row count, checksum; a logical message of the same words enters the WAL
    COMMIT      from here on the lake owes these rows
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from psycopg import Connection

from chronolake import faults
from chronolake.capture.columns import Table
from chronolake.capture.record import Rejection
from chronolake.lake import stage
from chronolake.oltp import domains, imports, ledger, quarantine
from chronolake.oltp import rows as row_store
from chronolake.settings import ParquetSettings


@dataclass(frozen=True)
class Stored:
    """What became of one batch: rows newly stored, and the LSN of its message where it was staged."""

    rows: int
    message_lsn: str | None


def staged_path(staging: Path, import_id: int, batch_id: int) -> Path:
    """Where the staged file of a batch lies; the name tells a sweep whose it is."""
    return staging / f"import-{import_id}-batch-{batch_id}.parquet"


def store(
    conn: Connection,
    table: Table,
    rows: pa.Table,
    rejected: Sequence[Rejection],
    *,
    import_id: int,
    staging: Path | None,
    parquet: ParquetSettings,
) -> Stored:
    """Store `rows` and `rejected` in the transaction that `conn` has open, staging for the lake.

    `rows` has the table's columns less `batch_id`, which is given here. The caller commits. Storing the same
    rows again stores none of them. With `staging` None nothing is staged: the change stream brings the rows.

    Raises:
        DatabaseError: PostgreSQL refused; nothing of the batch is kept once the caller rolls back.
        StorageFull: no room for the staged file; likewise.
    """
    faults.reach("ingest.before_postgres")
    batch_id = imports.next_batch(conn)
    numbered = _with_batch_id(table, rows, batch_id)
    new = row_store.insert_new(conn, table, numbered)
    if "registered_domain" in new.column_names:
        domains.add(conn, new)
    quarantine.add(conn, import_id, rejected)
    faults.reach("ingest.after_insert")
    message_lsn = None
    if staging is not None and new.num_rows:
        path = staged_path(staging, import_id, batch_id)
        staged = stage(table, new, path, parquet)
        faults.reach("ingest.after_stage")
        message_lsn = ledger.record(
            conn,
            ledger.LedgerBatch(
                batch_id=batch_id,
                import_id=import_id,
                table_name=table.name,
                path=path.name,
                rows=staged.rows,
                bytes=staged.bytes,
                checksum=staged.checksum,
            ),
        )
    faults.reach("ingest.before_commit")
    return Stored(rows=new.num_rows, message_lsn=message_lsn)


def _with_batch_id(table: Table, rows: pa.Table, batch_id: int) -> pa.Table:
    column = pa.repeat(pa.scalar(batch_id, pa.int64()), rows.num_rows)
    arrays = [column if name == "batch_id" else rows[name] for name in table.arrow_schema.names]
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema)
