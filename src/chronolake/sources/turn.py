"""One request at a time to each archive host, from all processes of this home.

A file for each host holds what the next request must know: when it may be sent, and the breaker. Whoever asks
holds the file's lock from before the wait until the answer is whole; the lock falls with the process.
"""

import asyncio
import fcntl
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from chronolake.breaker import Breaker, State

#: Seconds between two looks whether another process's request has ended.
_LOOK_S = 0.1


@dataclass
class HostState:
    """When the host may be asked next, in seconds since 1970, and how its breaker stands."""

    next_at: float = 0.0
    breaker: Breaker = field(default_factory=Breaker)


def file_of(folder: Path, host: str) -> Path:
    """Where the state of `host`, port included, is kept."""
    return folder / f"{re.sub(r'[^a-z0-9.-]', '_', host.lower())}.json"


@asynccontextmanager
async def turn(path: Path) -> AsyncIterator[HostState]:
    """Wait for the host's turn and hold it within the block; what the block leaves in the state is kept."""
    with _opened(path) as file:
        # No other process can wake us, so that we have to look.
        while not _locked(file):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        state = _parse(file.read())
        try:
            yield state
        finally:
            file.seek(0)
            file.write(json.dumps(asdict(state)).encode())
            file.truncate()


def look(path: Path) -> HostState:
    """The host's state as it was last left, without waiting for a turn."""
    return _parse(path.read_bytes()) if path.exists() else HostState()


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.open("r+b")


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse(data: bytes) -> HostState:
    """What the file says; a state that a kill cut short says nothing."""
    try:
        values = json.loads(data)
        breaker = values["breaker"]
        return HostState(float(values["next_at"]), Breaker(**breaker | {"state": State(breaker["state"])}))
    except (ValueError, KeyError, TypeError):
        return HostState()
