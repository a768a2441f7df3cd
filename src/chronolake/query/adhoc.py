"""SQL that others wrote: one SELECT over the lake's tables, checked, scoped, and run in the sandbox.

Three walls, each enough by itself for most attacks: the text is parsed and only known tables and harmless
functions pass; the statement that runs is the one written anew from the parsed tree; and the sandbox opens no
file, loads nothing and configures nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import duckdb
import sqlglot
from sqlglot import exp

from chronolake.errors import LakeError, SqlRefused
from chronolake.lake import Lake, interrupting
from chronolake.oltp import Database
from chronolake.query import freshness
from chronolake.query.engines import Rows, rows_of
from chronolake.query.freshness import Freshness
from chronolake.query.route import Engine
from chronolake.query.scope import Scope
from chronolake.query.text import SCOPE_PARAMETER, known_table, rendered, scope_laid_over, tables_read

#: Functions that tell of the machine, the engine or its settings, though they change nothing.
_INDISCREET = frozenset(
    {
        "current_setting", "getenv", "getvariable", "current_database", "current_schema", "current_schemas",
        "current_user", "session_user", "user", "version", "current_query", "current_connection_id",
        "current_query_id", "current_transaction_id", "txid_current", "in_search_path", "which_secret",
        "nextval", "currval", "setseed", "write_log", "error", "pragma_version", "add_parquet_key",
    }
)  # fmt: skip
#: What may stand in FROM beside tables: rows made of an array or of a range.
_ROW_MAKERS = (exp.Unnest, exp.Values, exp.Lateral)
_MOST_CHARACTERS = 100_000


@dataclass(frozen=True)
class Found:
    """Rows, at most as many as were asked for; `truncated` where there were more."""

    rows: Rows
    fresh: Freshness
    truncated: bool


def run(lake: Lake, database: Database, text: str, scope: Scope, *, limit: int, timeout_s: float) -> Found:
    """Run one SELECT about the projects in scope; at most `limit` rows.

    Raises:
        SqlRefused: it is not one SELECT over known tables, or the engine does not understand it.
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    with lake.sandbox() as cursor:
        tree = checked(text, _functions(cursor))
        values = {}
        if scope.project_ids is not None:
            tree = scope_laid_over(tree)
            values = {SCOPE_PARAMETER: sorted(scope.project_ids)}
        statement = rendered(_limited(tree, limit + 1), Engine.DUCKDB)
        with database.connection() as conn:
            fresh = freshness.of_lake(conn)
        try:
            with lake.errors_translated(), interrupting(cursor, timeout_s):
                try:
                    fetched = cursor.execute(statement, values).fetchmany(limit + 1)
                except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
                    raise SqlRefused(f"DuckDB: {_first_line(error)}") from None
                rows = rows_of(cursor, fetched)
        except duckdb.Error as error:
            raise LakeError(_first_line(error)) from None
    return Found(rows=rows[:limit], fresh=fresh, truncated=len(rows) > limit)


def checked(text: str, functions: frozenset[str]) -> exp.Expr:
    """The statement's tree, if it is one SELECT over the lake's tables with `functions` only.

    Raises:
        SqlRefused: it is not; the message says what is in the way.
    """
    if len(text) > _MOST_CHARACTERS:
        raise SqlRefused(f"the SQL is longer than {_MOST_CHARACTERS} characters")
    try:
        statements = [tree for tree in sqlglot.parse(text, read="duckdb") if tree is not None]
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise SqlRefused(f"the SQL cannot be read: {_first_line(error)}") from None
    if len(statements) != 1:
        raise SqlRefused(f"the SQL has {len(statements)} statements, and must have one")
    tree = statements[0]
    if not isinstance(tree, exp.Select | exp.SetOperation):
        raise SqlRefused(f"{tree.key.upper()} is no SELECT")
    for refusal in _refusals(tree, functions):
        raise SqlRefused(refusal)
    return tree


def _refusals(tree: exp.Expr, functions: frozenset[str]) -> Iterator[str]:
    writing = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Parameter, exp.Placeholder, exp.Pragma, exp.Set)
    for node in tree.walk():
        if isinstance(node, writing) and not isinstance(node, exp.Query):
            yield f"{node.key.upper()} cannot stand in a SELECT of a reader"
        elif isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
            if not isinstance(node.this, _ROW_MAKERS) and node.this.key != "generateseries":
                yield f"{_function_name(node.this)} cannot be read from"
        elif isinstance(node, exp.Func) and not _harmless(node, functions):
            yield f"the function {_function_name(node)} is not among those that can be used"
    known = tables_read(tree)
    for table in known:
        if isinstance(table.this, exp.Identifier) and not known_table(table):
            yield f"there is no table {table.sql(dialect='duckdb')[:200]}"
    resolved = {id(table) for table in known}
    names = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if id(table) not in resolved and table.name not in names and isinstance(table.this, exp.Identifier):
            yield f"{table.sql(dialect='duckdb')[:200]} stands where no table can be read"


def _harmless(node: exp.Func, functions: frozenset[str]) -> bool:
    name = _function_name(node)
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc | exp.CombinedAggFunc):
        return name in functions
    return name not in _INDISCREET


def _function_name(node: exp.Expr) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.key).lower()


def _limited(tree: exp.Expr, limit: int) -> exp.Expr:
    """The statement with at most `limit` rows, its own order kept."""
    own = tree.args.get("limit")
    if own is None:
        tree.set("limit", exp.Limit(expression=exp.Literal.number(limit)))
    elif isinstance(own, exp.Limit) and isinstance(own.expression, exp.Literal) and own.expression.is_int:
        own.set("expression", exp.Literal.number(min(limit, int(own.expression.name))))
    else:
        raise SqlRefused("LIMIT must be a whole number", hint="Or leave it out and use --limit.")
    return tree


@cache
def _function_names() -> dict[str, frozenset[str]]:
    return {}


def _functions(cursor: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Names of the engine's own functions that neither change anything nor tell of the machine."""
    known = _function_names()
    if duckdb.__version__ not in known:
        found = cursor.execute(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions()"
            " WHERE function_type IN ('scalar', 'aggregate', 'macro') AND has_side_effects IS NOT TRUE"
            " AND database_name = 'system'"
        ).fetchall()
        known[duckdb.__version__] = frozenset(name for (name,) in found) - _INDISCREET
    return known[duckdb.__version__]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
