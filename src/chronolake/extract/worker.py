"""The process that reads payloads: one at a time, with nothing to lose but itself.

Before the first payload it gives up what reading does not need: it opens no connection, starts no program and writes
no file. The kernel holds its limits, for code outside Python minds no other: SIGALRM ends it at the deadline, and no
memory is had beyond RLIMIT_AS.
"""

import logging
import os
import pickle
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from chronolake.capture.payload import Payload
from chronolake.extract import frames, wire
from chronolake.extract.extractor import Extractor
from chronolake.extract.page import ExtractedPage, Failure, FailureKind
from chronolake.settings import ExtractSettings

#: Libraries in C and Rust lose a little with each document; a process that has read so many makes room for another.
PAYLOADS_PER_PROCESS = 5000
#: Said before a payload is read, so that a worker which dies later has died of it.
BEGUN = b"begun"
READY = b"ready"
#: Whose result it is, the other end knows.
_NOBODY = UUID(int=0)
#: What reading a payload never does, by the beginnings of Python's audit events.
_FORBIDDEN = (
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "subprocess.", "os.system", "os.exec",
    "os.posix_spawn", "os.fork", "os.spawn", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.",
    "os.truncate", "os.link", "os.symlink", "os.chmod", "os.chown", "os.kill", "os.killpg", "urllib.Request",
    "ctypes.dlopen",
)  # fmt: skip


def main() -> None:
    """Read settings, then payloads, from the connection whose descriptor is the first argument, until it ends."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    settings: ExtractSettings = _take(connection)
    # What libraries have to say about broken content is said to nobody.
    logging.disable(logging.CRITICAL)
    extractor = Extractor(settings)
    _give_up_rights()
    _limit_memory(settings.memory)
    frames.send(connection, READY)
    for number in range(1, PAYLOADS_PER_PROCESS + 1):
        # The other end may have gone instead.
        frames.wait(connection)
        try:
            frames.send(connection, BEGUN)
            result = _read(extractor, connection, settings.timeout_s)
        except (EOFError, ConnectionError):
            return
        # Who has met a limit, or stopped midway, is in a state that nobody knows.
        last = number == PAYLOADS_PER_PROCESS or (
            isinstance(result, Failure) and result.kind in {FailureKind.MEMORY, FailureKind.CRASHED}
        )
        frames.send(connection, wire.encode(result, last=last))
        if last:
            return


def _take(connection: socket.socket) -> Any:
    """What the pool sent; it is trusted, for all that is hostile in it is bytes."""
    return pickle.loads(frames.receive(connection, sys.maxsize))  # noqa: S301  # of our own parent


def _read(extractor: Extractor, connection: socket.socket, timeout_s: float) -> ExtractedPage | Failure:
    # The kernel's own answer to the signal, not a handler of Python's, which would wait for C code to come back.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        payload: Payload = _take(connection)
        return extractor.extract(payload)
    except MemoryError:
        return Failure(_NOBODY, FailureKind.MEMORY, "the memory limit was met")
    except BaseException as error:
        # A panic of Rust code is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        return Failure(_NOBODY, FailureKind.CRASHED, "a library gave up in the middle of its work")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _give_up_rights() -> None:
    def forbid(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_FORBIDDEN) or (event == "open" and _writes(arguments)):
            raise PermissionError(f"reading a payload does not do this: {event}")

    sys.addaudithook(forbid)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _writes(arguments: tuple[object, ...]) -> bool:
    _, mode, flags = arguments
    if isinstance(mode, str) and set(mode) & set("wax+"):
        return True
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _limit_memory(most_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + most_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
