"""Measure an ingest in a process of its own, so that its peak memory is its own too."""

import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from chronolake.bench.generator import peak_memory_bytes
from chronolake.bench.report import IngestMeasure
from chronolake.ingest import IngestRequest
from chronolake.services import open_services
from chronolake.settings import load
from chronolake.telemetry import logs

PROJECT = "generated-ingest"
#: Ingests into empty homes, of which the median one is reported.
RUNS = 3


def measure(archive: Path, folder: Path) -> IngestMeasure:
    """Ingest `archive` into an empty home under `folder` twice, dual write and indexes on; the median of RUNS.

    Raises:
        ChronolakeError: the ingest failed.
    """
    # A fresh interpreter each time: a forked one would begin with the memory of this one.
    context = multiprocessing.get_context("spawn")
    runs = []
    for _ in range(RUNS):
        # What was written before is on the disk, so that its writing is not counted here.
        os.sync()
        with (
            tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as home,
            ProcessPoolExecutor(max_workers=1, mp_context=context) as pool,
        ):
            runs.append(pool.submit(_ingest_twice, str(archive), home).result())
    return sorted(runs, key=lambda run: run.elapsed_s)[RUNS // 2]


def _ingest_twice(archive: str, home: str) -> IngestMeasure:
    settings = load({}, CHRONOLAKE_HOME=home)
    # A fresh process logs to standard output until told otherwise, and that is for the report.
    logs.configure(settings.log)
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
