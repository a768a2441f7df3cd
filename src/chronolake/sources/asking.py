"""Ask an archive, with manners, and keep an account of every request.

The manners: one request at a time to a host, evenly spaced and below its limit; a pause that the archive asks for
is kept, also by the next process; tries that fail are spaced ever further; an archive that fails again and again
is left alone; every request has a deadline and a largest size; and our name, with an address where operators can
reach whoever runs this. Each request, sent or held back, becomes one `Attempt`.
"""

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from chronolake.sources.spool import IN_MEMORY, AsSent, Spool
from chronolake.sources.status import outcome_of, retry_after
from chronolake.sources.turn import HostState, file_of, turn
from chronolake.telemetry import logs, metrics

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
    """One try came to nothing; `error` is what it means to whoever asked, `retry` the try's number from 0."""

    def __init__(self, outcome: Outcome, error: SourceError, pause_s: float | None = None) -> None:
        super().__init__(error.message)
        self.outcome = outcome
        self.error = error
        self.pause_s = pause_s
        self.retry = 0


@dataclass(frozen=True)
class _Wanted:
    """One request as it is asked for."""

    host: str
    url: str
    reader: Reader
    as_sent: AsSent | None


class Asker:
    """Asks one archive on behalf of one piece of work. `stop` may be called from any thread.

    Where there is another archive to go to, it is to be `hasty`: all tries of a request together then have the time
    that each has otherwise.
    """

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
        #: whether there is another archive to go to
        self.hasty = False
        #: when the time of a hasty request is over, on the monotonic clock; null before its first try
        self._ends_at: float | None = None
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
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spooled:
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
        self._ends_at = None
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
            if self._is_late(pace.wait_s(state.next_at, now, self.interval_s)):
                # While others had their turn. Nothing is said of the archive, which was not asked.
                raise self._too_late(wanted.url, retry)
            state.breaker = next_state(state.breaker, Event.WANTED, now, breaker.MANNERS)
            wait_s = pace.wait_s(state.next_at, now, self.interval_s)
            if not state.breaker.lets_through or wait_s > pace.LONGEST_PAUSE_S:
                raise self._held_back(wanted.url, state, now, retry)
            await asyncio.sleep(wait_s)
            return await self._send(wanted, body, state, retry=retry)

    def _too_late(self, url: str, retry: int) -> _Failed:
        self._keep(Attempt(self.archive_source, Outcome.NOT_SENT, url, self._clock.now(), retry))
        message = f"{self.archive_source} was not asked again: its turn came when the time for it was over"
        return _Failed(Outcome.NOT_SENT, SourceUnavailable(message, outcome=Outcome.NOT_SENT.value))

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
        if self.hasty and self._ends_at is None:
            self._ends_at = started + self.settings.timeout_s
        state.next_at = pace.after_request(requested_at.timestamp(), self.interval_s)
        spool = Spool(body, self.settings.most_bytes, wanted.as_sent)
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
            failed.retry = retry
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

    async def _fetch(self, wanted: _Wanted, spool: Spool) -> tuple[int, httpx.Headers]:
        """Send the request and spool the answer; its status and headers.

        Raises:
            _Failed: no whole answer came.
        """
        url, status = wanted.url, None
        # Whoever wants a body as it is sent says which codings it may have: by itself none.
        accepted = "gzip" if wanted.as_sent is None else "identity"
        more = {} if wanted.as_sent is None else wanted.as_sent.headers
        try:
            # The library's own limits are for each read: an archive that drips would never reach them.
            async with (
                asyncio.timeout(self._left_s()),
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

    def _left_s(self) -> float:
        """Seconds that a try has from now on."""
        if self._ends_at is None:
            return self.settings.timeout_s
        return max(0.0, self._ends_at - self._clock.monotonic())

    def _is_late(self, wait_s: float) -> bool:
        """Whether a try after such a wait would be cut short, and would say of the archive that it is slow."""
        return self._ends_at is not None and self._left_s() - wait_s < self.settings.timeout_s / 2

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
        longest_s = self._longest_wait_s(error)
        if self._is_late(longest_s):
            return False
        if error.outcome is not Outcome.THROTTLED:
            return True
        pause_s = _pause_s(error)
        if pause_s > pace.LONGEST_PAUSE_S:
            return False
        # A little later each time, so that clients that were told the same moment do not come back as one.
        return pause_s + self.settings.backoff_s * chance.fraction()

    def _longest_wait_s(self, error: _Failed) -> float:
        """The most that is waited before the try that follows."""
        backoff_s = self.settings.backoff_s
        if error.outcome is Outcome.THROTTLED:
            return _pause_s(error) + backoff_s
        return min(_LONGEST_BACKOFF_S, backoff_s * 2.0**error.retry + backoff_s)

    def _keep(self, attempt: Attempt) -> None:
        metrics.ARCHIVE_REQUESTS.labels(source=attempt.archive_source, outcome=attempt.outcome.value).inc()
        self._recorder.record(attempt)


def _pause_s(error: _Failed) -> float:
    return pace.THROTTLED_S if error.pause_s is None else error.pause_s


def _printable(text: str) -> str:
    """The beginning of what an archive said, on one line and without what would steer a terminal."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(plain.split())[:_LONGEST_REASON]
