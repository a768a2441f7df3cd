"""Ask an archive, with manners, and keep an account of every request.

The manners: one request at a time to a host, evenly spaced and below its limit; a pause that the archive asks for
is kept, also by the next process; tries that fail are spaced ever further; an archive that fails again and again
is left alone; every request has a deadline and a largest size; and our name, with an address where operators can
reach whoever runs this. Each request, sent or held back, becomes one `Attempt`.
"""

import asyncio
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, cast

import httpx
import stamina
from stamina.instrumentation import set_on_retry_hooks

from chronolake import chance, faults
from chronolake.breaker import Event, next_state
from chronolake.capture.attempt import Outcome
from chronolake.clock import Clock
from chronolake.errors import (
    ArchiveQueryInvalid,
    CollectStopped,
    OutputError,
    SourceBlocked,
    SourceError,
    SourceHeldBack,
    SourceRefused,
    SourceUnavailable,
)
from chronolake.settings import ArchiveSettings
from chronolake.sources import breaker, pace
from chronolake.sources.answer import Answer, Contents, Unusable
from chronolake.sources.attempt import Attempt, Recorder
from chronolake.sources.turn import HostState, file_of, turn
from chronolake.telemetry import logs, metrics

#: Bytes of an answer that are kept in memory; more of it waits on disk.
_IN_MEMORY = 4 << 20
#: Seconds until a connection must stand. Of an archive that is there it takes a fraction of one.
_CONNECT_S = 30.0
#: Statuses below 500 that are worth another try, as clients of the Wayback Machine found.
_PASSING = frozenset({408, 413, 421})
#: Longest wait between two tries, in seconds.
_LONGEST_BACKOFF_S = 300.0
_LONGEST_REASON = 200

_log = logs.get_logger(__name__)

# Each try is an attempt of ours, logged and counted as such; the library's own hooks would say it again.
set_on_retry_hooks([])

#: Looks an answer over: what a whole one holds; null where its status says how it went. May raise `Unusable`.
Reader = Callable[[Answer], Contents | None]


@dataclass(frozen=True)
class Received:
    """A whole answer and what it holds."""

    answer: Answer
    contents: Contents


class _Failed(Exception):
    """One try came to nothing; `error` is what it means to whoever asked."""

    def __init__(self, outcome: Outcome, error: SourceError, pause_s: float | None = None) -> None:
        super().__init__(error.message)
        self.outcome = outcome
        self.error = error
        self.pause_s = pause_s


@dataclass(frozen=True)
class AsSent:
    """Take the body as it is sent, codings and all, and no more than `most_bytes` of it: the rest is left unread.

    So a payload is asked for, whose codings may be its own and not the archive's. `headers` go with the request.
    """

    most_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)


class _Spool:
    """The body of one answer on its way: decompressed, measured, bounded."""

    def __init__(self, file: BinaryIO, most_bytes: int, as_sent: AsSent | None = None) -> None:
        self.sent = 0
        self.size = 0
        #: whether no more is wanted, and more may come
        self.cut = False
        self._file = file
        self._most_bytes = most_bytes
        self._as_sent = as_sent
        self._unzip: zlib._Decompress | None = None

    def begin(self, encoding: str) -> None:
        """Take what comes as `encoding`: nothing or gzip, which is all that we say we accept."""
        if self._as_sent is not None:
            return
        if encoding in {"gzip", "x-gzip"}:
            self._unzip = zlib.decompressobj(31)
        elif encoding not in {"", "identity"}:
            raise Unusable(Outcome.MALFORMED, f"its encoding {encoding} was not asked for")

    def take(self, data: bytes) -> None:
        """Take the next bytes as they were sent."""
        self.sent += len(data)
        if self._as_sent is not None:
            self.cut = self.sent > self._as_sent.most_bytes
            data = data[: self._as_sent.most_bytes - self.size]
            self._file.write(data)
            self.size += len(data)
            return
        while data:
            if self._unzip is None:
                out, data = data, b""
            else:
                if self._unzip.eof:
                    # Gzip data may be several members, one after the other (RFC 1952, 2.2).
                    self._unzip = zlib.decompressobj(31)
                try:
                    # Little at a time: a small answer can hold gigabytes of zeros.
                    out = self._unzip.decompress(data, _IN_MEMORY)
                except zlib.error as error:
                    raise Unusable(Outcome.MALFORMED, f"its gzip data is damaged: {error}") from None
                data = self._unzip.unconsumed_tail or self._unzip.unused_data
            self._file.write(out)
            self.size += len(out)
            if self.size > self._most_bytes:
                why = f"it is larger than {self._most_bytes} bytes (CHRONOLAKE_ARCHIVE_MAX_BYTES)"
                raise Unusable(Outcome.MALFORMED, why)

    def end(self) -> None:
        """The body has ended: so must what it is compressed by."""
        if self._unzip is not None and self.sent and not self._unzip.eof:
            raise Unusable(Outcome.TRUNCATED, "its gzip data ends too early")


@dataclass(frozen=True)
class _Wanted:
    """One request as it is asked for."""

    host: str
    url: str
    reader: Reader
    as_sent: AsSent | None


class Asker:
    """Asks one archive on behalf of one piece of work. `stop` may be called from any thread."""

    def __init__(
        self,
        *,
        archive_source: str,
        limit_per_minute: float,
        settings: ArchiveSettings,
        folder: Path,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self.archive_source = archive_source
        self.settings = settings
        #: seconds between two requests: as told, but never above what the archive can bear
        self.interval_s = 60 / min(settings.per_minute or limit_per_minute, limit_per_minute)
        self._folder = folder
        self._recorder = recorder
        self._clock = clock
        self._tls = httpx.create_ssl_context()
        self._stopping = threading.Event()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Received]] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def ask(self, url: str, reader: Reader, as_sent: AsSent | None = None) -> Iterator[Received]:
        """The whole answer of `url`, valid within the block; tried several times.

        With `as_sent` its body is what was sent, and may be cut off.

        Raises:
            SourceUnavailable: no answer that can be used came.
            SourceRefused: the archive will not answer this.
            CollectStopped: `stop` was called.
            ArchiveQueryInvalid: `url` is no address.
            OutputError: the answer could not be kept until it was whole.
        """
        try:
            host = httpx.URL(url).netloc.decode()
        except httpx.InvalidURL as error:
            raise ArchiveQueryInvalid(f"{self.archive_source} cannot be asked that: {error}") from None
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spooled:
            body = cast("BinaryIO", spooled)
            try:
                received = asyncio.run(self._asked(_Wanted(host, url, reader, as_sent), body))
            except _Failed as failed:
                raise failed.error from failed.__cause__
            except asyncio.CancelledError:
                raise CollectStopped("collecting was stopped") from None
            except OSError as error:
                hint = "Free room in the folder of temporary files (TMPDIR)."
                raise OutputError(f"an answer cannot be kept: {error}", hint=hint) from error
            faults.reach("collect.page_whole")
            yield received

    def stop(self) -> None:
        """End the request that is under way, and ask no more."""
        self._stopping.set()
        with self._lock:
            if self._running is not None:
                loop, task = self._running
                loop.call_soon_threadsafe(task.cancel)

    async def _asked(self, wanted: _Wanted, body: BinaryIO) -> Received:
        task = asyncio.ensure_future(self._tried(wanted, body))
        with self._lock:
            self._running = asyncio.get_running_loop(), task
        if self._stopping.is_set():
            task.cancel()
        try:
            return await task
        finally:
            with self._lock:
                self._running = None

    async def _tried(self, wanted: _Wanted, body: BinaryIO) -> Received:
        backoff_s = self.settings.backoff_s
        async for tried in stamina.retry_context(
            on=self._worth_another,
            attempts=self.settings.tries,
            timeout=None,
            wait_initial=backoff_s,
            wait_max=_LONGEST_BACKOFF_S,
            wait_jitter=backoff_s,
        ):
            with tried:
                body.seek(0)
                body.truncate()
                return await self._try(wanted, body, retry=tried.num - 1)
        raise AssertionError("a last try that failed has raised")

    async def _try(self, wanted: _Wanted, body: BinaryIO, *, retry: int) -> Received:
        """Wait for the host's turn and send one request."""
        async with turn(file_of(self._folder, wanted.host)) as state:
            now = self._clock.now().timestamp()
            state.breaker = next_state(state.breaker, Event.WANTED, now, breaker.MANNERS)
            wait_s = pace.wait_s(state.next_at, now, self.interval_s)
            if not state.breaker.lets_through or wait_s > pace.LONGEST_PAUSE_S:
                raise self._held_back(wanted.url, state, now, retry)
            await asyncio.sleep(wait_s)
            return await self._send(wanted, body, state, retry=retry)

    def _held_back(self, url: str, state: HostState, now: float, retry: int) -> _Failed:
        self._keep(Attempt(self.archive_source, Outcome.NOT_SENT, url, self._clock.now(), retry))
        if state.breaker.lets_through:
            why, wait_s = "asked for a long pause", state.next_at - now
        else:
            why, wait_s = f"failed {state.breaker.failures} times in a row", state.breaker.until - now
        message = f"{self.archive_source} {why}, so that it is not asked for {wait_s:.0f} s more"
        return _Failed(Outcome.NOT_SENT, SourceHeldBack(message, wait_s=wait_s))

    async def _send(self, wanted: _Wanted, body: BinaryIO, state: HostState, *, retry: int) -> Received:
        url = wanted.url
        requested_at, started = self._clock.now(), self._clock.monotonic()
        state.next_at = pace.after_request(requested_at.timestamp(), self.interval_s)
        spool = _Spool(body, self.settings.most_bytes, wanted.as_sent)
        status: int | None = None
        ended: float | None = None
        outcome, rows = Outcome.CANCELLED, None
        try:
            status, headers = await self._fetch(wanted, spool)
            ended = self._clock.monotonic()
            answer = Answer(url, status, headers, body, spool.size, cut=spool.cut)
            contents = self._looked_over(answer, wanted.reader)
            outcome, rows = contents.outcome, contents.rows
            return Received(answer, contents)
        except _Failed as failed:
            outcome, status = failed.outcome, failed.error.facts.get("status", status)  # type: ignore[assignment]
            now = self._clock.now().timestamp()
            if outcome is Outcome.THROTTLED:
                state.next_at = pace.after_throttling(now, state.next_at, failed.pause_s)
            _log.warning("archive.failed", url=url, outcome=outcome.value, retry=retry, reason=str(failed))
            raise
        finally:
            event = breaker.event_of(outcome)
            if event is not None:
                now = self._clock.now().timestamp()
                state.breaker = next_state(state.breaker, event, now, breaker.MANNERS)
            self._keep(
                Attempt(
                    archive_source=self.archive_source,
                    outcome=outcome,
                    url=url,
                    requested_at=requested_at,
                    retry=retry,
                    latency_ms=((ended or self._clock.monotonic()) - started) * 1000,
                    bytes=None if status is None else spool.sent,
                    status_code=status,
                    rows=rows,
                )
            )

    def _looked_over(self, answer: Answer, reader: Reader) -> Contents:
        try:
            contents = reader(answer)
        except Unusable as unusable:
            raise self._unusable(answer.url, answer.status, unusable) from None
        if contents is None:
            raise self._by_status(answer)
        answer.body.seek(0)
        return contents

    async def _fetch(self, wanted: _Wanted, spool: _Spool) -> tuple[int, httpx.Headers]:
        """Send the request and spool the answer; its status and headers.

        Raises:
            _Failed: no whole answer came.
        """
        url, status = wanted.url, None
        # Whoever wants a payload as it was kept wants no coding of the archive's own around it.
        accepted = "gzip" if wanted.as_sent is None else "identity"
        more = {} if wanted.as_sent is None else wanted.as_sent.headers
        try:
            # The library's own limits are for each read: an archive that drips would never reach them.
            async with (
                asyncio.timeout(self.settings.timeout_s),
                httpx.AsyncClient(
                    headers={"User-Agent": self._user_agent, "Accept-Encoding": accepted, **more},
                    timeout=httpx.Timeout(self.settings.timeout_s, connect=_CONNECT_S),
                    verify=self._tls,
                ) as client,
                client.stream("GET", url) as response,
            ):
                status = response.status_code
                spool.begin(response.headers.get("Content-Encoding", "").strip().lower())
                async for data in response.aiter_raw():
                    spool.take(data)
                    if spool.cut:
                        break
                spool.end()
                return status, response.headers
        except Unusable as unusable:
            raise self._unusable(url, status, unusable) from None
        except (TimeoutError, httpx.TimeoutException) as error:
            said = f"{self.archive_source} gave no whole answer in time ({url})"
            raise self._unavailable(Outcome.TIMEOUT, said, status) from error
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            # Before the status line nothing was answered; after it, the answer broke off.
            outcome = Outcome.UNREACHABLE if status is None else Outcome.TRUNCATED
            said = f"{self.archive_source} broke off: {error or type(error).__name__} ({url})"
            raise self._unavailable(outcome, said, status) from error
        except httpx.HTTPError as error:
            said = f"{self.archive_source} cannot be reached: {error or type(error).__name__} ({url})"
            raise self._unavailable(Outcome.UNREACHABLE, said, status) from error

    @property
    def _user_agent(self) -> str:
        contact = self.settings.contact
        return f"chronolake/{version('chronolake')}{f' (+{contact})' if contact else ''}"

    def _unusable(self, url: str, status: int | None, unusable: Unusable) -> _Failed:
        said = f"the answer of {self.archive_source} cannot be used: {_printable(unusable.why)} ({url})"
        if unusable.outcome is Outcome.NOT_FOUND:
            # It was understood, and says that there is no such thing.
            return _Failed(
                unusable.outcome, SourceRefused(said, outcome=unusable.outcome.value, status=status)
            )
        return self._unavailable(unusable.outcome, said, status)

    def _unavailable(self, outcome: Outcome, message: str, status: int | None) -> _Failed:
        return _Failed(outcome, SourceUnavailable(message, outcome=outcome.value, status=status))

    def _by_status(self, answer: Answer) -> _Failed:
        """What an answer without captures means, by its status."""
        status = answer.status
        retry_after_s = retry_after(answer.headers.get("Retry-After"), self._clock.now())
        outcome = outcome_of(status, asks_for_pause="Retry-After" in answer.headers)
        reason = _printable(answer.head().decode(errors="replace"))
        if (location := answer.headers.get("Location")) is not None:
            reason = f"it points to {_printable(location)}"
        message = f"{self.archive_source} answered {status} ({answer.url}){f': {reason}' if reason else ''}"
        kind: type[SourceError] = SourceUnavailable
        if outcome is Outcome.BLOCKED:
            kind = SourceBlocked
        elif status < 500 and outcome is not Outcome.THROTTLED and status not in _PASSING:
            kind = SourceRefused
        return _Failed(outcome, kind(message, outcome=outcome.value, status=status), retry_after_s)

    def _worth_another(self, error: Exception) -> bool | float:
        """Whether to try again; where the archive asked for a pause, after how many seconds."""
        if not isinstance(error, _Failed) or not isinstance(error.error, SourceUnavailable):
            return False
        if isinstance(error.error, SourceHeldBack):
            return False
        if error.outcome is not Outcome.THROTTLED:
            return True
        pause_s = pace.THROTTLED_S if error.pause_s is None else error.pause_s
        if pause_s > pace.LONGEST_PAUSE_S:
            return False
        # A little later each time, so that clients that were told the same moment do not come back as one.
        return pause_s + self.settings.backoff_s * chance.fraction()

    def _keep(self, attempt: Attempt) -> None:
        metrics.ARCHIVE_REQUESTS.labels(source=attempt.archive_source, outcome=attempt.outcome.value).inc()
        self._recorder.record(attempt)


def _printable(text: str) -> str:
    """The beginning of what an archive said, on one line and without what would steer a terminal."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(plain.split())[:_LONGEST_REASON]


def outcome_of(status: int, *, asks_for_pause: bool) -> Outcome:
    """How an attempt went whose answer holds nothing that was asked for."""
    if status == 429 or (status == 503 and asks_for_pause):
        return Outcome.THROTTLED
    if status in {401, 403, 451}:
        return Outcome.BLOCKED
    if status in {404, 410}:
        return Outcome.NOT_FOUND
    if status == 408:
        return Outcome.TIMEOUT
    if 400 <= status < 500:
        return Outcome.CLIENT_ERROR
    # None of these APIs redirects: where one does, it is another address than we think.
    return Outcome.SERVER_ERROR if status >= 500 else Outcome.MALFORMED


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3); null: none."""
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
