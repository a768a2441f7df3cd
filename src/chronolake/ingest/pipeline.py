"""The ingest pipeline: files in, captures in both stores, and an account of every line.

Four stages overlap: a reader thread parses and normalises, the caller's thread inserts batch after batch into
PostgreSQL, a finisher stages and commits what was inserted, and the sync brings it to the lake. Queues between
them are short, so memory stays bounded whatever the files' size.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

import pyarrow as pa
from psycopg import Connection

from chronolake.capture.columns import CDX_RECORDS, CONTENT_ANALYTICS, Table
from chronolake.capture.host import psl_version
from chronolake.capture.record import CaptureBatch, RawBatch
from chronolake.clock import Clock, SystemClock
from chronolake.errors import ChronolakeError
from chronolake.ingest.batches import Batch, coalesced, read_ahead
from chronolake.ingest.dual_write import DualWrite, Stored
from chronolake.ingest.following import Follower, reached
from chronolake.ingest.storer import Storer
from chronolake.oltp import Database, imports, projects
from chronolake.settings import Settings
from chronolake.sources.local import expand, name_of, read_captures
from chronolake.sources.local.normalise import Normaliser
from chronolake.telemetry import logs, metrics

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class IngestRequest:
    """What to ingest: paths as `read_captures` takes them, into the project of that name."""

    paths: tuple[str, ...]
    project: str
    #: None: told by the format (wayback, commoncrawl, else local)
    archive_source: str | None = None
    stdin: BinaryIO | None = None


@dataclass
class Counts:
    """The account of an import: `read = stored + duplicate + rejected` holds at every moment."""

    read: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    repaired: int = 0
    rejected_by_reason: Counter[str] = field(default_factory=Counter)

    def add(self, batch: CaptureBatch, stored: int) -> None:
        """Count one batch of which `stored` rows were new."""
        self.read += batch.read
        self.stored += stored
        self.duplicate += batch.table.num_rows - stored
        self.rejected += len(batch.rejected)
        self.repaired += batch.repaired
        self.rejected_by_reason.update(rejection.reason.value for rejection in batch.rejected)


@dataclass(frozen=True)
class Progress:
    """How far an import is: bytes as they lie on disk, `bytes_total` null for standard input."""

    bytes_read: int
    bytes_total: int | None
    counts: Counts


@dataclass(frozen=True)
class IngestReport:
    """What an import did. The lake covers everything up to `as_of_lsn` where `in_lake` is true."""

    import_id: int
    project_id: int
    counts: Counts
    elapsed_s: float
    as_of_lsn: str
    in_lake: bool
    failures: tuple[ChronolakeError, ...]


@dataclass(frozen=True)
class _Work:
    """One import: what to store where, and `batches`, which needs to know the project's id."""

    table: Table
    project: str
    paths: tuple[str, ...]
    batches: Callable[[int], Iterator[Batch]]
    archive_source: str | None = None
    failures: list[ChronolakeError] = field(default_factory=list)
    bytes_total: int | None = None
    on_progress: Callable[[Progress], None] | None = None
    #: called once the import holds its lock; an error that it raises ends the import
    begun: Callable[[int], None] | None = None
    #: called for each batch in its transaction, with the import's id
    within: Callable[[Connection, int, Batch, Stored], None] | None = None


class ParquetPipeline:
    """Brings captures into PostgreSQL and the lake."""

    def __init__(
        self,
        *,
        database: Database,
        follower: Follower | None,
        settings: Settings,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._follower = follower
        self._settings = settings
        self._clock = clock or SystemClock()

    def ingest(
        self, request: IngestRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> IngestReport:
        """Read every path, store what is new and carry it to the lake.

        Files that cannot be read are reported in `failures` and hide no other file. Ingesting the same file
        twice stores nothing the second time.

        Raises:
            InputError: nothing could be read of any path.
            DatabaseError: PostgreSQL failed; what was stored stays, and running it again goes on from there.
            LakeError: the lake could not take the batches; they stay in the ledger for the next run.
        """
        sizes = [file.size for file in expand(request.paths)]
        failures: list[ChronolakeError] = []
        raw = read_captures(
            request.paths,
            max_line_bytes=self._settings.ingest.max_line_bytes,
            batch_rows=self._settings.ingest.batch_rows,
            stdin=request.stdin,
            on_error=failures.append,
        )
        report = self._run(
            _Work(
                table=CDX_RECORDS,
                project=request.project,
                paths=tuple(map(name_of, request.paths)),
                batches=lambda project_id: self._normalised(raw, project_id, request.archive_source),
                archive_source=request.archive_source,
                failures=failures,
                bytes_total=None if None in sizes else sum(size or 0 for size in sizes),
                on_progress=on_progress,
            )
        )
        if failures and not report.counts.read:
            raise failures[0]
        return report

    def ingest_raw(
        self, project: str, raw: Iterable[RawBatch], archive_source: str | None = None
    ) -> IngestReport:
        """Store raw batches that come from elsewhere than a file, with the same account."""
        return self._run(
            _Work(
                table=CDX_RECORDS,
                project=project,
                paths=("(records)",),
                batches=lambda project_id: self._normalised(iter(raw), project_id, archive_source),
                archive_source=archive_source,
            )
        )

    def ingest_collected(
        self,
        *,
        project: str,
        name: str,
        archive_source: str,
        batches: Callable[[int], Iterator[Batch]],
        begun: Callable[[int], None],
        within: Callable[[Connection, int, Batch, Stored], None],
        on_progress: Callable[[Progress], None],
        failures: list[ChronolakeError],
    ) -> IngestReport:
        """Store batches that come from an archive, with the same account; `name` says what was asked.

        `batches` gets the project's id; what ends it early it puts among `failures`. `begun` gets the import's id
        once its lock is held, `within` is called in the transaction of each batch.
        """
        return self._run(
            _Work(
                table=CDX_RECORDS,
                project=project,
                paths=(name,),
                batches=batches,
                archive_source=archive_source,
                failures=failures,
                on_progress=on_progress,
                begun=begun,
                within=within,
            )
        )

    def ingest_pages(self, project: str, pages: Iterable[pa.Table]) -> IngestReport:
        """Store page tables (`CONTENT_ANALYTICS` less project_id and batch_id) of a project's captures."""

        def batches(project_id: int) -> Iterator[Batch]:
            for table in pages:
                column = pa.repeat(pa.scalar(project_id, pa.int32()), table.num_rows)
                numbered = table.append_column("project_id", column)
                yield Batch(CaptureBatch(file="(pages)", table=numbered), bytes_read=0)

        return self._run(_Work(table=CONTENT_ANALYTICS, project=project, paths=("(pages)",), batches=batches))

    def _normalised(
        self, raw: Iterator[RawBatch], project_id: int, archive_source: str | None
    ) -> Iterator[Batch]:
        normaliser = Normaliser(project_id, archive_source)
        batches = (Batch(normaliser.normalise(batch), batch.bytes_read) for batch in raw)
        return coalesced(batches, self._settings.ingest.batch_rows)

    def _run(self, work: _Work) -> IngestReport:
        started = self._clock.monotonic()
        with self._database.connection() as conn:
            project_id = projects.ensure(conn, work.project)
            import_id = imports.begin(
                conn,
                project_id=project_id,
                paths=list(work.paths),
                archive_source=work.archive_source,
                psl_version=psl_version(),
                dual_write=self._settings.sync.dual_write,
            )
        counts = Counts()
        state = "failed"
        try:
            with self._database.connection() as held, imports.hold(held, import_id):
                # The lock belongs to the session; an open transaction would hold back vacuum all the while.
                held.commit()
                if work.begun is not None:
                    work.begun(import_id)
                with self._follower.following() if self._follower else nullcontext():
                    self._store(work, work.batches(project_id), import_id, counts)
                    lsn, in_lake = reached(self._database, self._follower)
            state = "failed" if work.failures and not counts.read else "done"
        finally:
            self._finish(import_id, counts, state)
        elapsed = self._clock.monotonic() - started
        _log.info(
            "ingest.done", import_id=import_id, read=counts.read, stored=counts.stored, elapsed_s=elapsed
        )
        return IngestReport(import_id, project_id, counts, elapsed, lsn, in_lake, tuple(work.failures))

    def _store(self, work: _Work, batches: Iterator[Batch], import_id: int, counts: Counts) -> None:
        """Store batch after batch."""
        dual = self._settings.sync.dual_write
        staging = self._settings.staging(self._database.instance) if dual else None

        def stored(batch: Batch, outcome: Stored) -> None:
            counts.add(batch.captures, outcome.rows)
            _count_metrics(batch.captures, outcome.rows)
            if work.on_progress is not None:
                work.on_progress(Progress(batch.bytes_read, work.bytes_total, counts))

        dual_write = DualWrite(table=work.table, import_id=import_id, staging=staging)
        if self._follower is not None:
            self._follower.sweep()
        within = None if work.within is None else partial(_with_import, work.within, import_id)
        with Storer(
            database=self._database, write=dual_write, clock=self._clock, on_stored=stored, within=within
        ) as storer:
            for batch in read_ahead(batches):
                storer.store(batch)

    def _finish(self, import_id: int, counts: Counts, state: str) -> None:
        with self._database.connection() as conn:
            imports.finish(
                conn,
                import_id,
                state=state,
                read=counts.read,
                stored=counts.stored,
                duplicate=counts.duplicate,
                rejected=counts.rejected,
                repaired=counts.repaired,
                rejected_by_reason=dict(counts.rejected_by_reason),
            )


def _with_import(
    within: Callable[[Connection, int, Batch, Stored], None],
    import_id: int,
    conn: Connection,
    batch: Batch,
    stored: Stored,
) -> None:
    within(conn, import_id, batch, stored)


def _count_metrics(batch: CaptureBatch, stored: int) -> None:
    metrics.INGEST_LINES.labels(outcome="stored").inc(stored)
    metrics.INGEST_LINES.labels(outcome="duplicate").inc(batch.table.num_rows - stored)
    metrics.INGEST_LINES.labels(outcome="rejected").inc(len(batch.rejected))
