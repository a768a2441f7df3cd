"""The engines that are measured, all with one face: answer a question, export everything to Parquet.

Each answers in this process or, PostgreSQL, in its server beside it. `Router` is our code whole: parameters
checked, route chosen, answer typed. `LakeSql` is the reading below it, with the statement that the bare engine
runs too, so that their difference is what the lake's catalog and its many files cost.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import duckdb
import sqlglot
from psycopg.rows import dict_row

from chronolake.bench.questions import BenchQuestion
from chronolake.capture.columns import CDX_RECORDS, TABLES, Column
from chronolake.lake import Lake
from chronolake.lake.engine import Engine as DuckDBEngine
from chronolake.lake.engine import identifier, quoted
from chronolake.oltp import Database
from chronolake.query import HybridQueryRouter, Scope
from chronolake.query.engines import run_scanned
from chronolake.query.freshness import Freshness
from chronolake.query.scanned import Scanned, of_tree
from chronolake.settings import Settings

Rows = list[dict[str, Any]]

#: What both ClickHouse and DuckDB write exports with, as the lake does.
_EXPORT = "FORMAT parquet, COMPRESSION zstd"
#: Seconds after which one question is given up.
_TIMEOUT_S = 600.0
_CLICKHOUSE_TYPES = {
    "uuid": "UUID",
    "text": "String",
    "integer": "Int32",
    "bigint": "Int64",
    "boolean": "Bool",
    "timestamp without time zone": "DateTime64(6, 'UTC')",
    "bytea": "String",
}
#: Columns of few different values, which ClickHouse's own advice is to declare so.
_FEW_VALUES = frozenset({"archive_source", "mime_type", "record_type", "tld", "digest_algorithm"})


class Engine(Protocol):
    """One engine with the captures loaded."""

    name: str

    def answer(self, question: BenchQuestion, parameters: Mapping[str, str]) -> Rows:
        """The question's rows, fetched to the last."""
        ...

    def export(self, path: Path) -> None:
        """Write every capture with all its columns to one Parquet file (zstd)."""
        ...


class Postgres:
    """Our tables with their indexes, by our pool. DuckDB writes its exports, as it knows no Parquet."""

    name = "postgres"

    def __init__(self, database: Database, bare: DuckDBEngine) -> None:
        self._database = database
        self._bare = bare
        with database.connection() as conn:
            row = conn.execute("SELECT current_schema()").fetchone()
        schema = str(row[0]) if row else "public"
        self._table = f"truth.{identifier(schema)}.cdx_records"
        bare.execute(
            f"ATTACH {quoted(database.url)} AS truth (TYPE postgres, READ_ONLY, SCHEMA {quoted(schema)})"
        )

    def answer(self, question: BenchQuestion, parameters: Mapping[str, str]) -> Rows:
        """Ask by a connection of the pool."""
        with self._database.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(question.sql("postgres"), dict(parameters)).fetchall()

    def export(self, path: Path) -> None:
        """Read by DuckDB's scanner, which reads by ranges of pages and with several connections."""
        with self._bare.cursor() as cursor:
            cursor.execute(f"COPY (FROM {self._table}) TO {quoted(str(path))} ({_EXPORT})")


@cache
def _over_files(question: BenchQuestion) -> Scanned:
    return of_tree(sqlglot.parse_one(question.sql("duckdb"), read="duckdb"), TABLES)


class LakeSql:
    """Our lake by the files of its newest snapshot, as every question of ours reads it."""

    name = "lake"

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def answer(self, question: BenchQuestion, parameters: Mapping[str, str]) -> Rows:
        """Ask by a cursor of its own."""
        rows, _ = run_scanned(
            self._lake,
            _over_files(question),
            parameters,
            _TIMEOUT_S,
            fresh=Freshness(None, None, None, snapshot_id=self._lake.checkpoint().snapshot_id),
        )
        return rows

    def export(self, path: Path) -> None:
        """Copy out of the lake."""
        with self._lake.errors_translated(), self._lake.cursor() as cursor:
            cursor.execute(f"COPY (FROM cdx_records) TO {quoted(str(path))} ({_EXPORT})")


class DuckDBFile:
    """Bare DuckDB over one Parquet file sorted by (domain, timestamp): what an engine of this kind can do."""

    name = "duckdb_file"

    def __init__(self, engine: DuckDBEngine, path: Path) -> None:
        self._engine = engine
        engine.execute(f"CREATE VIEW cdx_records AS FROM read_parquet({quoted(str(path))})")

    def answer(self, question: BenchQuestion, parameters: Mapping[str, str]) -> Rows:
        """Ask by a cursor of its own."""
        with self._engine.cursor() as cursor:
            return _rows(cursor, question.sql("duckdb"), parameters)

    def export(self, path: Path) -> None:
        """Read and write the file anew, as every other engine must."""
        with self._engine.cursor() as cursor:
            cursor.execute(f"COPY (FROM cdx_records) TO {quoted(str(path))} ({_EXPORT})")


class ClickHouse:
    """ClickHouse in this process (`chdb`): a MergeTree table ordered by (domain, timestamp), merged whole."""

    name = "clickhouse"

    def __init__(self, folder: Path, source: Path) -> None:
        # An extra of some 400 MB that only this comparison needs.
        from chdb.session import Session  # noqa: PLC0415

        self._session = Session(str(folder))
        columns = ", ".join(f'"{column.name}" {_clickhouse_type(column)}' for column in CDX_RECORDS.stored)
        names = ", ".join(f'"{column.name}"' for column in CDX_RECORDS.stored)
        for statement in (
            "CREATE DATABASE bench",
            "USE bench",
            f"CREATE TABLE cdx_records ({columns}) ENGINE = MergeTree ORDER BY (domain, timestamp)",
            f"INSERT INTO cdx_records SELECT {names} FROM file({quoted(str(source))}, Parquet)",
            "OPTIMIZE TABLE cdx_records FINAL",
        ):
            self._session.query(statement)

    def answer(self, question: BenchQuestion, parameters: Mapping[str, str]) -> Rows:
        """Ask the session; the answer comes as JSON, the least costly of the forms that keep names."""
        settings = " SETTINGS output_format_json_quote_64bit_integers = 0"
        text = self._session.query(
            question.sql("clickhouse") + settings, "JSONEachRow", params=dict(parameters)
        )
        return [json.loads(line) for line in text.bytes().splitlines()]

    def export(self, path: Path) -> None:
        """Write with the same compression as the others."""
        self._session.query(
            f"SELECT * FROM cdx_records INTO OUTFILE {quoted(str(path))} FORMAT Parquet"
            " SETTINGS output_format_parquet_compression_method = 'zstd'"
        )

    def close(self) -> None:
        """End the session; a process can have one at a time."""
        self._session.close()


class Router:
    """Our code whole: a question of the catalogue by `HybridQueryRouter.ask`, on the engine that is named."""

    def __init__(self, router: HybridQueryRouter, engine: str) -> None:
        self._router = router
        self._engine = engine

    def ask(self, question: str, params: Mapping[str, Any]) -> Rows:
        """Ask over all projects; the answer's rows."""
        answer = asyncio.run(
            self._router.ask(question, dict(params), scope=Scope.everything(), engine=self._engine)
        )
        rows: Rows = list(answer.rows)
        return rows


def chdb_missing() -> str | None:
    """Why there is no ClickHouse in this process; null where there is one."""
    return None if find_spec("chdb") else "the package chdb is not installed (the extra `bench`)"


def open_bare(settings: Settings) -> DuckDBEngine:
    """An engine as the lake's own is, with the same threads and memory, and no lake in it.

    Raises:
        LakeUnavailable: an extension is missing.
    """
    return DuckDBEngine.open(settings)


def write_sorted(lake: Lake, path: Path) -> None:
    """Write the lake's captures, without the derived columns, to one Parquet file in the declared order."""
    names = ", ".join(f'"{column.name}"' for column in CDX_RECORDS.stored)
    order = ", ".join(f'"{name}"' for name in CDX_RECORDS.sort)
    with lake.errors_translated(), lake.cursor() as cursor:
        # The engine keeps no order unless a query asks for one, and then a COPY must not lose it again.
        cursor.execute("SET preserve_insertion_order = true")
        try:
            cursor.execute(
                f"COPY (SELECT {names} FROM cdx_records ORDER BY {order}) TO {quoted(str(path))} ({_EXPORT})"
            )
        finally:
            cursor.execute("SET preserve_insertion_order = false")


def _rows(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, str]) -> Rows:
    rows: Rows = cursor.execute(sql, dict(parameters)).to_arrow_table().to_pylist()
    return rows


def _clickhouse_type(column: Column) -> str:
    name = _CLICKHOUSE_TYPES[column.postgres]
    name = f"Nullable({name})" if column.nullable else name
    return f"LowCardinality({name})" if column.name in _FEW_VALUES else name
