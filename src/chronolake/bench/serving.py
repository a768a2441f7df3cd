"""A `chronolake serve` in a process of its own, as users meet it: over HTTP on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from chronolake.errors import EngineUnavailable
from chronolake.query import Question
from chronolake.settings import Settings, show
from chronolake.settings import environment as as_environment

#: Seconds that the server may take to be ready, and between two looks.
START_S, LOOK_S = 60.0, 0.05
#: Seconds that it may take to end.
STOP_S = 30.0
#: Of one answer.
REQUEST_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Server:
    """A server that is ready. `prefix` is the address below which the questions lie."""

    address: str
    prefix: str
    pid: int

    def client(self) -> httpx.Client:
        """A client that keeps its connection."""
        return httpx.Client(base_url=self.address, timeout=REQUEST_TIMEOUT_S)

    def cpu_s(self) -> float:
        """Processor time that the process took so far, seconds."""
        told = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        # `utime` and `stime`, the 14th and 15th field; the name in parentheses is the second.
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(settings: Settings, log: Path, **variables: str) -> Iterator[Server]:
    """Serve over the stores of `settings`, with other `variables` beside, until the block ends.

    Raises:
        EngineUnavailable: it ended, or was not ready within START_S; the error has the end of its `log`.
    """
    port = _free_port()
    with (
        log.open("wb") as written,
        subprocess.Popen(  # noqa: S603  # our own command with words of ours
            [sys.executable, "-m", "chronolake", "serve", "--port", str(port)],
            env=_environment(settings) | variables,
            stdout=subprocess.DEVNULL,
            stderr=written,
        ) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            prefix = _ready(address, process, log)
            yield Server(address, prefix, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def path_of(prefix: str, question: Question, params: dict[str, Any]) -> str:
    """The path and query string that ask a question by GET; `params` may have options as `engine`."""
    left = dict(params)
    path = question.path
    if path is None or question.method != "GET":
        path = f"/questions/{question.name}"
    for of_path, of_question in question.in_path.items():
        path = path.replace("{" + of_path + "}", quote(str(left.pop(of_question)), safe=""))
    return prefix + path + (f"?{urlencode(left)}" if left else "")


def _environment(settings: Settings) -> dict[str, str]:
    """This process's environment with these settings and no others: what it has set is not for the run's own home."""
    ours = {line.variable for line in show(settings)}
    return {name: value for name, value in os.environ.items() if name not in ours} | as_environment(settings)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _ready(address: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the server says that each part works; the prefix of the questions, as its index tells it."""
    deadline = time.monotonic() + START_S
    with httpx.Client(base_url=address, timeout=REQUEST_TIMEOUT_S) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get("/health/ready").status_code == httpx.codes.OK:
                    questions = str(client.get("/").json()["questions"])
                    return questions.removesuffix("/questions")
            except httpx.TransportError:
                pass
            time.sleep(LOOK_S)
    end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise EngineUnavailable(
        f"chronolake serve was not ready within {START_S:g} s: {end or 'it said nothing'}"
    )
