"""Measure an ingest in a process of its own, so that its peak memory is its own too."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from chronolake.bench.generator import peak_memory_bytes
from chronolake.bench.report import IngestMeasure
from chronolake.ingest import IngestRequest
from chronolake.services import open_services
from chronolake.settings import load

PROJECT = "generated-ingest"


def measure(archive: Path, home: Path) -> IngestMeasure:
    """Ingest `archive` into the home folder `home` twice, dual write and indexes on.

    Raises:
        ChronolakeError: the ingest failed.
    """
    # A fresh interpreter: a forked one would begin with the memory of this one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_ingest_twice, str(archive), str(home)).result()


def _ingest_twice(archive: str, home: str) -> IngestMeasure:
    settings = load({}, CHRONOLAKE_HOME=home)
    request = IngestRequest(paths=(archive,), project=PROJECT)
    with open_services(settings) as services:
        first = services.pipeline.ingest(request)
        peak = peak_memory_bytes()
        second = services.pipeline.ingest(request)
    counts = first.counts
    return IngestMeasure(
        read=counts.read,
        stored=counts.stored,
        rejected=counts.rejected,
        repaired=counts.repaired,
        elapsed_s=first.elapsed_s,
        captures_per_s=counts.stored / max(first.elapsed_s, 1e-9),
        peak_memory_bytes=peak,
        second_stored=second.counts.stored,
        second_elapsed_s=second.elapsed_s,
    )
