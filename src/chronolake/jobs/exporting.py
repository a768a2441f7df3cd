"""Exports as jobs: asked for by one process, written by a worker of the same home, kept for a while.

Each run writes a file of its own, under another name until it is whole, and only the newest run's file is ever served.
So neither a worker that was killed nor one that was thought dead can leave half an export where somebody finds it.
"""

import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from chronolake.clock import Clock, SystemClock
from chronolake.errors import (
    ChronolakeError,
    DatabaseError,
    ExportGone,
    ExportStopped,
    ExportUnknown,
    ExportUnready,
    QueryTimeout,
    WorkerLost,
)
from chronolake.jobs.queue import Job, Queue, put
from chronolake.jobs.retrying import GivenUp, TryAgain, pause_before
from chronolake.oltp import Database, exports
from chronolake.oltp.exports import Ended, Export
from chronolake.query import Scope
from chronolake.query.export import Exporter, Format, Progress, checked
from chronolake.settings import Settings
from chronolake.telemetry import logs

#: Seconds between two notes of how far an export is.
_NOTE_S = 1.0

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_log = logs.get_logger(__name__)


class ExportFolder:
    """Where the files of exports lie: a folder for each, named by its id and nothing that anybody wrote."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, export_id: UUID) -> Path:
        """The folder of an export."""
        return self._root / str(export_id)

    def file(self, export: Export, run: int | None = None) -> Path:
        """The file of an export's run, of the newest if none is named."""
        return self.of(export.export_id) / f"{run or export.run}.{Format(export.format).value}"

    def clear(self, export_id: UUID) -> None:
        """Remove whatever is there of an export."""
        shutil.rmtree(self.of(export_id), ignore_errors=True)

    def ids(self) -> list[UUID]:
        """The exports that have a folder."""
        names = [path.name for path in self._root.iterdir()] if self._root.is_dir() else []
        return [UUID(name) for name in names if _ID.fullmatch(name)]


class ExportQueue:
    """Exports that are asked for, looked at, fetched and removed. Nothing is written here."""

    def __init__(self, *, database: Database, settings: Settings) -> None:
        self._database = database
        self._folder = ExportFolder(settings.exports)

    def later(self, what: str, params: Mapping[str, Any], format_: Format) -> Export:
        """Queue an export of captures, or of a question's answer.

        Raises:
            QuestionUnknown: there is no such question.
            ParameterInvalid: a parameter is missing, unknown or out of bounds.
        """
        checked(what, params)
        export_id = uuid4()
        with self._database.connection() as conn:
            exports.add(conn, export_id, what=what, params=params, format_=format_.value)
            put(conn, Job(Queue.EXPORTS, f"export {export_id}", {"export_id": str(export_id)}))
        return self.find(export_id)

    def find(self, export_id: UUID) -> Export:
        """The export as it stands.

        Raises:
            ExportUnknown: there is none of that id, or it has been removed.
        """
        with self._database.connection() as conn:
            found = exports.find(conn, export_id)
        if found is None:
            raise ExportUnknown(f"there is no export {export_id}")
        return found

    def file(self, export_id: UUID) -> tuple[Export, Path]:
        """The export, and its whole file.

        Raises:
            ExportUnknown: as `find`.
            ExportUnready: it is not done.
            ExportGone: its file is not in this home.
        """
        found = self.find(export_id)
        if found.state != "done":
            raise ExportUnready(f"the export is {found.state}", hint=(found.error or {}).get("hint"))
        path = self._folder.file(found)
        if not path.is_file():
            raise ExportGone("the file of the export is not in the home of this server")
        return found, path

    def remove(self, export_id: UUID) -> None:
        """Forget an export and remove its file; a run that writes it ends itself.

        Raises:
            ExportUnknown: there is none of that id.
        """
        with self._database.connection() as conn:
            if not exports.remove(conn, export_id):
                raise ExportUnknown(f"there is no export {export_id}")
        self._folder.clear(export_id)


class ExportTask:
    """Writes exports for a worker, and lets go of old ones."""

    def __init__(
        self, *, database: Database, exporter: Exporter, settings: Settings, clock: Clock | None = None
    ) -> None:
        self._database = database
        self._exporter = exporter
        self._settings = settings
        self._clock = clock or SystemClock()
        self._folder = ExportFolder(settings.exports)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End what runs; these exports wait for another worker."""
        self._stopping.set()

    def run(self, export_id: str) -> None:
        """Write an export.

        Raises:
            TryAgain: it is to be run again.
            GivenUp: it failed, and another try is no help.
        """
        with self._database.connection() as conn:
            run = exports.claim(conn, UUID(export_id))
            export = exports.find(conn, UUID(export_id))
        if run is None or export is None:
            return
        # What another run left, whole or half, nobody will ask for.
        self._folder.clear(export.export_id)
        written = _Written(self._database, export, run, self._stopping)
        path = self._folder.file(export, run)
        try:
            found = self._exporter.export(
                export.what,
                export.params,
                scope=Scope.everything(),
                path=path,
                format_=Format(export.format),
                replace=True,
                on_progress=written.note,
                stopped=written.stopped,
            )
        except ChronolakeError as error:
            self._failed(export, run, error)
            return
        with self._database.connection() as conn:
            kept = exports.done(
                conn,
                export.export_id,
                run,
                rows=found.rows,
                size=found.bytes,
                as_of_lsn=found.as_of_lsn,
                lag_s=found.lag_s,
            )
        if not kept:
            path.unlink(missing_ok=True)
        self.tidy()

    def died(self, export_id: str) -> bool:
        """Note that the worker died that wrote an export; whether it is to be run again."""
        error = WorkerLost("the worker that wrote the export is gone")
        with self._database.connection() as conn:
            export = exports.find(conn, UUID(export_id))
            if export is None or export.state == "done":
                return False
            again = pause_before(error, export.failures + 1, self._settings.jobs) is not None
            exports.failed(conn, export.export_id, export.run, error, again=again)
        return again

    def tidy(self) -> int:
        """Remove exports that are older than the settings keep, or take too much room; how many."""
        before = self._clock.now() - timedelta(hours=self._settings.query.export_hours)
        with self._database.connection() as conn:
            going = surplus(exports.ended(conn, before), self._settings.query.export_bytes)
            for export_id in going:
                exports.remove(conn, export_id)
            there = self._folder.ids()
            known = exports.known(conn, there)
        for export_id in {*going, *(export_id for export_id in there if export_id not in known)}:
            self._folder.clear(export_id)
        return len(going)

    def _failed(self, export: Export, run: int, error: ChronolakeError) -> None:
        stopped = isinstance(error, ExportStopped)
        pause_s = 0.0 if stopped else pause_before(error, export.failures + 1, self._settings.jobs)
        if isinstance(error, QueryTimeout):
            # It would take as long again.
            pause_s = None
        with self._database.connection() as conn:
            wanted = exports.failed(
                conn, export.export_id, run, None if stopped else error, again=pause_s is not None
            )
        if not wanted:
            return
        if pause_s is None:
            raise GivenUp(error) from error
        raise TryAgain(pause_s, None if stopped else error) from error


def surplus(ended: Sequence[Ended], most_bytes: int) -> list[UUID]:
    """Which of the exports that ended, newest first, have to go: old ones, and those beyond the room that there is.

    The newest stays, however large: somebody has just asked for it.
    """
    going: list[UUID] = []
    held = 0
    for place, export in enumerate(ended):
        if export.old or (place and held + export.bytes > most_bytes):
            going.append(export.export_id)
        else:
            held += export.bytes
    return going


class _Written:
    """An export while a run writes it: notes how far it is, and stops it where it is not wanted any more."""

    def __init__(self, database: Database, export: Export, run: int, stopping: threading.Event) -> None:
        self._database = database
        self._export = export
        self._run = run
        self._stopping = stopping
        self._noted_at = 0.0
        self._unwanted = False

    def stopped(self) -> bool:
        """Whether the run is to end."""
        return self._unwanted or self._stopping.is_set()

    def note(self, progress: Progress) -> None:
        """Note how far it is, now and then."""
        if time.monotonic() - self._noted_at < _NOTE_S:
            return
        self._noted_at = time.monotonic()
        try:
            with self._database.connection() as conn:
                self._unwanted = not exports.progress(
                    conn, self._export.export_id, self._run, share=progress.share, size=progress.bytes
                )
        except DatabaseError as error:
            # How it ends is told, too, and then it matters.
            _log.info("export.not_noted", reason=error.message)
