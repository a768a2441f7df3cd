"""The one shape of background work: start, stop, and a step that tests call directly."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum

from chronolake import chance, priority
from chronolake.errors import ChronolakeError
from chronolake.telemetry import logs, metrics

#: Each pause is up to this share longer, so that many processes do not wake as one.
JITTER = 0.1

_log = logs.get_logger(__name__)


class LoopState(StrEnum):
    """Where a loop is. No state survives the process."""

    STOPPED = "stopped"  #: before `start`, and set by `stop`
    RUNNING = "running"  #: set by `start`; a step that failed with an error of ours does not change it
    FAILED = "failed"  #: set by the loop itself where a step raised what nobody foresaw; it steps no more


class Loop(ABC):
    """Runs `step` every `interval_s` seconds in a thread of its own until it is stopped.

    An error of ours ends the step, is logged with its hint, and the next step comes as if nothing had been;
    any other error ends the loop, for then the code is wrong and going on would hide it. `state` says so, and
    `error` keeps what the newest step ended with, null where it went well.

    A loop that `gives_way` takes what others leave of the processors.
    """

    def __init__(self, *, interval_s: float, gives_way: bool = False) -> None:
        self.interval_s = interval_s
        self._gives_way = gives_way
        self.state = LoopState.STOPPED
        self.error: Exception | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """What log, metric and health call it."""
        return type(self).__name__

    @abstractmethod
    def step(self) -> object:
        """Do the work once; what it returns says what was done."""

    def start(self) -> None:
        """Start stepping, the first step at once."""
        self._stopped.clear()
        self.state = LoopState.RUNNING
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the step that runs end, and return when it has. Calling it twice is safe."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        if self.state is LoopState.RUNNING:
            self.state = LoopState.STOPPED

    def _run(self) -> None:
        if self._gives_way:
            priority.give_way()
        while not self._stopped.is_set() and self._stepped():
            self._stopped.wait(self.interval_s * (1 + JITTER * chance.fraction()))

    def _stepped(self) -> bool:
        """Step once, and say whether to go on."""
        outcome, self.error = "done", None
        try:
            self.step()
        except ChronolakeError as error:
            outcome, self.error = "failed", error
            _log.warning("loop.step_failed", loop=self.name, error=error.message, hint=error.hint)
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody must hear that the loop has ended
            outcome, self.error = "ended", error
            self.state = LoopState.FAILED
            _log.exception("loop.ended", loop=self.name, error=type(error).__name__)
        metrics.LOOP_STEPS.labels(loop=self.name, outcome=outcome).inc()
        return self.state is not LoopState.FAILED


@contextmanager
def running(*loops: Loop) -> Iterator[None]:
    """Have the loops step within the block; they stop in reverse."""
    with ExitStack() as stack:
        for loop in loops:
            loop.start()
            stack.callback(loop.stop)
        yield
