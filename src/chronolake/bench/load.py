"""The load of a dashboard: many clients ask at once over HTTP, while captures are being ingested.

Clients are a process of their own, and the ingest another, so that neither takes the interpreter of what is measured;
the processors are shared by all of them, and the report says how much of them each took. A client asks its next
question as soon as the last is answered.
"""

import asyncio
import json
import math
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from chronolake.bench import cdx_text, generator
from chronolake.bench.http_trials import came_from, meta_of
from chronolake.bench.serving import REQUEST_TIMEOUT_S, Server, path_of
from chronolake.bench.sync_trials import peak_mb
from chronolake.bench.timing import Timing
from chronolake.bench.world import ranks
from chronolake.capture.record import RawBatch
from chronolake.errors import ChronolakeError, EngineUnavailable
from chronolake.query import QUESTIONS
from chronolake.services import open_services
from chronolake.settings import Settings, load
from chronolake.settings import environment as as_environment
from chronolake.sources.local import read_captures
from chronolake.telemetry import logs

#: What a dashboard asks, and the share of each: one page has the timeline and figures of a domain, with some of the
#: figures of all beside.
MIX = {
    "domain_timeline": 0.35,
    "domain_statistics": 0.25,
    "top_domains": 0.15,
    "archive_sources_comparison": 0.15,
    "project_summary": 0.10,
}
#: Seconds that a dashboard's answers may be behind.
MAX_LAG_S = 60
#: Which domain is asked for follows Zipf's law, as which has how many captures does; the exponent is that of these.
ZIPF_EXPONENT = 1.05
#: Captures that are ingested a second, and in one transaction.
INGEST_PER_S, BATCH_ROWS = 1000, 500
#: Of the seconds of the load, the first that are not counted: connections are made, and caches are filled.
WARM_UP_SHARE = 0.1
#: Seconds for which the ingest has captures beyond those of the load, and that its start may take.
_SPARE_S, _START_S = 30, 60.0


@dataclass(frozen=True)
class Ingested:
    """Captures that were stored, and in how many seconds they were told; `error` is what ended it early."""

    stored: int
    elapsed_s: float
    error: str | None = None

    @property
    def per_s(self) -> float:
        """Captures a second."""
        return self.stored / self.elapsed_s if self.elapsed_s else 0.0


@dataclass(frozen=True)
class Load:
    """What came of it: `answered` came within the `seconds` that count, `timing` is of what was asked in these.

    Processor times and memory are of the processes by themselves, without PostgreSQL's.
    """

    clients: int
    seconds: float
    answered: int
    timing: Timing
    by_question: Mapping[str, Timing]
    came_from: Mapping[str, int]
    errors: Mapping[str, int]
    client_cpu_s: float
    server_cpu_s: float
    server_peak_mb: float
    ingested: Ingested

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


@dataclass
class _Asked:
    """What the clients saw: seconds by question, where answers came from, errors by their kind."""

    times: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MIX})
    answered: int = 0
    places: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0


def measure(
    server: Server,
    settings: Settings,
    folder: Path,
    *,
    domains: Sequence[str],
    clients: int,
    seconds: float,
    project: str,
    seed: int,
) -> Load:
    """Let `clients` ask `server` for `seconds`, while captures are ingested into the stores of `settings`.

    Raises:
        EngineUnavailable: the ingest did not begin.
    """
    files = _cut(folder / "meanwhile", round(INGEST_PER_S * (seconds + _SPARE_S)), seed)
    context = multiprocessing.get_context("spawn")
    with (
        _ingesting(settings, files, project) as ingest,
        ProcessPoolExecutor(max_workers=1, mp_context=context) as pool,
    ):
        before_s = server.cpu_s()
        asked = pool.submit(_ask, server, list(domains), clients, seconds, seed).result()
        server_cpu_s = server.cpu_s() - before_s
        peak = peak_mb(server.pid)
        ingested = ingest()
    everything = [elapsed for times in asked.times.values() for elapsed in times]
    return Load(
        clients=clients,
        seconds=seconds * (1 - WARM_UP_SHARE),
        answered=asked.answered,
        timing=Timing("http", tuple(everything)),
        by_question={name: Timing("http", tuple(times)) for name, times in asked.times.items()},
        came_from=dict(asked.places),
        errors=dict(asked.errors),
        client_cpu_s=asked.cpu_s,
        server_cpu_s=server_cpu_s,
        server_peak_mb=peak,
        ingested=ingested,
    )


def requests(prefix: str, domains: Sequence[str], seed: int) -> Iterator[tuple[str, str]]:
    """What one client asks, question and path, without end; the same for the same seed."""
    random = np.random.Generator(np.random.SFC64([seed, 1]))
    names, shares = list(MIX), list(MIX.values())
    while True:
        drawn = random.choice(len(names), size=1000, p=shares)
        places = ranks(random.random(1000), len(domains), ZIPF_EXPONENT)
        for number, place in zip(drawn, places, strict=True):
            question = QUESTIONS[names[number]]
            params: dict[str, Any] = {"max_lag": MAX_LAG_S}
            if "domain" in question.params.model_fields:
                params["domain"] = domains[place]
            yield question.name, path_of(prefix, question, params)


def _ask(server: Server, domains: list[str], clients: int, seconds: float, seed: int) -> _Asked:
    return asyncio.run(_ask_all(server, domains, clients, seconds, seed))


async def _ask_all(server: Server, domains: list[str], clients: int, seconds: float, seed: int) -> _Asked:
    asked = _Asked()
    counted = time.perf_counter() + seconds * WARM_UP_SHARE
    ends = time.perf_counter() + seconds

    async def client(number: int) -> None:
        asking = requests(server.prefix, domains, seed + number)
        # One connection each, as browsers have one for a server. Of Python's clients this takes least of the processor.
        connector = aiohttp.TCPConnector(limit=1)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(server.address, connector=connector, timeout=timeout) as http:
            while (began := time.perf_counter()) < ends:
                name, path = next(asking)
                try:
                    async with http.get(path) as answer:
                        status, body = answer.status, await answer.read()
                except (aiohttp.ClientError, TimeoutError) as error:
                    asked.errors[type(error).__name__] += 1
                    continue
                ended = time.perf_counter()
                if status != HTTPStatus.OK:
                    asked.errors[f"{status} {_title(body)}"] += 1
                    continue
                # What is under way when the time ends has its time, but is no answer of that time.
                asked.answered += counted <= ended < ends
                if began >= counted:
                    asked.times[name].append(ended - began)
                    asked.places[came_from(meta_of(body))] += 1

    cpu_s = time.process_time()
    await asyncio.gather(*(client(number) for number in range(clients)))
    asked.cpu_s = time.process_time() - cpu_s
    return asked


def _title(body: bytes) -> str:
    try:
        return str(json.loads(body)["title"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return "without a problem document"


def _cut(folder: Path, rows: int, seed: int) -> list[str]:
    """Generated CDX lines in files of BATCH_ROWS; their paths."""
    folder.mkdir()
    whole = folder / "whole.cdx"
    # Captures of another seed: none of them is stored already.
    generator.write("cdx", rows, whole, seed=seed + 1)
    lines = whole.read_bytes().removeprefix(cdx_text.HEADER).splitlines(keepends=True)
    whole.unlink()
    paths = []
    for number in range(math.ceil(len(lines) / BATCH_ROWS)):
        path = folder / f"{number:06}.cdx"
        taken = lines[number * BATCH_ROWS : (number + 1) * BATCH_ROWS]
        path.write_bytes(cdx_text.HEADER + b"".join(taken))
        paths.append(str(path))
    return paths


@contextmanager
def _ingesting(settings: Settings, files: list[str], project: str) -> Iterator[Any]:
    """Ingest in a process of its own, which has begun when the block does; what is yielded ends it and tells."""
    context = multiprocessing.get_context("spawn")
    stop, (here, there) = context.Event(), context.Pipe(duplex=False)
    process = context.Process(target=_ingest, args=(as_environment(settings), files, project, stop, there))
    process.start()
    # Where the other process has gone, only its end must be open for that to be seen.
    there.close()

    def end() -> Ingested:
        stop.set()
        found: Ingested = here.recv()
        return found

    try:
        if not here.poll(_START_S):
            raise EngineUnavailable(f"the ingest did not begin within {_START_S:g} s")
        begun: Ingested = here.recv()
        if begun.error:
            raise EngineUnavailable(f"the ingest could not begin: {begun.error}")
        yield end
    finally:
        stop.set()
        process.join(_START_S)
        if process.is_alive():
            process.kill()
            process.join()


def _ingest(
    variables: Mapping[str, str], files: Sequence[str], project: str, stop: Event, told: Connection
) -> None:
    """Ingest INGEST_PER_S captures a second by the ordinary pipeline, as one import that is told piece by piece.

    Tells through `told` once it has begun, and at the end.
    """
    settings = load(variables, CHRONOLAKE_INGEST_BATCH_ROWS=BATCH_ROWS)
    # What it logs goes nowhere near the report.
    logs.configure(settings.log)
    times: list[float] = []

    def pieces() -> Iterator[RawBatch]:
        for number, path in enumerate(files):
            due = times[0] + number * BATCH_ROWS / INGEST_PER_S if times else 0.0
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            if not times:
                told.send(Ingested(0, 0.0))
            times.append(time.monotonic())
            yield from read_captures(
                (path,), max_line_bytes=settings.ingest.max_line_bytes, batch_rows=BATCH_ROWS
            )
        # All that there was has gone too early, or too late for what it was to keep busy.
        stop.wait()

    stored, error = 0, None
    try:
        with open_services(settings) as services:
            stored = services.pipeline.ingest_raw(project, pieces()).counts.stored
    except ChronolakeError as failure:
        error = failure.message
    # The last piece takes as long as each of the others.
    elapsed_s = times[-1] - times[0] + BATCH_ROWS / INGEST_PER_S if times else 0.0
    told.send(Ingested(stored, elapsed_s, error))
