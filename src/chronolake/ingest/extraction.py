"""From stored captures to stored pages.

Every capture that is looked at gets one answer, and it is kept: a page, a failure, a decision; or none, where another
run may find it otherwise. What one transaction stores is done: a run that is killed and begun again goes on behind it.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from chronolake.capture.columns import CONTENT_ANALYTICS
from chronolake.capture.host import psl_version
from chronolake.clock import Clock, SystemClock
from chronolake.errors import ChronolakeError, CollectStopped, ProjectUnknown
from chronolake.ingest.dual_write import DualWrite
from chronolake.ingest.following import Follower, reached
from chronolake.ingest.page_run import ExtractCounts, ExtractRequest, PageRun
from chronolake.ingest.page_store import PageStore
from chronolake.oltp import Database, attempts, imports, projects
from chronolake.oltp.pages import Pick
from chronolake.settings import Settings
from chronolake.sources.attempt import Attempt
from chronolake.sources.payloads import PayloadFetcher, WarcFiles, fetcher_of
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class ExtractReport:
    """What a run did. The lake covers everything up to `as_of_lsn` where `in_lake` is true.

    `failures` are archives that had to be left alone; their captures wait for another run.
    """

    import_id: int
    project_id: int
    counts: ExtractCounts
    elapsed_s: float
    as_of_lsn: str
    in_lake: bool
    failures: tuple[ChronolakeError, ...]

    @property
    def stopped(self) -> bool:
        """Whether it was ended by whoever asked for it."""
        return any(isinstance(failure, CollectStopped) for failure in self.failures)


@dataclass(frozen=True)
class _Recorder:
    """Keeps attempts in PostgreSQL, each in a transaction of its own."""

    database: Database
    project_id: int

    def record(self, attempt: Attempt) -> None:
        with self.database.connection() as conn:
            attempts.add(conn, vars(attempt), session_id=None, project_id=self.project_id)


class Extraction:
    """Makes pages of captures. One run at a time; `stop` is for any thread."""

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
        self._stopping = False
        self._fetcher: PayloadFetcher | None = None

    def stop(self) -> None:
        """End what is under way: no further payload is fetched, and those that have come are read and stored."""
        self._stopping = True
        if self._fetcher is not None:
            self._fetcher.stop()

    def run(
        self, request: ExtractRequest, on_progress: Callable[[ExtractCounts], None] | None = None
    ) -> ExtractReport:
        """Look at every capture that the request names, and keep what becomes of it.

        Raises:
            ProjectUnknown: there is no such project.
            InputUnreadable: a file that was named cannot be read.
            ArchiveQueryInvalid: the address of the replay cannot be used.
            WorkersBroken: the processes that read payloads do not come up.
            DatabaseError: PostgreSQL failed; what was stored stays, and running it again goes on from there.
            LakeError: as `ParquetPipeline.ingest`.
        """
        started = self._clock.monotonic()
        with self._database.connection() as conn:
            project_id = projects.find(conn, request.project)
        if project_id is None:
            raise ProjectUnknown(f"there is no project {request.project}")
        most = self._settings.extract.max_bytes
        self._fetcher = fetcher = fetcher_of(
            self._settings,
            files=WarcFiles(request.files, most_bytes=most) if request.files else None,
            replay_base=request.replay,
            recorder=_Recorder(self._database, project_id),
            clock=self._clock,
        )
        if self._stopping:
            fetcher.stop()
        import_id = self._begun(project_id)
        counts = ExtractCounts()
        state = "failed"
        try:
            with self._database.connection() as held, imports.hold(held, import_id):
                # The lock belongs to the session; an open transaction would hold back vacuum all the while.
                held.commit()
                if self._follower is not None:
                    self._follower.sweep()
                with self._follower.following() if self._follower else nullcontext():
                    run = PageRun(
                        request=request,
                        what=_pick(request, project_id),
                        database=self._database,
                        settings=self._settings,
                        clock=self._clock,
                        store=self._store(request, import_id),
                        fetcher=fetcher,
                        counts=counts,
                        on_progress=on_progress,
                    )
                    run.through()
                    lsn, in_lake = reached(self._database, self._follower)
            state = "done"
        finally:
            self._finish(import_id, counts, state)
        elapsed = self._clock.monotonic() - started
        failures: tuple[ChronolakeError, ...] = tuple(fetcher.failures)
        if self._stopping:
            failures = (CollectStopped("extraction was stopped"), *failures)
        _log.info("extract.done", import_id=import_id, extracted=counts.extracted, elapsed_s=elapsed)
        return ExtractReport(import_id, project_id, counts, elapsed, lsn, in_lake, failures)

    def _store(self, request: ExtractRequest, import_id: int) -> PageStore:
        dual = self._settings.sync.dual_write
        staging = self._settings.staging(self._database.instance) if dual else None
        return PageStore(
            database=self._database,
            write=DualWrite(table=CONTENT_ANALYTICS, import_id=import_id, staging=staging),
            clock=self._clock,
            again=request.again,
            included=request.included,
        )

    def _begun(self, project_id: int) -> int:
        with self._database.connection() as conn:
            return imports.begin(
                conn,
                project_id=project_id,
                paths=["(pages)"],
                archive_source=None,
                psl_version=psl_version(),
                dual_write=self._settings.sync.dual_write,
            )

    def _finish(self, import_id: int, counts: ExtractCounts, state: str) -> None:
        """Close the account that sits beside those of ingest: a page is stored, a failure rejected."""
        failed = counts.failed.total()
        with self._database.connection() as conn:
            imports.finish(
                conn,
                import_id,
                state=state,
                read=counts.extracted + failed,
                stored=counts.extracted,
                duplicate=0,
                rejected=failed,
                repaired=0,
                rejected_by_reason=dict(counts.failed),
            )


def _pick(request: ExtractRequest, project_id: int) -> Pick:
    return Pick(
        project_id=project_id,
        domain=request.domain,
        archive_source=request.archive_source,
        first=request.start,
        last=request.end,
        again=request.again,
        included=sorted(request.included),
    )
