"""Collect captures from web archives: ask page after page, store each with the place where the next begins.

A page's captures, its account and that place are one PostgreSQL transaction, so a process that dies at any moment
leaves a session that goes on exactly there. An archive that fails ends the session as failed, with what was stored
and the reason; it is never taken for an archive that has nothing. People may pause or cancel a session from another
process: its run looks at what is wanted of it, and ends as if it had been stopped.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from chronolake.capture import timestamp
from chronolake.capture.record import CaptureBatch, RawBatch
from chronolake.capture.session import SessionEvent, SessionState, Wanted, is_held
from chronolake.clock import Clock, SystemClock
from chronolake.errors import (
    ChronolakeError,
    CollectStopped,
    DatabaseError,
    InputError,
    SessionBusy,
    SessionEnded,
    SessionUnknown,
    SourceError,
)
from chronolake.ingest.batches import Batch, Mark, coalesced
from chronolake.ingest.desk import CollectDesk, CollectRequest
from chronolake.ingest.dual_write import Stored
from chronolake.ingest.pipeline import IngestReport, ParquetPipeline, Progress
from chronolake.oltp import Database, attempts, imports, projects, sessions
from chronolake.oltp.sessions import ScrapeSession, Step
from chronolake.settings import Settings
from chronolake.sources.archive_source import ArchiveSource, Page
from chronolake.sources.asking import Asker
from chronolake.sources.attempt import Attempt
from chronolake.sources.catalogue import Archive, Kind, asker_of, source_of
from chronolake.sources.local import read_stream
from chronolake.sources.local.normalise import SCHEMA, Normaliser
from chronolake.sources.query import Query
from chronolake.sources.router import Policy
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)

#: Seconds between two looks at what people want of a session that runs.
LOOK_S = 1.0

#: The seconds after which a run that failed for the n-th time in a row is tried again by itself; null: it is not.
Again = Callable[[ChronolakeError, int], float | None]


@dataclass(frozen=True)
class SessionReport:
    """A scrape session as it stands after a run: its account over all runs, and how its requests went.

    `ingest` is what this run did, null where nothing was left to do; `failure` what ended it early, and `again_s` after
    how many seconds it is tried again by itself.
    """

    session: ScrapeSession
    attempts: Mapping[str, int]
    reason: str
    ingest: IngestReport | None
    failure: ChronolakeError | None
    again_s: float | None = None

    @property
    def stopped(self) -> bool:
        """Whether it was ended by whoever asked for it."""
        return isinstance(self.failure, CollectStopped)


@dataclass(frozen=True)
class _Recorder:
    """Keeps attempts in PostgreSQL, each in a transaction of its own."""

    database: Database
    session_id: int
    project_id: int

    def record(self, attempt: Attempt) -> None:
        with self.database.connection() as conn:
            attempts.add(conn, vars(attempt), session_id=self.session_id, project_id=self.project_id)


class Collector:
    """Brings captures from web archives into both stores. One collects at a time; `stop` is for any thread."""

    def __init__(
        self,
        *,
        database: Database,
        pipeline: ParquetPipeline,
        settings: Settings,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._settings = settings
        self._clock = clock or SystemClock()
        self._desk = CollectDesk(database=database, settings=settings, clock=self._clock)
        self._stopping = False
        self._asker: Asker | None = None

    def stop(self) -> None:
        """End what is under way: no further page is asked for, and those that have come are stored."""
        self._stopping = True
        if self._asker is not None:
            self._asker.stop()

    def collect(
        self, request: CollectRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> list[SessionReport]:
        """Collect, going on with what was begun and not ended: one report for each session that was run.

        Raises:
            SourceUnavailable: no archive may be asked now.
            SessionBusy: another process collects the same.
            DatabaseError, LakeError: as `ParquetPipeline.ingest`.
        """
        with self._database.connection() as conn:
            project_id = projects.ensure(conn, request.project)
        if request.archive is not None:
            return self._collected(request, project_id, request.archive, "it was named", on_progress)
        with self._database.connection() as conn:
            policy = Policy(projects.archive_policy(conn, project_id, request.policy))
        reports: list[SessionReport] = []
        failed: dict[str, str] = {}
        while (chosen := self._desk.choose(policy, failed)) is not None:
            asked, reason = chosen
            hasty = self._desk.has_another(policy, [*failed, asked.kind.value])
            reports += self._collected(request, project_id, asked, reason, on_progress, hasty=hasty)
            failure = reports[-1].failure
            if failure is None or reports[-1].stopped:
                break
            failed[asked.kind.value] = failure.message
        return reports

    def resume(self, session_id: int, on_progress: Callable[[Progress], None] | None = None) -> SessionReport:
        """Go on with a session where it stood, also with a paused one; one that has ended is reported as it is.

        Raises:
            SessionUnknown: there is none of that number.
            SessionBusy: a living process works on it.
            SessionEnded: it was cancelled.
            DatabaseError, LakeError: as `ParquetPipeline.ingest`.
        """
        return self._run(self._to_run(session_id), "it was named by its session", on_progress)

    def go_on(self, session_id: int, again: Again, *, hasty: bool = False) -> SessionReport:
        """Go on with a session as a worker does: not with one that people want left alone.

        With `hasty`, a request that fails ends with the deadline of its first try, for there is another archive.

        Raises:
            SessionUnknown, SessionBusy, DatabaseError, LakeError: as `resume`.
            SessionEnded: it is paused or cancelled.
        """
        session = self._free(session_id)
        if session.wanted != Wanted.RUN:
            raise SessionEnded(f"the scrape session {session_id} is {session.state}")
        return self._run(session, "it was queued", None, again, hasty=hasty)

    def _to_run(self, session_id: int) -> ScrapeSession:
        """The session, which is not paused any more."""
        session = self._free(session_id)
        if is_held(SessionState(session.state)):
            with self._database.connection() as conn:
                sessions.ask(conn, session_id, SessionEvent.RESUMED)
            session = self._free(session_id)
        return session

    def _free(self, session_id: int) -> ScrapeSession:
        """The session, which no living process works on."""
        with self._database.connection() as conn:
            session = sessions.find(conn, session_id)
            if session is None:
                raise SessionUnknown(f"there is no scrape session {session_id} that can be gone on with")
            if session.import_id is not None and imports.is_held(conn, session.import_id):
                raise SessionBusy(f"a living process works on the scrape session {session_id}")
        return session

    def _collected(
        self,
        request: CollectRequest,
        project_id: int,
        asked: Archive,
        reason: str,
        on_progress: Callable[[Progress], None] | None,
        *,
        hasty: bool = False,
    ) -> list[SessionReport]:
        """Run the sessions that are wanted of one archive, until one ends early."""
        reports: list[SessionReport] = []
        for session_id in self._desk.sessions_of(request, project_id, asked):
            reports.append(self._run(self._to_run(session_id), reason, on_progress, hasty=hasty))
            if reports[-1].failure is not None:
                break
        return reports

    def _run(
        self,
        session: ScrapeSession,
        reason: str,
        on_progress: Callable[[Progress], None] | None,
        again: Again = lambda _error, _failures: None,
        *,
        hasty: bool = False,
    ) -> SessionReport:
        failures: list[ChronolakeError] = []
        run = _Run(self._database, session, again)
        if session.ended:
            # The process died after the last page, before it could say so.
            run.over(None)
            return self._report(session, reason, None, None)
        asked = Archive(Kind(session.archive["kind"]), session.archive["base"])
        query = Query.of(session.query)
        asker = asker_of(
            asked,
            self._settings,
            _Recorder(self._database, session.session_id, session.project_id),
            self._clock,
        )
        asker.hasty = hasty
        self._asker = asker
        if self._stopping:
            asker.stop()
        work = _Session(self._settings, source_of(asked, asker, self._settings), session, query, failures)

        def progressed(progress: Progress) -> None:
            run.tell()
            if on_progress is not None:
                on_progress(progress)

        try:
            with run.watched(asker.stop):
                ingest = self._pipeline.ingest_collected(
                    project=session.project,
                    name=f"{asked.base} {query.url}",
                    archive_source=session.archive_source,
                    batches=work.batches,
                    begun=run.begun,
                    within=work.note,
                    on_progress=progressed,
                    failures=failures,
                )
        except ChronolakeError as error:
            run.over(error)
            raise
        except BaseException:
            run.over(ChronolakeError("collecting ended in a way that nobody foresaw; the log has the trace"))
            raise
        failure = failures[0] if failures else None
        again_s = run.over(failure)
        return replace(self._report(session, reason, ingest, failure), again_s=again_s)

    def _report(
        self,
        session: ScrapeSession,
        reason: str,
        ingest: IngestReport | None,
        failure: ChronolakeError | None,
    ) -> SessionReport:
        with self._database.connection() as conn:
            stands = sessions.find(conn, session.session_id) or session
            counted = attempts.counts(conn, session.session_id)
        return SessionReport(stands, counted, reason, ingest, failure)


class _Run:
    """One run of a session: which import it is, how it stands, and whether people still want it."""

    def __init__(self, database: Database, session: ScrapeSession, again: Again) -> None:
        self._database = database
        self._session = session
        self._again = again
        self._import_id = session.import_id

    def begun(self, import_id: int) -> None:
        """Take the session up.

        Raises:
            SessionBusy: somebody else did, or people want it left alone.
        """
        with self._database.connection() as conn:
            if not sessions.claim(conn, self._session, import_id):
                raise SessionBusy(f"another process took up the scrape session {self._session.session_id}")
        self._import_id = import_id

    def tell(self) -> None:
        """Bring the session's row up to its progress."""
        with self._database.connection() as conn:
            sessions.tell(conn, self._session.session_id, self._import_id)

    def over(self, failure: ChronolakeError | None) -> float | None:
        """Say how the session stands after the run; the seconds after which it is tried again by itself."""
        if isinstance(failure, SessionBusy):
            # It is another's.
            return None
        stopped = isinstance(failure, CollectStopped)
        again_s = None
        if failure is not None and not stopped:
            with self._database.connection() as conn:
                now = sessions.find(conn, self._session.session_id) or self._session
            again_s = self._again(failure, now.failures + 1)
        event = SessionEvent.STOPPED if stopped or again_s is not None else SessionEvent.FAILED
        with self._database.connection() as conn:
            sessions.over(
                conn, self._session.session_id, self._import_id, failure, event=event, again_s=again_s
            )
        return again_s

    @contextmanager
    def watched(self, stop: Callable[[], None]) -> Iterator[None]:
        """Within the block, `stop` is called once people want the session left alone."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(LOOK_S):
                try:
                    with self._database.glance() as conn:
                        wanted = sessions.wanted(conn, self._session.session_id)
                except DatabaseError as error:
                    # Whoever stores pages meets the same, and says so.
                    _log.info("collect.not_looked", reason=error.message)
                    continue
                if wanted != Wanted.RUN:
                    stop()
                    return

        watcher = threading.Thread(target=look, name="wanted", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


@dataclass(frozen=True)
class _Session:
    """One run of a session: its pages as batches, and what each stored one moves."""

    settings: Settings
    source: ArchiveSource
    session: ScrapeSession
    query: Query
    failures: list[ChronolakeError]

    def batches(self, project_id: int) -> Iterator[Batch]:
        """The captures of every page from the session's place on; an error of the archive ends them."""
        normaliser = Normaliser(project_id, self.session.archive_source)
        try:
            for page in self.source.pages(self.query, self.session.place):
                yield from self._of_page(page, normaliser)
        except (SourceError, InputError) as error:
            self.failures.append(error)

    def _of_page(self, page: Page, normaliser: Normaliser) -> Iterator[Batch]:
        """A page's captures; the last of its batches, an empty one if need be, bears where the next page begins."""
        outside = 0

        def wanted() -> Iterator[Batch]:
            nonlocal outside
            for raw in self._read(page) if page.rows else ():
                kept, others = within_range(raw, self.query)
                outside += others
                yield Batch(normaliser.normalise(kept), raw.bytes_read)

        held = Batch(CaptureBatch(page.name, SCHEMA.empty_table()), 0)
        for number, batch in enumerate(coalesced(wanted(), self.settings.ingest.batch_rows)):
            if number:
                yield replace(held, mark=Mark(page_ends=False))
            held = batch
        yield replace(held, mark=Mark(page_ends=True, place=page.place, outside=outside))

    def _read(self, page: Page) -> Iterator[RawBatch]:
        ingest = self.settings.ingest
        return read_stream(
            page.body, page.name, max_line_bytes=ingest.max_line_bytes, batch_rows=ingest.batch_rows
        )

    def note(self, conn: Connection, import_id: int, batch: Batch, stored: Stored) -> None:
        """Move the session on by one batch, in the transaction that stores it.

        Raises:
            SessionBusy: another import has the session; nothing of the batch is to be kept.
        """
        mark = batch.mark or Mark(page_ends=False)
        captures = batch.captures
        step = Step(
            read=captures.read,
            stored=stored.rows,
            duplicate=captures.table.num_rows - stored.rows,
            rejected=len(captures.rejected),
            outside=mark.outside,
            page_ends=mark.page_ends,
            place=mark.place,
            newest=pc.max(captures.table["timestamp"]).as_py(),
        )
        if not sessions.advance(conn, self.session.session_id, import_id, step):
            raise SessionBusy(f"another process took up the scrape session {self.session.session_id}")


def within_range(raw: RawBatch, query: Query) -> tuple[RawBatch, int]:
    """The rows within the query's range, and how many others there were.

    A row whose time cannot be read stays: that it is rejected is told by its account.
    """
    first, last = query.bounds
    if first is None and last is None:
        return raw, 0
    times = timestamp.parse_all(raw.table["timestamp"].combine_chunks()).timestamp.cast(pa.int64())
    inside = pa.repeat(pa.scalar(value=True), len(times))
    if first is not None:
        inside = pc.and_(inside, pc.fill_null(pc.greater_equal(times, first), fill_value=True))
    if last is not None:
        inside = pc.and_(inside, pc.fill_null(pc.less_equal(times, last), fill_value=True))
    kept = raw.table.filter(inside)
    return replace(raw, table=kept), raw.table.num_rows - kept.num_rows
