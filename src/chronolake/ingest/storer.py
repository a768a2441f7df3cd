"""Stores batch after batch: while one is staged and committed, the next is inserted already.

Inserting keeps PostgreSQL busy and staging this process, so each waits for the other if they take turns. At
most two transactions are open, and they commit in the order of their batches.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self

from psycopg import Connection

from chronolake import faults
from chronolake.clock import Clock
from chronolake.errors import DatabaseConflict
from chronolake.ingest.batches import Batch
from chronolake.ingest.dual_write import DualWrite, Inserted, Stored
from chronolake.oltp import Database
from chronolake.oltp.origins import Origins
from chronolake.telemetry import logs

#: Seconds before each further try where other transactions were in the way.
RETRY_PAUSES_S = (0.05, 0.2, 1.0)

_log = logs.get_logger(__name__)


class Storer:
    """Stores the batches of one import. `on_stored` is called for each, in order, by the thread that stores.

    `within` is called for each in its transaction, last of all: what it writes is stored with the batch or not at
    all, and an error that it raises rolls both back. The stream does not show it.
    """

    def __init__(
        self,
        *,
        database: Database,
        write: DualWrite,
        clock: Clock,
        on_stored: Callable[[Batch, Stored], None],
        within: Callable[[Connection, Batch, Stored], None] | None = None,
    ) -> None:
        self._database = database
        self._write = write
        self._clock = clock
        self._on_stored = on_stored
        self._within = within
        self._origins = Origins()
        self._finisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="finisher")
        self._finishing: tuple[Batch, Future[Stored]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            # Also after an error: what was being committed then counts as stored.
            self._settle()
        finally:
            self._finisher.shutdown()

    def store(self, batch: Batch) -> None:
        """Insert `batch`, and commit it in the background; an error of an earlier one is raised here.

        Raises:
            DatabaseConflict: others were in the way, time and again.
            DatabaseError: PostgreSQL refused; nothing of this batch is kept.
            StorageFull: no room for a staged file; nothing of its batch is kept.
        """
        with ExitStack() as open_transaction:
            inserted = self._insert(open_transaction, batch)
            self._settle()
            self._finishing = (
                batch,
                self._finisher.submit(self._finish, open_transaction.pop_all(), batch, inserted),
            )

    def _insert(self, transaction: ExitStack, batch: Batch) -> Inserted:
        for pause_s in RETRY_PAUSES_S:
            try:
                return self._insert_once(transaction, batch)
            except DatabaseConflict as error:
                _log.warning("ingest.conflict", reason=error.message, retry_in_s=pause_s)
                self._clock.sleep(pause_s)
        return self._insert_once(transaction, batch)

    def _insert_once(self, transaction: ExitStack, batch: Batch) -> Inserted:
        """Insert, and leave the transaction open for `transaction` to end; on an error it is rolled back."""
        with self._database.connection() as conn:
            self._write.note_domains(conn, batch.captures.table)
        with ExitStack() as attempt:
            conn = attempt.enter_context(self._database.connection())
            if self._write.staging is not None:
                attempt.enter_context(self._origins.tagging(conn))
            inserted = self._write.insert(conn, batch.captures.table, batch.captures.rejected)
            transaction.push(attempt.pop_all())
            return inserted

    def _finish(self, transaction: ExitStack, batch: Batch, inserted: Inserted) -> Stored:
        with transaction:
            stored = self._write.promise(inserted)
            if self._within is not None:
                self._within(inserted.conn, batch, stored)
            faults.reach("ingest.before_commit")
        faults.reach("ingest.after_postgres")
        return stored

    def _settle(self) -> None:
        if self._finishing is not None:
            batch, future = self._finishing
            self._finishing = None
            self._on_stored(batch, future.result())
