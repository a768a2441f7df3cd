"""Run the benchmark: fill a home of its own, ask every engine, write down what came out.

Nothing of the user's is touched: stores, files and servers live in a folder of this run within the home, and
go when it ends. A DATABASE_URL is not used, as generated captures have no place in a real database.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from chronolake.bench import engines, environment, generator, ingesting, stores
from chronolake.bench.captures import Run
from chronolake.bench.cases import REFERENCE, Cases
from chronolake.bench.report import BenchReport, IngestMeasure, Loads, Sizes
from chronolake.bench.targets import BYTES_PER_CAPTURE, TARGETS, PlanTarget, measure_all, not_measured
from chronolake.bench.timing import measure
from chronolake.clock import Clock, SystemClock
from chronolake.errors import StorageFull
from chronolake.lake import Lake
from chronolake.oltp import Database
from chronolake.services import Services, open_services
from chronolake.settings import Settings, load, show

SEED = 1
#: Lines that the ingest is measured on, at most: its rate does not grow with the file.
INGEST_ROWS = 1_000_000
#: What a capture takes in PostgreSQL with its indexes, the lake, the sorted file, ClickHouse and their exports.
BYTES_PER_ROW = 1500
#: Settings that tell how the measured engines were set; the rest says nothing about speed.
TOLD = ("DUCKDB_MEMORY_LIMIT", "DUCKDB_WORKER_THREADS", "PARQUET_COMPRESSION", "PARQUET_ROW_GROUP_SIZE",
    "CHRONOLAKE_LAKE_LAYOUT", "CHRONOLAKE_INGEST_BATCH_ROWS")  # fmt: skip


def run(
    *,
    rows: int,
    out: Path,
    repeat: int,
    settings: Settings,
    targets_up_to: int | None = None,
    plan: Sequence[PlanTarget] = TARGETS,
    seed: int = SEED,
    clock: Clock | None = None,
) -> BenchReport:
    """Measure on `rows` captures, and write `benchmark-<rows>.md` and `.json` into `out`.

    Each question runs `repeat` times on each engine. ClickHouse is left out, with the reason, where `chdb`
    is not installed. Then the targets of `plan` run, each at its own scale where `targets_up_to` allows it;
    None leaves them out.

    Raises:
        StorageFull: there is not the room that this will take; nothing was begun.
        DatabaseError: the run's own PostgreSQL failed.
        LakeError: the run's own lake failed.
    """
    clock = clock or SystemClock()
    _check_room(settings, rows, targets_up_to, plan)
    command = f"chronolake bench run --rows {rows} --repeat {repeat}"
    if targets_up_to is None:
        report = _compare(rows, repeat, settings, seed, clock, command=f"{command} --no-targets")
        targets = tuple(not_measured(target, "--no-targets") for target in plan)
    else:
        command = f"{command} --targets-up-to {targets_up_to}"
        report = _compare(rows, repeat, settings, seed, clock, command=command)
        # Only now, when the comparison's stores have gone: the two need not lie on the disk together.
        with _opened(settings) as (folder, services, lake):
            targets = measure_all(
                services,
                lake,
                plan=plan,
                up_to=targets_up_to,
                repeat=repeat,
                seed=seed,
                folder=folder,
                clock=clock,
            )
    report = replace(report, targets=targets)
    _write(report, out)
    return report


def _compare(
    rows: int, repeat: int, settings: Settings, seed: int, clock: Clock, *, command: str
) -> BenchReport:
    """Everything but the targets: the ingest, and every engine over the same captures."""
    ingest_rows = min(rows, INGEST_ROWS)
    with _folder(settings) as folder:
        ingest = _ingest(folder, ingest_rows, seed)
    with _opened(settings) as (folder, services, lake):
        draw = Run(rows=rows, seed=seed)
        loads = _load(draw, services, lake, clock)
        sorted_file = folder / "sorted.parquet"
        engines.write_sorted(lake, sorted_file)
        with Cases.open(services.settings, services, lake, folder, sorted_file) as asked:
            results = [measure(case, repeat, REFERENCE, clock) for case in asked.all()]
        told = show(services.settings)
        return BenchReport(
            rows=rows,
            seed=seed,
            repeat=repeat,
            date=clock.now(),
            command=command,
            environment=environment.describe(),
            settings={line.variable: line.value for line in told if line.variable in TOLD},
            domain=asked.domain,
            domain_captures=asked.domain_captures,
            ingest_rows=ingest_rows,
            ingest=ingest,
            loads=loads,
            sizes=_sizes(services.database, lake, sorted_file),
            cases=tuple(results),
            targets=(),
            clickhouse=asked.clickhouse_missing,
            peak_memory_bytes=generator.peak_memory_bytes(),
        )


def own_settings(settings: Settings, home: Path, **variables: object) -> Settings:
    """The settings in force, for a home, a server and a lake of the run's own; `variables` are set beside."""
    kept = {
        line.variable: line.value
        for line in show(settings)
        if line.variable in TOLD and line.variable in settings.origins
    }
    scratch = home / "duckdb" / "bench.db"
    return load(kept, CHRONOLAKE_HOME=str(home), DUCKDB_DATABASE_PATH=str(scratch), **variables)


def _check_room(settings: Settings, rows: int, targets_up_to: int | None, plan: Sequence[PlanTarget]) -> None:
    reached = max((target.rows for target in plan if target.rows <= (targets_up_to or 0)), default=0)
    need = max(rows * BYTES_PER_ROW, reached * BYTES_PER_CAPTURE)
    settings.home.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home.root).free
    if free < need:
        raise StorageFull(
            f"the benchmark will take about {need / 1e9:.1f} GB in {settings.home.root}, of which"
            f" {free / 1e9:.1f} GB are free",
            hint="Ask for fewer --rows or a smaller --targets-up-to, or set CHRONOLAKE_HOME to another disk.",
        )


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Path, Services, Lake]]:
    """A folder of this run, and in it stores of its own with a lake."""
    with _folder(settings) as folder, open_services(own_settings(settings, folder / "h")) as services:
        if services.lake is None:
            raise services.lake_error or RuntimeError("the lake is off")
        yield folder, services, services.lake


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
    held = stores.held(lake)
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


def _write(report: BenchReport, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    stem = f"benchmark-{report.rows}"
    (out / f"{stem}.md").write_text(report.markdown(), encoding="utf-8")
    text = json.dumps(report.document(), indent=2, ensure_ascii=False)
    (out / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
