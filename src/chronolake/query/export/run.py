"""Carry out an export: under another name until it is whole, and told how far it is."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, EINVAL, ENOSPC, ENOSYS, EOPNOTSUPP, EXDEV
from functools import partial
from pathlib import Path
from typing import Any

from chronolake import faults
from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import (
    EngineUnavailable,
    ExportStopped,
    LakeError,
    LakeIncomplete,
    OutputError,
    QueryTimeout,
    StorageFull,
)
from chronolake.lake import Lake, WholeFiles, interrupting
from chronolake.oltp import Database
from chronolake.query import freshness
from chronolake.query.export import captures
from chronolake.query.export.csv_files import Appending
from chronolake.query.export.formats import Format, writer_of
from chronolake.query.narrowing import narrowed
from chronolake.query.params import read
from chronolake.query.question import named
from chronolake.query.route import Engine
from chronolake.query.scope import Scope
from chronolake.query.text import bound, written
from chronolake.settings import Settings

#: Seconds between two looks at how far the engine is.
_LOOK_S = 0.25
_COPIED_AT_ONCE = 64 << 20
_MORE_ROOM = "Free room, or name a path on another disk."
#: What the kernel says where it cannot copy by itself, as from one file system to another.
_NOT_SO = frozenset({EXDEV, EINVAL, ENOSYS, EOPNOTSUPP})
#: Writes the rows of a statement with its values to a path; how many.
_Write = Callable[[str, Mapping[str, Any], Path], int]
#: Appends the rows of whole files to a path, behind so many rows; how many.
_Append = Callable[[Path, WholeFiles, int], int]


@dataclass(frozen=True)
class Progress:
    """How far an export is: `share` from 0 to 1, null where the engine cannot tell, and the bytes that lie there."""

    share: float | None
    bytes: int = 0


@dataclass(frozen=True)
class Exported:
    """What was written. `files_as_they_were` are the lake's own files, of which no row had to be left out."""

    path: Path
    format: Format
    rows: int
    bytes: int
    files: int
    files_as_they_were: int
    as_of_lsn: str | None
    lag_s: float | None
    elapsed_s: float


def checked(name: str, params: Mapping[str, Any]) -> None:
    """Whether these are the parameters of an export of that name.

    Raises:
        QuestionUnknown: there is no such question.
        ParameterInvalid: a parameter is missing, unknown or out of bounds.
    """
    if name == captures.NAME:
        read(name, captures.CapturesFilter, params)
    else:
        read(name, named(name).params, params)


class Exporter:
    """Writes captures, or the answer of a question, to a path."""

    def __init__(
        self,
        *,
        database: Database,
        lake: Lake | None,
        settings: Settings,
        lake_error: LakeError | None = None,
    ) -> None:
        self._database = database
        self._lake = lake
        self._lake_error = lake_error
        self._settings = settings

    def export(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        scope: Scope,
        path: Path,
        format_: Format,
        replace: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Exported:
        """Write the captures, or the rows of the question `name`, to `path`, until `stopped` says so.

        Captures in Parquet go to a folder where the path has no suffix: several files, the lake's own ones as they are
        where all of their rows are meant. Else the path becomes one file.

        Raises:
            EngineUnavailable: there is no lake.
            QuestionUnknown: there is no such question.
            ParameterInvalid: a parameter is missing, unknown or out of bounds.
            OutputError: the path is taken, or cannot be written.
            StorageFull: no room; nothing is left behind.
            QueryTimeout: the deadline passed; nothing is left behind.
            ExportStopped: `stopped` said so; nothing is left behind.
            LakeError: the lake could not be used.
        """
        started = time.perf_counter()
        lake = self._there()
        with self._database.glance() as conn:
            fresh = freshness.of_lake(conn)
        if fresh.as_of_lsn is None:
            raise LakeIncomplete("it has not followed PostgreSQL yet")
        write = partial(self._write, lake=lake, format_=format_, on_progress=on_progress, stopped=stopped)
        append = partial(self._append, on_progress=on_progress, stopped=stopped)
        with _until_whole(path, replace=replace) as half:
            if name == captures.NAME and format_ is Format.CSV:
                quoting = partial(write, always_quoted=captures.ALWAYS_QUOTED)
                rows, as_they_were = self._lines(params, scope, half, quoting, append, lake=lake), 0
            elif name == captures.NAME:
                in_folder = format_ is Format.PARQUET and not path.suffix
                rows, as_they_were = self._captures(
                    params, scope, half, write, lake=lake, in_folder=in_folder
                )
            else:
                text, values = self._question(name, params, scope)
                rows, as_they_were = write(text, values, half), 0
        files = [path] if path.is_file() else sorted(path.iterdir())
        return Exported(
            path=path,
            format=format_,
            rows=rows,
            bytes=sum(file.stat().st_size for file in files),
            files=len(files),
            files_as_they_were=as_they_were,
            as_of_lsn=fresh.as_of_lsn,
            lag_s=fresh.lag_s,
            elapsed_s=round(time.perf_counter() - started, 3),
        )

    def _there(self) -> Lake:
        if self._lake is not None:
            return self._lake
        reason, hint = (
            "analytics are switched off (ANALYTICS_ENABLED)",
            "Unset ANALYTICS_ENABLED or set it to true.",
        )
        if self._lake_error is not None:
            reason, hint = self._lake_error.message, self._lake_error.hint
        raise EngineUnavailable(f"exports are read from the lake, and {reason}", hint=hint)

    def _captures(
        self,
        params: Mapping[str, Any],
        scope: Scope,
        path: Path,
        write: _Write,
        *,
        lake: Lake,
        in_folder: bool,
    ) -> tuple[int, int]:
        """Rows written, and files of the lake among the written ones."""
        values, scope, meant = self._meant(params, scope)
        if not in_folder:
            return write(meant.text, meant.values, path), 0
        path.mkdir()
        part = path / "part.parquet"
        if meant.bounds is None:
            return write(meant.text, meant.values, part), 0
        whole = lake.whole_files(CDX_RECORDS, meant.bounds)
        for file in whole.paths:
            _copy(file, path / file.name)
        others = captures.statement(values, scope, snapshot_id=whole.snapshot_id, without=whole.paths)
        rows = write(others.text, others.values, part)
        if not rows and whole.paths:
            part.unlink()
        return whole.rows + rows, len(whole.paths)

    def _meant(
        self, params: Mapping[str, Any], scope: Scope
    ) -> tuple[dict[str, Any], Scope, captures.CapturesStatement]:
        """The filter's values, the scope narrowed by them, and the captures that both mean."""
        values = read(captures.NAME, captures.CapturesFilter, params).model_dump()
        scope = narrowed(self._database, scope, values)
        return values, scope, captures.statement(values, scope)

    def _lines(
        self,
        params: Mapping[str, Any],
        scope: Scope,
        path: Path,
        write: _Write,
        append: _Append,
        *,
        lake: Lake,
    ) -> int:
        """Rows written as CSV: by the engine the header and what is not of whole files; then those of whole files."""
        values, scope, meant = self._meant(params, scope)
        bounds = captures.with_text(meant.bounds)
        whole = WholeFiles(None, (), 0) if bounds is None else lake.whole_files(CDX_RECORDS, bounds)
        others = captures.statement(values, scope, snapshot_id=whole.snapshot_id, without=whole.paths)
        rows = write(others.text, others.values, path)
        return rows + append(path, whole, rows)

    def _append(
        self,
        path: Path,
        whole: WholeFiles,
        before: int,
        *,
        on_progress: Callable[[Progress], None] | None,
        stopped: Callable[[], bool],
    ) -> int:
        if not whole.paths:
            return 0
        appending = Appending(path, always_quoted=captures.ALWAYS_QUOTED)
        timeout_s = self._settings.query.export_timeout_s
        ends_at = time.monotonic() + timeout_s
        total = before + whole.rows

        def so_far() -> Progress:
            return Progress((before + appending.rows) / total, appending.bytes)

        def over() -> bool:
            return stopped() or time.monotonic() > ends_at

        with _watched(so_far, appending.halt, on_progress, over):
            done = appending.append(whole.paths, self._settings.duckdb_threads)
        if stopped():
            raise ExportStopped("the export was stopped")
        if not done:
            raise QueryTimeout(f"the export was stopped after {timeout_s:g} s", timeout_s=timeout_s)
        return appending.rows

    def _question(self, name: str, params: Mapping[str, Any], scope: Scope) -> tuple[str, dict[str, Any]]:
        question = named(name)
        values = read(question.name, question.params, params).model_dump()
        scope = narrowed(self._database, scope, values)
        text = written(question, Engine.DUCKDB, scoped=scope.project_ids is not None)
        return text, bound(values, scope)

    def _write(
        self,
        text: str,
        values: Mapping[str, Any],
        path: Path,
        *,
        lake: Lake,
        format_: Format,
        on_progress: Callable[[Progress], None] | None,
        stopped: Callable[[], bool],
        always_quoted: Sequence[str] = (),
    ) -> int:
        with lake.errors_translated(), lake.cursor() as cursor:

            def so_far() -> Progress:
                percent = cursor.query_progress()
                share = percent / 100 if 0 <= percent <= 100 else None
                return Progress(share, path.stat().st_size if path.is_file() else 0)

            with (
                interrupting(cursor, self._settings.query.export_timeout_s),
                _watched(so_far, cursor.interrupt, on_progress, stopped),
            ):
                return writer_of(format_, self._settings.parquet, always_quoted=always_quoted)(
                    cursor, text, values, path
                )


@contextmanager
def _until_whole(path: Path, *, replace: bool) -> Iterator[Path]:
    """Another path beside `path`, which takes its name at the block's end; on an error it is gone."""
    if path.exists() and not replace:
        raise OutputError(f"{path} is there already", hint="Name another path, or say --replace.")
    half = path.with_name(f".{path.stem}-{os.getpid()}-half{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Where nothing can be written, the engine's error would not say so.
        half.touch()
        half.unlink()
        yield half
        faults.reach("export.half_written")
        if path.is_dir() and half.is_dir():
            shutil.rmtree(path)
        half.replace(path)
    except StorageFull as error:
        raise StorageFull(f"no room to write {path}: {error.message}", hint=_MORE_ROOM) from error
    except OSError as error:
        if error.errno in {ENOSPC, EDQUOT}:
            raise StorageFull(f"no room to write {path}", hint=_MORE_ROOM) from error
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if half.is_dir():
            shutil.rmtree(half, ignore_errors=True)
        elif half.exists():
            half.unlink()


@contextmanager
def _watched(
    so_far: Callable[[], Progress],
    interrupt: Callable[[], None],
    on_progress: Callable[[Progress], None] | None,
    stopped: Callable[[], bool],
) -> Iterator[None]:
    """Tell now and then how far it is, and interrupt it once `stopped` says so. A thread of its own does both."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_S):
            if on_progress is not None:
                on_progress(so_far())
            if stopped():
                # An interrupt between two statements stops neither: it is said again at the next look.
                interrupt()

    watcher = threading.Thread(target=look, name="export-progress", daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        if stopped():
            raise ExportStopped("the export was stopped") from error
        raise
    finally:
        ended.set()
        watcher.join()


def _copy(source: Path, target: Path) -> None:
    """A copy by the kernel's own hand, which shares the blocks where the file system can.

    A link would be quicker, but whoever changed the exported file in place would change the lake.
    """
    try:
        with source.open("rb") as given, target.open("wb") as taken:
            while os.copy_file_range(given.fileno(), taken.fileno(), _COPIED_AT_ONCE):
                pass
    except OSError as error:
        if error.errno not in _NOT_SO:
            raise
        shutil.copyfile(source, target)
