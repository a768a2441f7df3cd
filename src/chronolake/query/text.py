"""Statements for each engine, written by sqlglot out of one text, with the scope laid over every table.

No value of a user ever enters a text: parameters stay placeholders that the drivers bind, the scope's too.
Which name is a table and which a CTE is decided here as the engines decide it, for a table taken for a CTE would
be a table without a scope.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp

from chronolake.capture.columns import CDX_RECORDS, TABLES, Table
from chronolake.errors import SqlRefused
from chronolake.query.question import Question
from chronolake.query.route import Engine
from chronolake.query.scope import Scope

#: Name of the parameter that holds the project ids of the scope.
SCOPE_PARAMETER = "scope_project_ids"
_DIALECTS = {Engine.DUCKDB: "duckdb", Engine.POSTGRES: "postgres"}
#: Parts of a table reference that belong to what is read from it, and so stand outside the scope's subquery.
_OUTER_PARTS = ("pivots", "sample", "joins")


@lru_cache(maxsize=256)
def written(question: Question, engine: Engine, *, scoped: bool, snapshot_id: int | None = None) -> str:
    """The question's statement for an engine; `scoped` lays the scope over it, as a parameter of its own.

    With `snapshot_id` every table is read as it was in that snapshot of the lake.
    """
    tree = question.tree.copy()
    if snapshot_id is not None:
        tree = as_in_snapshot(tree, snapshot_id)
    if scoped:
        tree = scope_laid_over(tree)
    return rendered(tree, engine)


def bound(values: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The values of a statement's parameters, the scope's among them."""
    if scope.project_ids is None:
        return dict(values)
    return {**values, SCOPE_PARAMETER: sorted(scope.project_ids)}


def rendered(tree: exp.Expr, engine: Engine) -> str:
    """The statement as the engine's driver takes it: `$name` in DuckDB, `%(name)s` in PostgreSQL."""
    if engine is Engine.POSTGRES:
        # A percent sign in a text would be read as a placeholder by the driver; no question needs one.
        tree = tree.transform(_placeholder)
    return tree.sql(dialect=_DIALECTS[engine], comments=False)


def as_in_snapshot(tree: exp.Expr, snapshot_id: int) -> exp.Expr:
    """The statement, with each table that it reads as it was in a snapshot of the lake."""
    tree = tree.copy()
    for table in list(tables_read(tree)):
        version = exp.Literal.number(snapshot_id)
        table.set("when", exp.HistoricalData(this="AT", kind="VERSION", expression=version))
    return tree


def scope_laid_over(tree: exp.Expr, *, beside: Collection[str] = ()) -> exp.Expr:
    """The statement, with each table that it reads cut down to the projects of the scope parameter.

    Tables named in `beside` are no captures' and have been cut down by whoever put them there.

    Raises:
        SqlRefused: a CTE has the name of the captures, through which a table of no project is seen.
    """
    tree = tree.copy()
    # From the last to the first: a join in parentheses hangs on the table before it, and moves with it.
    tables = [table for table in tables_read(tree) if table.name not in beside]
    seen_through_captures = any(_declared(table).project_by is None for table in tables)
    if seen_through_captures and CDX_RECORDS.name in {cte.alias.lower() for cte in tree.find_all(exp.CTE)}:
        raise SqlRefused(
            f"a part of the statement has the name of the table {CDX_RECORDS.name}: give it another"
        )
    for table in reversed(tables):
        table.replace(_within_scope(table))
    return tree


def tables_read(tree: exp.Expr) -> Iterator[exp.Table]:
    """Every reference to a table by its name; the statement's own CTEs and functions of rows are left out."""
    yield from _unresolved(tree, frozenset())


@lru_cache(maxsize=256)
def table_names(question: Question, *, scoped: bool) -> frozenset[str]:
    """The tables whose rows decide the question's answer; `scoped` as `written` has it."""
    names = frozenset(table.name.lower() for table in tables_read(question.tree))
    # Rows of no project show where a capture in sight has the same key: then captures decide, too.
    seen_through_captures = scoped and any(TABLES[name].project_by is None for name in names)
    return names | {CDX_RECORDS.name} if seen_through_captures else names


def known_table(table: exp.Table) -> bool:
    """Whether it is one of the lake's tables, by its bare name."""
    bare = (
        isinstance(table.this, exp.Identifier) and not table.args.get("db") and not table.args.get("catalog")
    )
    return bare and table.name.lower() in TABLES


def _unresolved(node: exp.Expr, names: frozenset[str]) -> Iterator[exp.Table]:
    """Tables at and below `node` that none of `names`, the CTEs in sight, stands for."""
    within = node.args.get("with_")
    if isinstance(within, exp.With):
        for cte in within.expressions:
            yield from _of_cte(cte, names, recursive=bool(within.recursive))
            names = names | {cte.alias.lower()}
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        qualified = node.args.get("db") or node.args.get("catalog")
        if qualified or node.name.lower() not in names:
            yield node
    for child in node.iter_expressions():
        if child is not within:
            yield from _unresolved(child, names)


def _of_cte(cte: exp.Expr, names: frozenset[str], *, recursive: bool) -> Iterator[exp.Table]:
    """A CTE sees those before it. Itself it sees only in the second half of a recursive union.

    In the first half its own name is that of a table, in DuckDB as in PostgreSQL.
    """
    body = cte.this
    if not (recursive and isinstance(body, exp.Union)) or body.args.get("with_"):
        yield from _unresolved(body, names)
        return
    own = names | {cte.alias.lower()}
    for child in body.iter_expressions():
        yield from _unresolved(child, own if child is body.expression else names)


def _within_scope(table: exp.Table) -> exp.Expr:
    """A subquery under the table's own name or alias that shows the scope's rows of it."""
    inner = table.copy()
    inner.set("alias", None)
    outer = {part: inner.args.pop(part) for part in _OUTER_PARTS if inner.args.get(part)}
    declared = _declared(table)
    rows = exp.select(*_shown(declared)).from_(inner)
    rows.set(
        "where", sqlglot.parse_one(f"SELECT 1 WHERE {_condition(declared)}", read="duckdb").args["where"]
    )
    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
    return exp.Subquery(this=rows, alias=alias.copy(), **outer)


def _condition(table: Table) -> str:
    """Which rows belong to the scope; where it is null, none: a row without a project is not for some to see."""
    within = f"= ANY(CAST(${SCOPE_PARAMETER} AS INTEGER[]))"
    if table.of_system:
        # Of no project.
        return f"CAST(NULL AS INTEGER) {within}"
    if table.project_by is not None:
        return f"{table.project_by} {within}"
    captures = f"SELECT own.{table.key} FROM {CDX_RECORDS.name} AS own WHERE own.project_id {within}"
    return f"{table.key} IN ({captures})"


def _shown(table: Table) -> list[exp.Expr]:
    """What stands between SELECT and FROM: all columns, those empty that tell of other projects."""
    if not any(column.across_projects for column in table.columns):
        return [exp.Star()]
    return [
        exp.alias_(exp.cast(exp.null(), column.lake, dialect="duckdb"), column.name, quoted=True)
        if column.across_projects
        else exp.column(column.name, quoted=True)
        for column in table.columns
    ]


def _declared(table: exp.Table) -> Table:
    return TABLES[table.name.lower()]


def _placeholder(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Parameter):
        return exp.Placeholder(this=node.name)
    return node
