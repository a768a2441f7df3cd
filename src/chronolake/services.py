"""The one place where parts are joined: what opens together closes together, in reverse."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from chronolake.duckdb_service import DuckDBService
from chronolake.errors import LakeError, LakeIncomplete, LakeMissing
from chronolake.ingest import CollectDesk, Collector, Extraction, ParquetPipeline
from chronolake.jobs import CollectQueue, JobService, Schedules
from chronolake.lake import Lake, LakeMaintenance, RollupUpkeep
from chronolake.loop import Loop
from chronolake.oltp import Database, MetricSampler, searches
from chronolake.query import HybridQueryRouter, OptimizerTending, QueryOptimizer
from chronolake.query.export import Exporter
from chronolake.settings import OptimizerMode, Settings
from chronolake.sync import DataSyncService
from chronolake.telemetry import logs, metrics

#: A rollup that no answer was read from for so long is refreshed seldom, where that takes long.
READ_OF_LATE = timedelta(minutes=10)

_log = logs.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Everything that a door needs to answer. `lake` is null where it is off or cannot be used.

    `lake_error` says why it cannot.
    """

    settings: Settings
    database: Database
    lake: Lake | None
    lake_error: LakeError | None
    router: HybridQueryRouter
    exporter: Exporter


@dataclass(frozen=True, kw_only=True)
class Services(Reading):
    """That, and everything that writes.

    `loops` is background work for a door that stays open: it has them step by `loop.running`.
    """

    sync: DataSyncService | None
    pipeline: ParquetPipeline
    collector: Collector
    extraction: Extraction
    duckdb: DuckDBService
    optimizer: QueryOptimizer
    jobs: JobService
    loops: tuple[Loop, ...]


@contextmanager
def open_reading(settings: Settings) -> Iterator[Reading]:
    """Open PostgreSQL and the lake to answer from: no lake is made or changed, and no lock of a writer awaited.

    Raises:
        DatabaseError: as `open_services`.
    """
    with ExitStack() as stack:
        database, lake, error = _stores(stack, settings, read_only=True)
        if lake is not None and lake.stream_checkpoint() is None:
            lake, error = None, LakeIncomplete("the lake has not followed PostgreSQL yet")
        yield Reading(
            settings=settings,
            database=database,
            lake=lake,
            lake_error=error,
            router=_router(stack, settings, database, lake, error),
            exporter=Exporter(database=database, lake=lake, settings=settings, lake_error=error),
        )


@contextmanager
def open_queue(settings: Settings) -> Iterator[CollectQueue]:
    """Open PostgreSQL alone, to ask for sessions and to see how they stand.

    Raises:
        DatabaseError: as `open_services`.
    """
    with Database.open(settings) as database:
        yield CollectQueue(database=database, desk=CollectDesk(database=database, settings=settings))


@contextmanager
def open_schedules(settings: Settings) -> Iterator[Schedules]:
    """Open PostgreSQL alone, to make schedules and to see which there are.

    Raises:
        DatabaseError: as `open_services`.
    """
    with Database.open(settings) as database:
        desk = CollectDesk(database=database, settings=settings)
        yield Schedules(database=database, queue=CollectQueue(database=database, desk=desk))


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Open PostgreSQL (starting the embedded server where none is given), the lake and what works on them.

    A lake that cannot be opened is no reason to refuse: PostgreSQL is the truth and answers alone.

    Raises:
        DatabaseError: PostgreSQL cannot be reached, is misconfigured, or cannot be migrated.
    """
    # Arrow's own pool gives memory back to the system and gets it anew for each batch; the C library's keeps it.
    pa.set_memory_pool(pa.system_memory_pool())
    with ExitStack() as stack:
        database, lake, error = _stores(stack, settings, read_only=False)
        sync = DataSyncService(database=database, lake=lake, settings=settings) if lake else None
        pipeline = ParquetPipeline(database=database, follower=sync, settings=settings)
        router = _router(stack, settings, database, lake, error)
        optimizer = QueryOptimizer(database=database, lake=lake, settings=settings)
        exporter = Exporter(database=database, lake=lake, settings=settings, lake_error=error)
        yield Services(
            settings=settings,
            database=database,
            lake=lake,
            lake_error=error,
            sync=sync,
            pipeline=pipeline,
            collector=Collector(database=database, pipeline=pipeline, settings=settings),
            extraction=Extraction(database=database, follower=sync, settings=settings),
            router=router,
            exporter=exporter,
            duckdb=DuckDBService(pipeline=pipeline, router=router),
            optimizer=optimizer,
            jobs=JobService(database=database, pipeline=pipeline, exporter=exporter, settings=settings),
            loops=_loops(database, sync, lake, optimizer, settings),
        )


def _stores(
    stack: ExitStack, settings: Settings, *, read_only: bool
) -> tuple[Database, Lake | None, LakeError | None]:
    database = stack.enter_context(Database.open(settings))
    if not settings.query.analytics_enabled:
        return database, None, None
    try:
        return database, stack.enter_context(Lake.open(settings, database.url, read_only=read_only)), None
    except LakeMissing as error:
        # A newcomer's first question: the answer says so, and nothing is wrong.
        return database, None, error
    except LakeError as error:
        _log.warning("lake.unavailable", error=error.message, hint=error.hint)
        return database, None, error


def _router(
    stack: ExitStack, settings: Settings, database: Database, lake: Lake | None, error: LakeError | None
) -> HybridQueryRouter:
    return stack.enter_context(
        HybridQueryRouter(database=database, lake=lake, settings=settings, lake_error=error)
    )


def _rollups_read(database: Database) -> set[str]:
    """The rollups that answers were read from in the last minutes, in whatever process."""
    with database.connection() as conn:
        return searches.rollups_read(conn, datetime.now(UTC).replace(tzinfo=None) - READ_OF_LATE)


def _loops(
    database: Database,
    sync: DataSyncService | None,
    lake: Lake | None,
    optimizer: QueryOptimizer,
    settings: Settings,
) -> tuple[Loop, ...]:
    loops: list[Loop] = list(sync.loops) if sync else []
    if sync is not None and lake is not None and lake.is_local:
        loops += [
            LakeMaintenance(lake=lake, settings=settings),
            RollupUpkeep(lake=lake, settings=settings, read=lambda: _rollups_read(database)),
        ]
    if settings.optimizer.mode is OptimizerMode.AUTO and (lake is None or lake.is_local):
        loops.append(OptimizerTending(optimizer=optimizer))
    if settings.log.sample_interval_s:
        loops.append(MetricSampler(database=database, settings=settings, registry=metrics.REGISTRY))
    return tuple(loops)
