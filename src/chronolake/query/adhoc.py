"""SQL that others wrote: one SELECT over the lake's tables, checked, scoped, and run in the sandbox.

Three walls, each enough by itself for most attacks: `guard` lets only known tables and harmless functions pass, by
two parsers; the statement that runs is the one written anew from the parsed tree; and the sandbox opens no file
outside the lake, loads nothing and configures nothing.
"""

import json
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from chronolake.errors import SqlRefused
from chronolake.lake import Lake, interrupting
from chronolake.oltp import Database
from chronolake.query import freshness, guard
from chronolake.query.engines import Rows, rows_of
from chronolake.query.freshness import Freshness
from chronolake.query.route import Engine
from chronolake.query.scope import Scope
from chronolake.query.text import SCOPE_PARAMETER, rendered, scope_laid_over, tables_read

#: Rows that are fetched at a time.
_PIECE_ROWS = 1000
#: The engine's own functions that change nothing, by the engine's version: asking takes a few milliseconds.
_functions_known: dict[str, frozenset[str]] = {}
#: What DuckDB says of a text that it understands but will not run: the text is at fault, not the lake.
_AT_FAULT = (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError)


@dataclass(frozen=True)
class Found:
    """Rows, or the same as a table, at most as many as were allowed; `cut` says by which limit there are not all."""

    rows: Rows
    table: pa.Table | None
    fresh: Freshness
    cut: str | None


@dataclass(frozen=True)
class Limits:
    """What an answer may have at most: `rows`, `bytes` in memory, and seconds to be found in."""

    rows: int
    bytes: int
    timeout_s: float


def run(
    lake: Lake, database: Database, text: str, scope: Scope, limits: Limits, *, as_table: bool = False
) -> Found:
    """Run one SELECT about the projects in scope; a table of Arrow instead of rows where that is asked for.

    Raises:
        SqlRefused: it is not one SELECT over known tables, or the engine does not understand it.
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    statement, values = prepared(text, scope, limit=limits.rows)
    table = None
    rows: Rows = []
    with lake.errors_translated(), lake.sandbox() as cursor, interrupting(cursor, limits.timeout_s):
        try:
            guard.checked_again(_serialized(cursor, statement), _functions(cursor))
            with database.connection() as conn:
                fresh = freshness.of_lake(conn)
            cursor.execute(statement, values)
            if as_table:
                table, cut = _table(cursor, limits)
            else:
                rows, cut = _rows(cursor, limits)
        except _AT_FAULT as error:
            raise SqlRefused(f"DuckDB: {guard.first_line(error)}") from None
    return Found(rows, table, fresh, cut)


def _rows(cursor: duckdb.DuckDBPyConnection, limits: Limits) -> tuple[Rows, str | None]:
    found: list[tuple[Any, ...]] = []
    size = 0
    while piece := cursor.fetchmany(_PIECE_ROWS):
        for row in piece:
            # What a value takes as text is near enough to what it takes.
            size += sum(len(str(value)) for value in row)
            if size > limits.bytes or len(found) == limits.rows:
                return rows_of(cursor, found), _cut(limits, by_rows=size <= limits.bytes)
            found.append(row)
    return rows_of(cursor, found), None


def _table(cursor: duckdb.DuckDBPyConnection, limits: Limits) -> tuple[pa.Table, str | None]:
    with cursor.to_arrow_reader(_PIECE_ROWS) as reader:
        batches: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in reader:
            size += batch.nbytes
            if size > limits.bytes:
                return pa.Table.from_batches(batches, reader.schema), _cut(limits, by_rows=False)
            rows += batch.num_rows
            batches.append(batch)
        table = pa.Table.from_batches(batches, reader.schema)
    return table.slice(0, limits.rows), _cut(limits, by_rows=True) if rows > limits.rows else None


def _cut(limits: Limits, *, by_rows: bool) -> str:
    most = f"{limits.rows} rows" if by_rows else f"{limits.bytes} bytes"
    return f"cut to {most}; there are more"


def prepared(text: str, scope: Scope, *, limit: int) -> tuple[str, dict[str, list[int]]]:
    """The statement that runs and its values: checked, scoped, with at most one row more than `limit`.

    Raises:
        SqlRefused: it is not one SELECT over known tables.
    """
    tree = guard.checked(text)
    try:
        if scope.project_ids is None or not any(tables_read(tree)):
            # DuckDB takes no value that the statement does not ask for.
            return rendered(_limited(tree, limit + 1), Engine.DUCKDB), {}
        statement = rendered(_limited(scope_laid_over(tree), limit + 1), Engine.DUCKDB)
        return statement, {SCOPE_PARAMETER: sorted(scope.project_ids)}
    except RecursionError:
        raise SqlRefused("the SQL is nested too deep") from None


def _limited(tree: exp.Expr, limit: int) -> exp.Expr:
    """The statement with at most `limit` rows, its own order kept."""
    own = tree.args.get("limit")
    if own is None:
        tree.set("limit", exp.Limit(expression=exp.Literal.number(limit)))
    elif isinstance(own, exp.Limit) and _plain(own):
        own.set("expression", exp.Literal.number(min(limit, int(own.expression.name))))
    else:
        raise SqlRefused("LIMIT must be a whole number", hint="Or leave it out and use --limit.")
    return tree


def _plain(limit: exp.Limit) -> bool:
    number = limit.expression
    return isinstance(number, exp.Literal) and number.is_int and not limit.args.get("limit_options")


def _serialized(cursor: duckdb.DuckDBPyConnection, statement: str) -> dict[str, object]:
    """The statement as DuckDB's own parser reads it."""
    row = cursor.execute("SELECT json_serialize_sql($statement)", {"statement": statement}).fetchone()
    try:
        found: dict[str, object] = json.loads(row[0] if row else "{}")
    except RecursionError:
        raise SqlRefused("the SQL is nested too deep") from None
    return found


def _functions(cursor: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Names of the engine's own functions that only compute."""
    if duckdb.__version__ not in _functions_known:
        found = cursor.execute(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions()"
            " WHERE function_type IN ('scalar', 'aggregate', 'macro') AND database_name = 'system'"
        ).fetchall()
        _functions_known[duckdb.__version__] = guard.harmless([name for (name,) in found])
    return _functions_known[duckdb.__version__]
