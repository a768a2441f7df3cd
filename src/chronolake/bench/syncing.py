"""Measure the sync on a lake of a given size: how fast it catches up, and how soon a commit is seen.

Captures are generated straight into the PostgreSQL of a home of the run's own. For the steady part the worker runs in
a process of its own, as in production.
"""

import os
import shutil
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psycopg

from chronolake.bench import stores
from chronolake.bench import sync_trials as trials
from chronolake.bench.captures import Run
from chronolake.bench.plain_report import write
from chronolake.bench.runner import own_settings
from chronolake.bench.scale import HUGE_ROWS, IDLE_S
from chronolake.bench.sync_trials import Trials
from chronolake.bench.tables import tables_of
from chronolake.errors import LakeUnavailable
from chronolake.lake import Lake
from chronolake.lsn import parse_lsn
from chronolake.oltp import Database
from chronolake.services import Services, open_services
from chronolake.settings import Settings
from chronolake.sync import DataSyncService

#: Rows inserted for the catch-up, and changes of the mixed one, 60 : 30 : 10 inserts, updates and deletes.
CATCH_UP_ROWS = 1_000_000
MIXED_CHANGES = 200_000
_MIXED = (600, 300, 100)
#: Updates of scattered keys, so many a transaction and transactions a second, for so long.
STEADY_UPDATES, STEADY_PER_S, STEADY_S = 100, 10, 60
#: Seconds between two looks at how far the lake is: the error of each time.
WATCH_S = 0.005
#: Seconds of the steady part that are not counted, while the worker starts.
WARM_UP_S = 10


@dataclass(frozen=True)
class SyncMeasures:
    """What came out; rates are of rows or changes a second until all of them are in the lake.

    `trials` is null where they were left out.
    """

    rows: int
    copy_rows_per_s: int
    catch_up_rows: int
    catch_up_rows_per_s: int
    mixed_changes: int
    mixed_changes_per_s: int
    steady_changes_per_s: int
    visible_p50_ms: float
    visible_p99_ms: float
    visible_max_ms: float
    worker_peak_mb: float
    trials: Trials | None
    lake_rows: int
    postgres_rows: int


def run(
    *,
    rows: int,
    out: Path,
    settings: Settings,
    catch_up: int = CATCH_UP_ROWS,
    huge_rows: int = HUGE_ROWS,
    idle_s: float = IDLE_S,
    trying: bool = True,
) -> SyncMeasures:
    """Measure on a lake of `rows` captures; write `sync-<rows>.md` and `.json` into `out`.

    With `trying`, differences, kills, one huge transaction of `huge_rows` and idleness are tried too; the slot is
    watched for `idle_s` while nothing comes.

    Raises:
        ChronolakeError: the run's own PostgreSQL or lake failed.
    """
    folder = settings.home.root / f"bench-sync-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        own = own_settings(settings, folder / "h")
        with open_services(own) as services:
            if services.sync is None or services.lake is None:
                raise services.lake_error or LakeUnavailable("the lake is off")
            measures = _measure(
                rows,
                catch_up,
                own,
                services,
                lake=services.lake,
                sync=services.sync,
                huge_rows=huge_rows,
                idle_s=idle_s,
                trying=trying,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    command = f"chronolake bench sync --rows {rows}{'' if trying else ' --no-trials'}"
    write(out / f"sync-{rows}", f"The sync on {rows:,} captures", command, asdict(measures))
    return measures


def _measure(
    rows: int,
    catch_up: int,
    own: Settings,
    services: Services,
    *,
    lake: Lake,
    sync: DataSyncService,
    huge_rows: int,
    idle_s: float,
    trying: bool,
) -> SyncMeasures:
    database = services.database
    _insert(database, rows, seed=1)
    # A lake that never followed is given a copy of what is there.
    copied_s = _timed(sync)
    _insert(database, catch_up, seed=2)
    caught_up_s = _timed(sync)
    # As the lake's own upkeep would have done by the time that rows are changed.
    stores.compact(lake)
    changes = min(MIXED_CHANGES, catch_up)
    _mixed(database, changes)
    mixed_s = _timed(sync)
    stores.compact(lake)
    with trials.command(own, "sync", "run") as process:
        seen, rate = _steady(database)
        peak = trials.peak_mb(process.pid)
    sync.reach()
    tried = None
    if trying:
        tried = trials.run(own, database, lake=lake, sync=sync, idle_s=idle_s, huge_rows=huge_rows)
    with database.connection() as conn:
        held = conn.execute("SELECT count(*) FROM cdx_records").fetchone()
    return SyncMeasures(
        rows=rows,
        copy_rows_per_s=round(rows / copied_s),
        catch_up_rows=catch_up,
        catch_up_rows_per_s=round(catch_up / caught_up_s),
        mixed_changes=changes,
        mixed_changes_per_s=round(changes / mixed_s),
        steady_changes_per_s=round(rate),
        visible_p50_ms=round(float(np.percentile(seen, 50)), 1),
        visible_p99_ms=round(float(np.percentile(seen, 99)), 1),
        visible_max_ms=round(float(np.max(seen)), 1),
        worker_peak_mb=peak,
        trials=tried,
        lake_rows=stores.held(lake).rows,
        postgres_rows=held[0] if held else 0,
    )


def _insert(database: Database, rows: int, *, seed: int) -> None:
    draw = Run(rows=rows, seed=seed)
    stores.fill_postgres(draw, stores.Names.reserve(draw, database), database)


def _timed(sync: DataSyncService) -> float:
    started = time.monotonic()
    sync.reach()
    return time.monotonic() - started


def _keys(database: Database, count: int) -> list[str]:
    """Ids of captures from all over the table, in no order, each once."""
    with database.connection() as conn:
        held = conn.execute("SELECT reltuples FROM pg_class WHERE oid = 'cdx_records'::regclass").fetchone()
        percent = min(100.0, 300.0 * count / max(1.0, held[0] if held else 1.0))
        found = conn.execute(
            "SELECT id::text FROM cdx_records TABLESAMPLE BERNOULLI (%s) ORDER BY random() LIMIT %s",
            [percent, count],
        )
        return [row[0] for row in found]


def _mixed(database: Database, changes: int) -> None:
    """Inserts, updates and deletes of scattered keys, a thousand changes a transaction."""
    inserts, updates, deletes = _MIXED
    transactions = changes // sum(_MIXED)
    draw = Run(rows=inserts * transactions, seed=3)
    names = stores.Names.reserve(draw, database)
    keys = iter(_keys(database, (updates + deletes) * transactions))
    for table in tables_of(draw, names.project_ids, names.batch_ids):
        for first in range(0, table.num_rows, inserts):
            with database.connection() as conn:
                stores.copy_rows(conn, table.slice(first, inserts))
                _update(conn, [key for key, _ in zip(keys, range(updates), strict=False)])
                doomed = [key for key, _ in zip(keys, range(deletes), strict=False)]
                conn.execute("DELETE FROM cdx_records WHERE id = ANY(%s::uuid[])", [doomed])


def _update(conn: psycopg.Connection, keys: list[str]) -> None:
    conn.execute(
        "UPDATE cdx_records SET content_length = coalesce(content_length, 0) + 1 WHERE id = ANY(%s::uuid[])",
        [keys],
    )


def _steady(database: Database) -> tuple[list[float], float]:
    """Milliseconds from each commit until the lake shows it, and the changes a second that were made."""
    transactions = STEADY_PER_S * (STEADY_S + WARM_UP_S)
    keys = _keys(database, STEADY_UPDATES * transactions)
    committed: list[tuple[int, float]] = []
    shown: list[tuple[int, float]] = []
    stopped = threading.Event()
    watcher = threading.Thread(target=_watch, args=(database, shown, stopped))
    watcher.start()
    started = time.monotonic()
    for number in range(transactions):
        due = started + number / STEADY_PER_S
        time.sleep(max(0.0, due - time.monotonic()))
        with database.connection() as conn:
            _update(conn, keys[number * STEADY_UPDATES : (number + 1) * STEADY_UPDATES])
        with database.connection() as conn:
            row = conn.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        committed.append((parse_lsn(str(row[0]) if row else "0/0"), time.monotonic()))
    made_s = time.monotonic() - started
    last = committed[-1][0]
    while not shown or shown[-1][0] < last:
        time.sleep(0.05)
    stopped.set()
    watcher.join()
    lsns = np.array([lsn for lsn, _ in shown])
    times = np.array([at for _, at in shown])
    counted = committed[STEADY_PER_S * WARM_UP_S :]
    waits = [float(1000 * (times[np.searchsorted(lsns, lsn)] - at)) for lsn, at in counted]
    return [max(0.0, wait) for wait in waits], STEADY_UPDATES * transactions / made_s


def _watch(database: Database, shown: list[tuple[int, float]], stopped: threading.Event) -> None:
    """Note when the lake's checkpoint came to which LSN."""
    with psycopg.connect(database.url, autocommit=True) as conn:
        while not stopped.is_set():
            row = conn.execute("SELECT lsn::text FROM chronolake_lake.chronolake_checkpoint").fetchone()
            lsn = parse_lsn(row[0]) if row else 0
            if not shown or lsn > shown[-1][0]:
                shown.append((lsn, time.monotonic()))
            time.sleep(WATCH_S)
