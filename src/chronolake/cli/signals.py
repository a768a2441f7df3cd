"""Ctrl-C and SIGTERM: the first ends what runs in order, the second ends the process."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C, or a SIGTERM, stops what runs in the block and keeps what it has; the second one ends all."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}

    def stopped(_signum: int, _frame: FrameType | None) -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        stop()

    for signum in before:
        signal.signal(signum, stopped)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C, or a SIGTERM, sets."""
    stopped = threading.Event()
    with stoppable(stopped.set):
        yield stopped
