"""A worker process as its pool sees it: started, given a payload, asked for the result, found dead."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

from chronolake.capture.payload import Payload
from chronolake.extract import frames, wire, worker
from chronolake.extract.page import ExtractedPage, Failure, FailureKind
from chronolake.settings import ExtractSettings

#: The worker ends itself at the deadline; this much later somebody else does it.
_GRACE_S = 5.0
#: A worker that was told to leave is idle, so that it leaves at once.
_LEAVE_S = 2.0
#: Of the environment, what an interpreter needs. The rest holds passwords, and a worker reads hostile content.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
#: What allocators say on standard error before they abort.
_OUT_OF_MEMORY = (
    "memory allocation of",
    "bad_alloc",
    "Cannot allocate memory",
    "out of memory",
    "MemoryError",
)
_SAID_BYTES = 4096


class Worker:
    """One process; `job` is the payload that it has, if it has one."""

    def __init__(self, settings: ExtractSettings) -> None:
        self.job: Payload | None = None
        self.ready = False
        self.leaves = False
        self.given_at = 0.0
        self._begun = False
        self._timed_out = False
        self._timeout_s = settings.timeout_s
        # Text is at most a few times as long as what it was taken from, and JSON escapes a part of it.
        self._most_bytes = 16 * settings.max_bytes + 2**24
        self.connection, child = socket.socketpair()
        self._said: int | None
        self._said, said = os.pipe()
        # A worker that says much must not wait for a reader.
        os.set_blocking(said, False)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own module, by our own interpreter
                [sys.executable, "-P", "-m", worker.__name__, str(child.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[child.fileno()],
                # One payload is one thread's work, and threads take address space each.
                env=environment
                | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
            )
        finally:
            child.close()
            os.close(said)
        # Who is dead already is found so when it is asked.
        with suppress(OSError):
            frames.send(self.connection, pickle.dumps(settings), _GRACE_S)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def idle(self) -> bool:
        """Ready for a payload."""
        return self.ready and self.job is None and not self.leaves

    def give(self, payload: Payload) -> None:
        """Hand over a payload; a worker that has died is found so by `take`."""
        self.job, self._begun, self.given_at = payload, False, time.monotonic()
        try:
            frames.send(self.connection, pickle.dumps(payload), self._timeout_s)
        except TimeoutError:
            # It was ready, and does not even listen.
            self.give_up()
        except OSError:
            return

    def patience_s(self) -> float:
        """Seconds for which an answer may still come; null and below, the worker hangs."""
        return self.given_at + self._timeout_s + _GRACE_S - time.monotonic()

    def give_up(self) -> None:
        """Kill a worker that hangs; `take` then says so."""
        self._timed_out = True
        self._process.kill()

    def take(self) -> ExtractedPage | Failure | None:
        """What has come from the worker: a result, or null for a message on the way to it.

        Raises:
            EOFError: the worker has ended; `reason` says what of.
        """
        try:
            message = frames.receive(self.connection, self._most_bytes, _GRACE_S)
        except TimeoutError as error:
            self.give_up()
            raise EOFError from error
        if message == worker.READY:
            self.ready = True
            return None
        if message == worker.BEGUN:
            self._begun = True
            return None
        if self.job is None:
            raise EOFError
        try:
            result, self.leaves = wire.decode(message, self.job.capture_id)
        except ValueError as error:
            raise EOFError from error
        self.job = None
        return result

    def end(self) -> tuple[Failure | None, str]:
        """Bury the worker: the failure of the payload that it died of, if it died of one, and what it said last."""
        # One that closed its connection, or sent what is no result, may live.
        self._bury()
        said = self._last_words()
        if self.job is None or not (self._begun or self._timed_out):
            return None, said
        kind, detail = self._cause(said)
        return Failure(self.job.capture_id, kind, detail), said

    def stop(self) -> None:
        """End the worker, whatever it does; its payload goes with it. Calling twice is safe."""
        self.connection.close()
        # One that is busy, or still loading its libraries, would not see that for a while.
        if self.job is not None or not self.ready:
            self._process.kill()
        self._bury()
        self._last_words()

    def _bury(self) -> None:
        try:
            self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.connection.close()

    def _last_words(self) -> str:
        """The end of what it wrote on standard error; once."""
        said = b""
        if self._said is not None:
            os.set_blocking(self._said, False)
            with suppress(BlockingIOError):
                while read := os.read(self._said, 65_536):
                    said = (said + read)[-_SAID_BYTES:]
            os.close(self._said)
            self._said = None
        return said.decode("utf-8", "replace")

    def _cause(self, said: str) -> tuple[FailureKind, str]:
        code = self._process.returncode
        if self._timed_out or code == -signal.SIGALRM:
            return FailureKind.TIMEOUT, f"not read within {self._timeout_s:g} seconds"
        if code == -signal.SIGKILL:
            return FailureKind.MEMORY, "the system killed the worker, as it does where memory is short"
        # PDFium aborts without a word where it gets no memory; whoever else aborts says why.
        silent = code == -signal.SIGABRT and not said.strip()
        if silent or any(words in said for words in _OUT_OF_MEMORY):
            return FailureKind.MEMORY, "the memory limit was met"
        ended = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return FailureKind.CRASHED, f"the worker ended {ended}"
