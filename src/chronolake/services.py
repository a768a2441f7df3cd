"""The one place where parts are joined: what opens together closes together, in reverse."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pyarrow as pa

from chronolake.duckdb_service import DuckDBService
from chronolake.errors import LakeError
from chronolake.ingest import Committer, LedgerCarrier, ParquetPipeline
from chronolake.lake import Lake
from chronolake.loop import Loop
from chronolake.oltp import Database
from chronolake.query import HybridQueryRouter
from chronolake.settings import Settings
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class Services:
    """Everything a door needs. `lake` is null where it is off or out of reach; `lake_error` says why.

    `loops` is background work for a door that stays open: it has them step by `loop.running`.
    """

    settings: Settings
    database: Database
    lake: Lake | None
    lake_error: LakeError | None
    committer: Committer | None
    pipeline: ParquetPipeline
    router: HybridQueryRouter
    duckdb: DuckDBService
    loops: tuple[Loop, ...]


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
        database = stack.enter_context(Database.open(settings))
        lake: Lake | None = None
        lake_error: LakeError | None = None
        if settings.query.analytics_enabled:
            try:
                lake = stack.enter_context(Lake.open(settings, database.url))
            except LakeError as error:
                _log.warning("lake.unavailable", error=error.message, hint=error.hint)
                lake_error = error
        committer = Committer(database=database, lake=lake, settings=settings) if lake else None
        if committer is not None:
            committer.recover()
        pipeline = ParquetPipeline(database=database, committer=committer, settings=settings)
        router = stack.enter_context(HybridQueryRouter(database=database, lake=lake, settings=settings))
        yield Services(
            settings=settings,
            database=database,
            lake=lake,
            lake_error=lake_error,
            committer=committer,
            pipeline=pipeline,
            router=router,
            duckdb=DuckDBService(pipeline=pipeline, router=router),
            loops=_loops(committer, settings),
        )


def _loops(committer: Committer | None, settings: Settings) -> tuple[Loop, ...]:
    if committer is None:
        return ()
    return (LedgerCarrier(committer=committer, interval_s=settings.sync.interval_s),)
