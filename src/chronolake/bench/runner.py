"""Run the benchmark: fill a home of its own, ask every engine, write down what came out.

Nothing of the user's is touched: stores, files and servers live in a folder of this run within the home, and
go when it ends. A DATABASE_URL is not used, as generated captures have no place in a real database.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from chronolake.bench import engines, environment, generator, ingesting, stores
from chronolake.bench.captures import Run
from chronolake.bench.cases import REFERENCE, Cases
from chronolake.bench.report import BenchReport, IngestMeasure, Loads, Sizes, Target
from chronolake.bench.timing import CaseResult, measure
from chronolake.capture.columns import CDX_RECORDS
from chronolake.clock import Clock, SystemClock
from chronolake.lake import Lake
from chronolake.oltp import Database
from chronolake.services import Services, open_services
from chronolake.settings import Settings, load, show

SEED = 1
#: Lines that the ingest is measured on, at most: its rate does not grow with the file.
INGEST_ROWS = 1_000_000
#: Settings that tell how the measured engines were set; the rest says nothing about speed.
TOLD = ("DUCKDB_MEMORY_LIMIT", "DUCKDB_WORKER_THREADS", "PARQUET_COMPRESSION", "PARQUET_ROW_GROUP_SIZE",
    "CHRONOLAKE_LAKE_LAYOUT", "CHRONOLAKE_INGEST_BATCH_ROWS")  # fmt: skip


@dataclass(frozen=True)
class PlanTarget:
    """A target as the plan states it, and what it is measured by."""

    name: str
    case: str
    engine: str
    limit_s: float
    rows: int


TARGETS = (
    PlanTarget("domain_timeline_query", "domain_timeline", "lake", 0.5, 1_000_000),
    PlanTarget("content_aggregation", "archive_sources_comparison", "lake", 1.0, 10_000_000),
    PlanTarget("cross_project_analysis", "project_mime", "lake", 2.0, 50_000_000),
    PlanTarget("export_operations", "export", "lake", 30.0, 100_000_000),
)


def run(
    *,
    rows: int,
    out: Path,
    repeat: int,
    settings: Settings,
    seed: int = SEED,
    clock: Clock | None = None,
) -> BenchReport:
    """Measure on `rows` captures, and write `benchmark-<rows>.md` and `.json` into `out`.

    Each question runs `repeat` times on each engine. ClickHouse is left out, with the reason, where `chdb`
    is not installed.

    Raises:
        DatabaseError: the run's own PostgreSQL failed.
        LakeError: the run's own lake failed.
    """
    clock = clock or SystemClock()
    with _folder(settings) as folder, ExitStack() as stack:
        ingest_rows = min(rows, INGEST_ROWS)
        ingest = _ingest(folder, ingest_rows, seed)
        own = own_settings(settings, folder / "h")
        services = stack.enter_context(open_services(own))
        if services.lake is None:
            raise services.lake_error or RuntimeError("the lake is off")
        draw = Run(rows=rows, seed=seed)
        loads = _load(draw, services, services.lake, clock)
        sorted_file = folder / "sorted.parquet"
        engines.write_sorted(services.lake, sorted_file)
        asked = stack.enter_context(Cases.open(own, services, services.lake, folder, sorted_file))
        results = [measure(case, repeat, REFERENCE, clock) for case in asked.all()]
        report = BenchReport(
            rows=rows,
            seed=seed,
            repeat=repeat,
            date=clock.now(),
            command=f"chronolake bench run --rows {rows} --repeat {repeat}",
            environment=environment.describe(),
            settings={line.variable: line.value for line in show(own) if line.variable in TOLD},
            domain=asked.domain,
            domain_captures=asked.domain_captures,
            ingest_rows=ingest_rows,
            ingest=ingest,
            loads=loads,
            sizes=_sizes(services.database, services.lake, sorted_file),
            cases=tuple(results),
            targets=_targets(results, rows),
            clickhouse=asked.clickhouse_missing,
            peak_memory_bytes=generator.peak_memory_bytes(),
        )
    _write(report, out)
    return report


def own_settings(settings: Settings, home: Path) -> Settings:
    """The settings in force, for a home, a server and a lake of the run's own."""
    kept = {
        line.variable: line.value
        for line in show(settings)
        if line.variable in TOLD and line.variable in settings.origins
    }
    scratch = home / "duckdb" / "bench.db"
    return load(kept, CHRONOLAKE_HOME=str(home), DUCKDB_DATABASE_PATH=str(scratch))


@contextmanager
def _folder(settings: Settings) -> Iterator[Path]:
    """A folder of this run, gone when it ends."""
    folder = settings.home.root / f"bench-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ingest(folder: Path, rows: int, seed: int) -> IngestMeasure:
    archive = folder / "sample.cdx.gz"
    generator.write("cdx", rows, archive, seed=seed)
    try:
        return ingesting.measure(archive, folder)
    finally:
        archive.unlink()


def _load(draw: Run, services: Services, lake: Lake, clock: Clock) -> Loads:
    names = stores.Names.reserve(draw, services.database)
    started = clock.monotonic()
    stores.fill_lake(draw, names, lake)
    between = clock.monotonic()
    stores.fill_postgres(draw, names, services.database)
    filled = clock.monotonic()
    merged = stores.compact(lake)
    return Loads(
        lake_s=between - started,
        postgres_s=filled - between,
        compaction_s=clock.monotonic() - filled,
        compaction_files=sum(one.files_in for one in merged),
        compaction_swap_s=max((one.swap_s for one in merged), default=0.0),
    )


def _sizes(database: Database, lake: Lake, sorted_file: Path) -> Sizes:
    held = next(table for table in lake.info().tables if table.name == CDX_RECORDS.name)
    with database.connection() as conn:
        row = conn.execute(
            "SELECT pg_total_relation_size('cdx_records'), pg_table_size('cdx_records')"
        ).fetchone()
    total, table = row or (0, 0)
    return Sizes(
        lake_bytes=held.bytes,
        lake_files=held.files,
        postgres_bytes=total,
        postgres_table_bytes=table,
        sorted_file_bytes=sorted_file.stat().st_size,
    )


def _targets(cases: Sequence[CaseResult], rows: int) -> tuple[Target, ...]:
    measured = {case.name: case for case in cases}
    return tuple(
        Target(
            name=target.name,
            case=target.case,
            engine=target.engine,
            limit_s=target.limit_s,
            plan_rows=target.rows,
            rows=rows,
            median_s=timing.median_s if (timing := measured[target.case].of(target.engine)) else None,
        )
        for target in TARGETS
    )


def _write(report: BenchReport, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    stem = f"benchmark-{report.rows}"
    (out / f"{stem}.md").write_text(report.markdown(), encoding="utf-8")
    text = json.dumps(report.document(), indent=2, ensure_ascii=False)
    (out / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
