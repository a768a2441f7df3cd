"""The one shape of background work: start, stop, and a step that tests call directly."""

import random
import threading
from abc import ABC, abstractmethod

from chronolake.errors import ChronolakeError
from chronolake.telemetry import logs

#: Each pause is up to this share longer, so that many processes do not wake as one.
JITTER = 0.1

_log = logs.get_logger(__name__)


class Loop(ABC):
    """Runs `step` every `interval_s` seconds in a thread of its own until it is stopped.

    An error of ours ends the step, is logged with its hint, and the next step comes as if nothing had been;
    any other error ends the loop, for then the code is wrong and going on would hide it.
    """

    def __init__(self, *, interval_s: float) -> None:
        self.interval_s = interval_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def step(self) -> object:
        """Do the work once; what it returns says what was done."""

    def start(self) -> None:
        """Start stepping, the first step at once."""
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the step that runs end, and return when it has. Calling it twice is safe."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.step()
            except ChronolakeError as error:
                _log.warning(
                    "loop.step_failed", loop=type(self).__name__, error=error.message, hint=error.hint
                )
            # No secret hangs on this number.
            self._stopped.wait(self.interval_s * (1 + JITTER * random.random()))  # noqa: S311
