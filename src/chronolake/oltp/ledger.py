"""The ledger: batches that are promised to the lake, and the message in the WAL that names each of them."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg import Connection
from psycopg.errors import UndefinedTable
from psycopg.pq import TransactionStatus

from chronolake.oltp.statements import one, statement


@dataclass(frozen=True)
class LedgerBatch:
    """One batch as the ledger holds it; `path` is the staged file's name, without its folder."""

    batch_id: int
    import_id: int
    table_name: str
    path: str
    rows: int
    bytes: int
    checksum: str
    message_lsn: str | None = None
    applied_snapshot: int | None = None


@dataclass(frozen=True)
class Backlog:
    """How far the lake is: `batches` wait for it, and it has everything that was committed before `covered_lsn`.

    That was so at `as_of`, `lag_s` seconds ago. All three are null for a lake that never followed the stream.
    `snapshot_id` is its newest snapshot, null where there is no lake. `schema_version` is other whenever a table or a
    column came or went, `catalog` is once the lake was made anew, and `changed` has by table the snapshot that changed
    its rows last; a table that is not there has not changed since the catalog notes it. `laid_in` has by table the
    snapshot that changed its files last, whether or not the rows in them are others; null where nobody noted it.
    """

    batches: int
    covered_lsn: str | None
    as_of: datetime | None
    lag_s: float | None
    snapshot_id: int | None
    schema_version: int | None
    catalog: int | None
    changed: Mapping[str, int]
    laid_in: Mapping[str, int | None]


def record(conn: Connection, batch: LedgerBatch) -> str:
    """Promise the batch to the lake and put its words into the WAL; the LSN of that message.

    Both hold only if the transaction commits. The message has the prefix `chronolake.batch` and is JSON with
    batch_id, import_id, table, file, rows and checksum.
    """
    words = {
        "batch_id": batch.batch_id,
        "import_id": batch.import_id,
        "table": batch.table_name,
        "file": batch.path,
        "rows": batch.rows,
        "checksum": batch.checksum,
    }
    row = one(conn, "ledger_message", [json.dumps(words)])
    conn.execute(statement("ledger_record"), vars(replace(batch, message_lsn=row[0])))
    return str(row[0])


def pending(conn: Connection) -> list[LedgerBatch]:
    """Batches that the lake lacks, oldest first."""
    return [LedgerBatch(*row) for row in conn.execute(statement("ledger_pending"))]


def mark_applied(conn: Connection, batch_ids: Sequence[int], snapshot_id: int) -> None:
    """Note that these batches are in the lake since `snapshot_id`."""
    values = {"batch_ids": list(batch_ids), "snapshot_id": snapshot_id}
    conn.execute(statement("ledger_mark_applied"), values)


def owe_again(conn: Connection) -> int:
    """Promise to the lake again what is noted as there, for a lake that was made anew; how many batches."""
    return conn.execute(statement("ledger_owe_again")).rowcount


def has_applied(conn: Connection) -> bool:
    """Whether the ledger says of any batch that the lake holds it."""
    return bool(one(conn, "ledger_has_applied")[0])


def owed(conn: Connection, batch_id: int) -> bool:
    """Whether the batch is promised to the lake and not noted as there yet."""
    row = conn.execute(statement("ledger_owed"), [batch_id]).fetchone()
    return bool(row and row[0])


def backlog(conn: Connection) -> Backlog:
    """How far the lake is."""
    # Without a lake its tables are missing, and that error must not take along what the caller did before.
    within = conn.info.transaction_status is TransactionStatus.INTRANS
    try:
        with conn.transaction() if within else nullcontext():
            return Backlog(*one(conn, "lake_backlog"))
    except UndefinedTable:
        if not within:
            conn.rollback()
        return Backlog(len(pending(conn)), None, None, None, None, None, None, {}, {})
