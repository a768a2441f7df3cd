"""Staged batches on their way to the lake: the fast lane of dual write, within the one order of the stream.

The ledger names each batch with the LSN of its message, which lies after its rows and before its commit. A change that
its rows had to wait for was committed before that LSN, and one that changes its rows after it; so a batch that enters
the lake at its message's place in the stream is in order with every change of the same rows.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from chronolake import faults
from chronolake.capture.columns import TABLES, Table
from chronolake.lake import StagedBatch, StagedFile, stage, verify
from chronolake.lsn import parse_lsn
from chronolake.oltp import Database, imports, ledger
from chronolake.settings import Settings
from chronolake.sync import scan
from chronolake.telemetry import logs, metrics

#: Rows that one lake commit takes at most. Files of a commit are split by partition, so a commit should be
#: large; its rows are sorted in memory, so it should not be huge.
ROWS_PER_COMMIT = 2_000_000
#: Bytes of staged files likewise, for rows with long texts.
BYTES_PER_COMMIT = 512_000_000
_STAGED_NAME = re.compile(r"import-(\d+)-batch-(\d+)\.arrow")

_log = logs.get_logger(__name__)


class StagedBatches:
    """The ledger's batches that the lake lacks, and their files."""

    def __init__(self, *, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._folder = settings.staging(database.instance)

    def pending(self) -> list[ledger.LedgerBatch]:
        """What the lake lacks, in the order of the stream."""
        with self._database.connection() as conn:
            found = ledger.pending(conn)
        metrics.LEDGER_PENDING.set(len(found))
        return found

    def files(
        self, group: Sequence[ledger.LedgerBatch], evolved: Mapping[str, tuple[Table, Mapping[int, int]]]
    ) -> tuple[list[StagedBatch], set[str]]:
        """The staged files of a group; one that is missing or harmed is written anew from PostgreSQL's rows.

        So are those of tables that have `evolved`, for ingest stages the columns of the registry: by name the table as
        it is now, and as what its own types are sent.

        Such rows are as they are now. What the stream still brings of them leaves them as they are, or newer; the
        tables that have such rows are named.
        """
        found, restaged = [], set()
        for batch in group:
            file = StagedFile(
                path=self._path(batch), rows=batch.rows, bytes=batch.bytes, checksum=batch.checksum
            )
            table, types = evolved.get(batch.table_name, (TABLES[batch.table_name], {}))
            if batch.table_name in evolved or not verify(file):
                file = self._restaged(batch, table, types)
                restaged.add(batch.table_name)
            found.append(StagedBatch(batch.batch_id, table, file, batch.message_lsn))
        return found, restaged

    def done(self, group: Sequence[ledger.LedgerBatch], snapshot_id: int) -> None:
        """Note that the lake holds these batches, and let their files go."""
        with self._database.connection() as conn:
            ledger.mark_applied(conn, [batch.batch_id for batch in group], snapshot_id)
        faults.reach("lake.after_ledger")
        for batch in group:
            self._path(batch).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove staged files that the ledger does not owe and no living import writes; return how many.

        They are what a process leaves that dies between staging and commit, where PostgreSQL rolled the rows
        back, or between the lake's commit and the removal of the file.
        """
        removed = 0
        for path in sorted(self._folder.glob("*")):
            match = _STAGED_NAME.match(path.name)
            if match is None:
                continue
            with self._database.connection() as conn:
                if imports.is_held(conn, int(match[1])) or ledger.owed(conn, int(match[2])):
                    continue
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    def _restaged(self, batch: ledger.LedgerBatch, table: Table, types: Mapping[int, int]) -> StagedFile:
        _log.warning("lake.restaged", batch_id=batch.batch_id, path=batch.path, rows=batch.rows)
        with self._database.connection() as conn:
            # Rows that the lake cannot take are told of where the stream brings them.
            rows = scan.of_batch(conn, table, batch.batch_id, types=types).fitting
        self._folder.mkdir(parents=True, exist_ok=True)
        return stage(table, rows, self._path(batch))

    def _path(self, batch: ledger.LedgerBatch) -> Path:
        return self._folder / batch.path


def first_group(pending: Sequence[ledger.LedgerBatch], upto_lsn: int) -> list[ledger.LedgerBatch]:
    """The oldest batches whose message lies before `upto_lsn` and that fit one commit."""
    group: list[ledger.LedgerBatch] = []
    rows = size = 0
    for batch in pending:
        rows += batch.rows
        size += batch.bytes
        if parse_lsn(batch.message_lsn or "0/0") >= upto_lsn:
            break
        if group and (rows > ROWS_PER_COMMIT or size > BYTES_PER_COMMIT):
            break
        group.append(batch)
    return group
