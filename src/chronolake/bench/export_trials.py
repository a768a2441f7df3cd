"""All captures out of the lake as Parquet and CSV, beside what DuckDB and PostgreSQL take for the same by COPY.

Each writes every capture with all its columns, in turns, to a path that is removed before; what was written before is
on the disk, so that its writing is not counted.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from chronolake.bench.engines import DuckDBFile
from chronolake.bench.timing import Case, CaseResult, Fingerprint, measure
from chronolake.capture.columns import CDX_RECORDS
from chronolake.clock import Clock
from chronolake.lake.engine import Engine as DuckDBEngine
from chronolake.lake.engine import quoted
from chronolake.oltp import Database
from chronolake.query import Scope
from chronolake.query.export import NAME, Format
from chronolake.services import Reading

#: Timed runs of each; an export takes seconds.
RUNS = 3
OURS, BARE, POSTGRES = "exporter", "duckdb_file", "postgres"
#: As the exporter writes them.
_CSV = "FORMAT csv, HEADER true, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ'"


def run(
    services: Reading, folder: Path, *, bare: DuckDBEngine, file: DuckDBFile, clock: Clock
) -> tuple[CaseResult, CaseResult]:
    """The Parquet and the CSV export, by us and by the others.

    PostgreSQL writes no Parquet: its COPY to CSV stands in both, for it is how captures leave it.

    Raises:
        ChronolakeError: the lake or PostgreSQL failed.
    """
    folder.mkdir()

    def ours(path: Path, format_: Format) -> int:
        done = services.exporter.export(NAME, {}, scope=Scope.everything(), path=path, format_=format_)
        return done.rows

    def bare_parquet(path: Path) -> int:
        file.export(path)
        return int(pq.read_metadata(path).num_rows)

    def bare_csv(path: Path) -> int:
        with bare.cursor() as cursor:
            row = cursor.execute(f"COPY (FROM cdx_records) TO {quoted(str(path))} ({_CSV})").fetchone()
        return int(row[0]) if row else 0

    def postgres(path: Path) -> int:
        return _copied(services.database, path)

    def written(name: str, write: Callable[[Path], int]) -> Callable[[], Fingerprint]:
        return lambda: (write(folder / name),)

    parquet = Case(
        "export_parquet",
        "export of all captures, Parquet",
        {
            # A folder: the lake's own files as they are.
            OURS: written("ours", lambda path: ours(path, Format.PARQUET)),
            BARE: written("bare.parquet", bare_parquet),
            POSTGRES: written("postgres.csv", postgres),
        },
    )
    csv = Case(
        "export_csv",
        "export of all captures, CSV",
        {
            OURS: written("ours.csv", lambda path: ours(path, Format.CSV)),
            BARE: written("bare.csv", bare_csv),
            POSTGRES: written("postgres.csv", postgres),
        },
    )
    results = [measure(case, RUNS, POSTGRES, clock, before=lambda: _clear(folder)) for case in (parquet, csv)]
    shutil.rmtree(folder)
    return results[0], results[1]


def _clear(folder: Path) -> None:
    """Put the disk at rest: nothing of the run before is there, nor on its way to it."""
    shutil.rmtree(folder)
    folder.mkdir()
    os.sync()


def _copied(database: Database, path: Path) -> int:
    names = ", ".join(f'"{column.name}"' for column in CDX_RECORDS.stored)
    statement = f"COPY cdx_records ({names}) TO STDOUT (FORMAT csv, HEADER)".encode()
    with path.open("wb") as sink, database.connection() as conn, conn.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in copy:
                sink.write(block)
        return cursor.rowcount
