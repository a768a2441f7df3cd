"""What SQL of others may say: one SELECT over the lake's tables, with functions that only compute.

Pure. The text is looked at twice, by two parsers: `checked` reads it with sqlglot, whose tree is what the scope is
laid over; `checked_again` reads how DuckDB itself understands the statement that was written anew from that tree.
Where the two would disagree, the second has the last word, for DuckDB is what runs it.
"""

from collections.abc import Collection, Iterator
from typing import Any

import sqlglot
from sqlglot import exp

from chronolake.capture.columns import TABLES
from chronolake.errors import SqlRefused
from chronolake.query.text import SCOPE_PARAMETER, known_table, tables_read

#: Functions that tell of the machine, the engine or its settings, run SQL given as text, or wait.
INDISCREET = frozenset(
    {
        "current_setting", "getenv", "getvariable", "current_database", "current_catalog", "current_schema",
        "current_schemas", "current_user", "current_role", "session_user", "user", "version", "current_version",
        "current_query",
        "current_connection_id", "current_query_id", "current_transaction_id", "txid_current",
        "in_search_path", "which_secret", "nextval", "currval", "setseed", "write_log", "error", "stats",
        "pragma_version", "add_parquet_key", "get_block_size", "parse_duckdb_log_message", "sleep_ms",
        "json_serialize_plan", "json_serialize_sql", "json_deserialize_sql", "json_execute_serialized_sql",
        "query", "query_table", "inet_client_addr", "inet_client_port", "inet_server_addr",
        "inet_server_port", "col_description", "obj_description", "shobj_description",
    }
)  # fmt: skip
#: So do all of these, by how their names begin; no function that computes begins so, but for those named.
_INDISCREET_BEGINNINGS = ("pg_", "duckdb_", "pragma_", "__internal", "has_")
_YET_HARMLESS = frozenset({"pg_typeof", "pg_size_pretty"})
#: What may stand in FROM beside tables: rows made of an array or of a range.
_ROW_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
#: Functions over a window that DuckDB does not list among its functions.
_WINDOW_FUNCTIONS = frozenset(
    {
        "row_number", "rank", "dense_rank", "rank_dense", "percent_rank", "cume_dist", "ntile", "lag", "lead",
        "first_value", "last_value", "nth_value", "fill", "first", "last",
    }
)  # fmt: skip
#: What DuckDB's parser calls the things that rows can come from; all others (SHOW, COPY's ...) are refused.
_SOURCES = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION", "PIVOT"}
)
_FORBIDDEN = (
    exp.DML, exp.DDL, exp.Command, exp.Into, exp.Parameter, exp.Placeholder, exp.Pragma, exp.Set, exp.Describe,
    exp.Show, exp.Copy, exp.Attach, exp.Detach, exp.Use,
)  # fmt: skip
_MOST_CHARACTERS = 100_000
_MOST_NESTED = 100


def harmless(functions: Collection[str]) -> frozenset[str]:
    """Those of an engine's functions, in lower case, that only compute."""
    return frozenset(name for name in functions if not _indiscreet(name))


def checked(text: str) -> exp.Query:
    """The statement's tree, if it is one SELECT over the lake's tables.

    Raises:
        SqlRefused: it is not; the message says what is in the way.
    """
    if len(text) > _MOST_CHARACTERS:
        raise SqlRefused(f"the SQL is longer than {_MOST_CHARACTERS} characters")
    if _depth(text) > _MOST_NESTED:
        raise SqlRefused(f"the SQL is nested more than {_MOST_NESTED} deep")
    try:
        statements = [tree for tree in sqlglot.parse(text, read="duckdb") if tree is not None]
        if len(statements) != 1:
            raise SqlRefused(f"the SQL has {len(statements)} statements, and must have one")
        tree = statements[0]
        if not isinstance(tree, exp.Select | exp.SetOperation):
            raise SqlRefused(f"{tree.key.upper()} is no SELECT")
        for refusal in _refusals(tree):
            raise SqlRefused(refusal)
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise SqlRefused(f"the SQL cannot be read: {first_line(error)}") from None
    return tree


def checked_again(serialized: dict[str, Any], functions: frozenset[str]) -> None:
    """Look at a statement as DuckDB reads it (`json_serialize_sql`); `functions` are those that only compute.

    Raises:
        SqlRefused: it reads, calls or is something that it must not.
    """
    if serialized.get("error"):
        raise SqlRefused(f"DuckDB: {serialized.get('error_message') or 'the SQL cannot be read'}"[:500])
    if len(serialized["statements"]) != 1:
        raise SqlRefused("the SQL must have one statement")
    for refusal in _refusals_again(serialized["statements"][0], functions, frozenset()):
        raise SqlRefused(refusal)


def first_line(error: Exception) -> str:
    """What an error says, in one line of at most 500 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def _refusals(tree: exp.Expr) -> Iterator[str]:
    for node in tree.walk():
        if isinstance(node, _FORBIDDEN) and not isinstance(node, exp.Query):
            yield f"{node.key.upper()} cannot stand in a SELECT of a reader"
        elif isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
            name = _function_name(node.this)
            if name not in _ROW_FUNCTIONS and not isinstance(node.this, exp.GenerateSeries | exp.Values):
                yield f"{name} cannot be read from"
        elif isinstance(node, exp.Lateral) and not isinstance(node.this, exp.Subquery | exp.Unnest):
            yield f"{_function_name(node.this)} cannot be read from"
        elif isinstance(node, exp.Func) and _never(node):
            yield f"the function {_function_name(node)} is not among those that can be used"
        elif isinstance(node, exp.CTE) and node.alias.lower() in TABLES:
            yield f"a part of the statement has the name of the table {node.alias}: give it another"
    for table in tables_read(tree):
        if not known_table(table):
            yield f"there is no table {_named(table)}"


def _never(node: exp.Func) -> bool:
    return isinstance(node, exp.ReadCSV | exp.ReadParquet) or _indiscreet(_function_name(node))


def _refusals_again(node: Any, functions: frozenset[str], names: frozenset[str]) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _refusals_again(part, functions, names)
    if not isinstance(node, dict):
        return
    ctes = node.get("cte_map")
    if isinstance(ctes, dict):
        names = names | {str(entry["key"]).lower() for entry in ctes["map"]}
    yield from _refusal_of(node, functions, names)
    for part in node.values():
        yield from _refusals_again(part, functions, names)


def _refusal_of(node: dict[str, Any], functions: frozenset[str], names: frozenset[str]) -> Iterator[str]:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        name = str(node["table_name"])
        if node["catalog_name"] or node["schema_name"] or name.lower() not in names | TABLES.keys():
            yield f"there is no table {name[:200]}"
    elif kind == "TABLE_FUNCTION":
        name = str(node["function"]["function_name"]).lower()
        if name not in _ROW_FUNCTIONS:
            yield f"{name} cannot be read from"
    elif "sample" in node and "select_list" not in node and kind not in _SOURCES and "type" in node:
        yield f"{kind} cannot be read from"
    match node.get("class"):
        case "FUNCTION" | "WINDOW":
            yield from _refusal_of_function(node, functions)
        case "PARAMETER" if node.get("identifier") != SCOPE_PARAMETER:
            yield "there are no parameters"
        case "COLUMN_REF" if _indiscreet(str(node["column_names"][-1])) and len(node["column_names"]) == 1:
            yield f"the function {node['column_names'][0]} is not among those that can be used"


def _refusal_of_function(node: dict[str, Any], functions: frozenset[str]) -> Iterator[str]:
    name = str(node.get("function_name", "")).lower()
    allowed = functions | _ROW_FUNCTIONS | (_WINDOW_FUNCTIONS if node["class"] == "WINDOW" else set())
    # The parser itself writes `main` before the functions that it makes of brackets and keywords.
    elsewhere = node.get("schema") not in {"", "main"} or node.get("catalog") not in {"", "system"}
    if elsewhere or name not in allowed:
        yield f"the function {name[:200]} is not among those that can be used"


def _indiscreet(name: str) -> bool:
    name = name.lower()
    return name in INDISCREET or (name.startswith(_INDISCREET_BEGINNINGS) and name not in _YET_HARMLESS)


def _function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc | exp.CombinedAggFunc):
        return node.name.lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else node.key.lower()


def _named(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)[:200]


def _depth(text: str) -> int:
    """How deep brackets nest, those in strings included: a bound that spares the parsers deep recursion."""
    deepest = now = 0
    for letter in text:
        if letter in "([{":
            now += 1
            deepest = max(deepest, now)
        elif letter in ")]}":
            now -= 1
    return deepest
