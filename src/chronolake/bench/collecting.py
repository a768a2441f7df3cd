"""Collect from an archive that fails now and then, and compare what was kept with what it holds and was asked.

Two halves: an index over many small pages, then the payload of each of its captures, which becomes a page. The
archive is a real HTTP server on this machine, whose own record of requests is the witness; PostgreSQL and the lake
are the run's own.
"""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from chronolake.bench.arrivals import MINUTE_S, Arrivals, arrivals_of, broken_manners
from chronolake.bench.collect_check import (
    Count,
    Request,
    answered,
    captures_of,
    ledger,
    pages_of,
    shortest_gap_ms,
    told_otherwise,
)
from chronolake.bench.faulty_archive import DOMAIN, serving, variables
from chronolake.bench.plain_report import write
from chronolake.bench.runner import own_settings
from chronolake.capture.attempt import Outcome
from chronolake.capture.columns import TABLES
from chronolake.errors import LakeUnavailable
from chronolake.ingest import CollectRequest, ExtractRequest
from chronolake.lake import Lake
from chronolake.services import Services, open_services
from chronolake.settings import Settings
from chronolake.sources.payloads import PASSING
from chronolake.sources.query import Query
from chronolake.sources.router import Policy
from chronolake.testing import INGESTED, differences
from chronolake.testing.archive import WebArchive
from chronolake.testing.archive_faults import FaultPlan

PROJECT = "faults"
#: Runs of a half at most: what an archive did not give, though it was asked again and again, waits for another run.
RUNS = 3
_ATTEMPTS = TABLES["archive_request_attempts"]


@dataclass(frozen=True)
class Half:
    """One half: its runs, what was stored of what there is, and how its requests went.

    `answered` are requests by how the archive answered them, `kept` those of the ledger.
    """

    runs: int
    expected: int
    stored: int
    missing: int
    doubled: int
    seconds: float
    stored_per_s: float
    answered: dict[str, int]
    kept: dict[str, int]


@dataclass(frozen=True)
class _Took:
    """How many runs a half took, and how long."""

    runs: int
    seconds: float


@dataclass(frozen=True)
class CollectMeasures:
    """What came out; `broken` says in words which promises were not kept, and is empty where all were."""

    captures: int
    share: float
    seed: int
    per_minute: float
    page_rows: int
    index: Half
    payloads: Half
    #: places, one request after the other, at which the ledger differs from the archive's record
    told_otherwise: int
    #: attempts that were held back, and so never came to the archive
    not_sent: int
    arrivals: Arrivals
    #: the least time between two requests, by the ledger; between two arrivals it is less where the first took long
    shortest_sent_gap_ms: float | None
    #: processes that wanted a core, on average over the last minute
    load: float
    #: captures, pages and attempts that only one of PostgreSQL and the lake holds; at most ten a table are counted
    differences: int
    broken: tuple[str, ...]


def run(
    *,
    captures: int,
    share: float,
    seed: int,
    per_minute: float,
    page_rows: int,
    out: Path,
    settings: Settings,
    told: Callable[[str], None],
) -> CollectMeasures:
    """Collect `captures` from an archive of which the part `share` of all requests fails; write `collect-<captures>`.

    Raises:
        ChronolakeError: the run's own PostgreSQL or lake failed.
    """
    folder = settings.home.root / f"bench-collect-{os.getpid()}"
    folder.mkdir(parents=True)
    told(f"seed {seed}")
    try:
        with serving(captures, FaultPlan(seed, share)) as archive:
            own = own_settings(settings, folder / "h", **variables(archive, per_minute, page_rows))
            with open_services(own) as services:
                measures = measure(services, archive, per_minute=per_minute, told=told)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    command = (
        f"chronolake bench collect --captures {captures} --share {share} --seed {seed}"
        f" --per-minute {per_minute:.0f} --page-rows {page_rows}"
    )
    title = f"{captures:,} captures from an archive of which {share:.0%} of all requests fail"
    write(out / f"collect-{captures}", title, command, asdict(measures))
    return measures


def measure(
    services: Services, archive: WebArchive, *, per_minute: float, told: Callable[[str], None]
) -> CollectMeasures:
    """Both halves, by services that were told to ask that archive.

    Raises:
        LakeUnavailable: there is no lake.
        ChronolakeError: PostgreSQL or the lake failed.
    """
    if services.lake is None or services.sync is None:
        raise services.lake_error or LakeUnavailable("the lake is off")
    index = _timed(lambda: _collect(services))
    told(f"index: {index.seconds:.1f} s, {len(archive.asked)} requests so far")
    payloads = _timed(lambda: _extract(services))
    told(f"payloads: {payloads.seconds:.1f} s, {len(archive.asked)} requests so far")
    services.sync.reach()
    measures = _compared(
        services, services.lake, archive, per_minute=per_minute, index=index, payloads=payloads
    )
    return replace(measures, broken=tuple(_broken(measures)))


def _compared(
    services: Services, lake: Lake, archive: WebArchive, *, per_minute: float, index: _Took, payloads: _Took
) -> CollectMeasures:
    """What was kept beside what the archive holds and how it answered; what is broken is not told yet."""
    database, plan = services.database, archive.plan or FaultPlan(0, 0.0)
    came, kept = answered(archive), ledger(database, archive.base)
    sent = [request for request in kept if request.outcome is not Outcome.NOT_SENT]
    return CollectMeasures(
        captures=len(archive.captures),
        share=plan.share,
        seed=plan.seed,
        per_minute=per_minute,
        page_rows=services.settings.archives.page_rows,
        index=_half(captures_of(archive, database), index, came, sent, payload=False),
        payloads=_half(pages_of(archive, database), payloads, came, sent, payload=True),
        told_otherwise=told_otherwise(sent, came),
        not_sent=len(kept) - len(sent),
        arrivals=arrivals_of(archive.asked, archive.most_at_once),
        shortest_sent_gap_ms=shortest_gap_ms(database),
        load=os.getloadavg()[0],
        differences=len(differences(database, lake, (*INGESTED, _ATTEMPTS))),
        broken=(),
    )


def _timed(half: Callable[[], int]) -> _Took:
    started = time.monotonic()
    return _Took(half(), time.monotonic() - started)


def _collect(services: Services) -> int:
    """Collect the index; how many runs it took."""
    request = CollectRequest(PROJECT, Query.parse(DOMAIN), policy=Policy.WAYBACK)
    for runs in range(1, RUNS):
        if services.collector.collect(request)[-1].failure is None:
            return runs
    services.collector.collect(request)
    return RUNS


def _extract(services: Services) -> int:
    """Fetch and read the payloads; how many runs it took until none was put off."""
    request = ExtractRequest(project=PROJECT)
    for runs in range(1, RUNS):
        put_off = services.extraction.run(request).counts.not_fetched.keys() & set(PASSING)
        if not put_off:
            return runs
    services.extraction.run(request)
    return RUNS


def _half(count: Count, took: _Took, came: list[Request], sent: list[Request], *, payload: bool) -> Half:
    return Half(
        runs=took.runs,
        **asdict(count),
        seconds=round(took.seconds, 1),
        stored_per_s=round(count.stored / took.seconds, 1),
        answered=_by_outcome(came, payload=payload),
        kept=_by_outcome(sent, payload=payload),
    )


def _by_outcome(requests: list[Request], *, payload: bool) -> dict[str, int]:
    found = Counter(request.outcome.value for request in requests if request.payload is payload)
    return dict(sorted(found.items()))


def _broken(measures: CollectMeasures) -> list[str]:
    """The promises that were not kept, in words."""
    said = broken_manners(measures.arrivals, measures.per_minute)
    gap_ms, least_ms = measures.shortest_sent_gap_ms, 1000 * MINUTE_S / measures.per_minute
    if gap_ms is not None and gap_ms < least_ms:
        said.append(f"two requests were sent within {gap_ms} ms, of which {least_ms} are the least")
    for name, half in (("index", measures.index), ("payloads", measures.payloads)):
        if half.missing:
            said.append(f"{name}: {half.missing} are missing, or others than the archive's")
        if half.stored != half.expected or half.doubled:
            said.append(f"{name}: {half.stored} are stored of {half.expected}, {half.doubled} of them again")
        if half.kept != half.answered:
            said.append(f"{name}: the ledger has {half.kept}, the archive answered {half.answered}")
    if measures.told_otherwise:
        said.append(f"{measures.told_otherwise} attempts are kept otherwise than the archive answered")
    if measures.differences:
        said.append(f"{measures.differences} rows are in one of the stores only, or more")
    return said
