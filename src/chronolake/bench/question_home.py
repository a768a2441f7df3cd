"""The home that the questions are measured in: PostgreSQL, its lake and one sorted file, all with the same rows.

Captures are generated into PostgreSQL, and the lake is given its copy by the sync, as every lake that begins is: so
that both hold every table, and the lake knows how far it is. A home may be kept for another run: that run puts back
what the one before changed, and refuses a home that was not filled with the same.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from chronolake.bench import engines, stores
from chronolake.bench.captures import Run
from chronolake.capture.columns import CDX_RECORDS
from chronolake.clock import Clock
from chronolake.errors import InputError, LakeUnavailable
from chronolake.lake import Lake
from chronolake.oltp import Database
from chronolake.services import Services
from chronolake.sync import DataSyncService

#: What the home's captures come with, so that no question of the catalogue finds an empty table: the statement's
#: name, then what it fills.
FILLED_WITH = {
    "fill_sessions": "scrape_sessions",
    "fill_attempts": "archive_request_attempts",
    "fill_pages": "pages",
    "fill_metrics": "metric_samples",
    "fill_searches": "search_history",
}
#: Project of the captures that are ingested while the questions are asked.
INGEST_PROJECT = "generated-meanwhile"
#: Tells, in the home's folder, what the home was filled with; absent until it was filled whole.
MARKER = "questions.json"
#: Domains that are told, the largest first.
DOMAINS = 1000
_ANOTHER = "Remove the folder, or name another --home."


@dataclass(frozen=True)
class Filled:
    """Seconds that each part of filling took; null where an earlier run had filled the home."""

    postgres_s: float | None
    lake_s: float | None
    compaction_s: float
    sorted_file_s: float | None


@dataclass(frozen=True)
class QuestionHome:
    """A home that is filled and open. `domains` are its largest, each with its captures."""

    services: Services
    lake: Lake
    folder: Path
    sorted_file: Path
    domains: tuple[tuple[str, int], ...]
    filled: Filled


def ready(services: Services, folder: Path, *, rows: int, seed: int, clock: Clock) -> QuestionHome:
    """Fill the home of `services` with `rows` captures, or take one that was filled with these.

    Raises:
        InputError: the home holds something else.
        ChronolakeError: PostgreSQL or the lake failed.
    """
    lake, sync = services.lake, services.sync
    if lake is None or sync is None:
        raise services.lake_error or LakeUnavailable("the lake is off")
    database = services.database
    marker, sorted_file = folder / MARKER, folder / "sorted.parquet"
    holds = {"rows": rows, "seed": seed}
    postgres_s = lake_s = sorted_file_s = None
    began = clock.monotonic()
    if marker.exists():
        _check_marker(marker, holds)
        _put_back(services, sync)
    elif _captures(database):
        raise InputError(f"{folder} has captures, and no run of this benchmark left it whole", hint=_ANOTHER)
    else:
        _fill_postgres(database, Run(rows=rows, seed=seed))
        postgres_s = clock.monotonic() - began
    copying = clock.monotonic()
    # A lake that never followed is given a copy of what is there.
    sync.reach()
    lake_s = clock.monotonic() - copying if postgres_s is not None else None
    merging = clock.monotonic()
    stores.compact(lake)
    compaction_s = clock.monotonic() - merging
    held = (_captures(database), stores.held(lake).rows)
    if held != (rows, rows):
        raise InputError(
            f"{folder} holds {held[0]} captures in PostgreSQL and {held[1]} in the lake, not {rows}",
            hint=_ANOTHER,
        )
    if not marker.exists():
        writing = clock.monotonic()
        engines.write_sorted(lake, sorted_file)
        sorted_file_s = clock.monotonic() - writing
        marker.write_text(json.dumps(holds), encoding="utf-8")
    filled = Filled(postgres_s, lake_s, compaction_s, sorted_file_s)
    return QuestionHome(services, lake, folder, sorted_file, _domains(lake), filled)


def _check_marker(marker: Path, holds: dict[str, int]) -> None:
    told = json.loads(marker.read_text(encoding="utf-8"))
    if told != holds:
        raise InputError(
            f"{marker.parent} was filled with {told['rows']} captures of seed {told['seed']},"
            f" not {holds['rows']} of {holds['seed']}",
            hint="Ask for those, or name another --home.",
        )


def _fill_postgres(database: Database, draw: Run) -> None:
    stores.fill_postgres(draw, stores.Names.reserve(draw, database), database)
    folder = files("chronolake.bench") / "sql"
    with database.connection() as conn:
        for name in FILLED_WITH:
            conn.execute((folder / f"{name}.sql").read_bytes())
    _vacuum(database, list(FILLED_WITH.values()))


def _vacuum(database: Database, tables: Sequence[str]) -> None:
    with database.connection() as conn:
        conn.commit()
        conn.autocommit = True
        try:
            conn.execute(f"VACUUM (ANALYZE) {', '.join(tables)}".encode())
        finally:
            conn.autocommit = False


def _put_back(services: Services, sync: DataSyncService) -> None:
    """Make the home what it was when it was filled: an earlier run ingested, made rollups, and changed the lake."""
    with services.database.connection() as conn:
        conn.execute(
            "DELETE FROM cdx_records WHERE project_id = (SELECT id FROM projects WHERE name = %s)",
            [INGEST_PROJECT],
        )
    _vacuum(services.database, [CDX_RECORDS.postgres_table])
    for state in services.optimizer.rollups():
        services.optimizer.drop(state.rollup.name)
    # Copied anew, not repaired: else its files had rows that are deleted, and no export could take them as they are.
    sync.backfill([CDX_RECORDS.name])


def _captures(database: Database) -> int:
    with database.connection() as conn:
        row = conn.execute("SELECT count(*) FROM cdx_records").fetchone()
    return int(row[0]) if row else 0


def _domains(lake: Lake) -> tuple[tuple[str, int], ...]:
    with lake.errors_translated(), lake.cursor() as cursor:
        found = cursor.execute(
            f"SELECT domain, count(*) AS captures FROM {CDX_RECORDS.name} GROUP BY domain"
            f" ORDER BY captures DESC, domain LIMIT {DOMAINS}"
        ).fetchall()
    return tuple((str(name), int(captures)) for name, captures in found)
