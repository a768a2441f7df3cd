"""Statements for each engine, written by sqlglot out of one text, with the scope laid over every table.

No value of a user ever enters a text: parameters stay placeholders that the drivers bind, the scope's too.
"""

from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from chronolake.capture.columns import TABLES
from chronolake.query.question import Question
from chronolake.query.route import Engine

#: Name of the parameter that holds the project ids of the scope.
SCOPE_PARAMETER = "scope_project_ids"
_DIALECTS = {Engine.DUCKDB: "duckdb", Engine.POSTGRES: "postgres"}


@lru_cache(maxsize=256)
def written(question: Question, engine: Engine, *, scoped: bool) -> str:
    """The question's statement for an engine; `scoped` lays the scope over it, as a parameter of its own."""
    tree = sqlglot.parse_one(question.sql, read="duckdb")
    if scoped:
        tree = scope_laid_over(tree)
    return rendered(tree, engine)


def rendered(tree: exp.Expr, engine: Engine) -> str:
    """The statement as the engine's driver takes it: `$name` in DuckDB, `%(name)s` in PostgreSQL."""
    if engine is Engine.POSTGRES:
        # A percent sign in a text would be read as a placeholder by the driver; no question needs one.
        tree = tree.transform(_placeholder)
    return tree.sql(dialect=_DIALECTS[engine], comments=False)


def scope_laid_over(tree: exp.Expr) -> exp.Expr:
    """The statement, with each table that it reads cut down to the projects of the scope parameter."""
    tree = tree.copy()
    condition = sqlglot.parse_one(
        f"SELECT 1 WHERE project_id = ANY(CAST(${SCOPE_PARAMETER} AS INTEGER[]))", read="duckdb"
    )
    for table in tables_read(tree):
        name = table.alias_or_name
        inner = exp.select("*").from_(exp.to_table(table.name, quoted=True))
        inner.set("where", condition.args["where"].copy())
        table.replace(inner.subquery(exp.to_identifier(name, quoted=True), copy=False))
    return tree


def tables_read(tree: exp.Expr) -> list[exp.Table]:
    """The tables of the store that a statement reads, names of its own subqueries and CTEs left out."""
    found = [
        source
        for scope in traverse_scope(tree)
        for source in scope.sources.values()
        if isinstance(source, exp.Table)
    ]
    return list({id(table): table for table in found}.values())


def known_table(table: exp.Table) -> bool:
    """Whether it is one of the lake's tables, by its bare name."""
    bare = (
        isinstance(table.this, exp.Identifier) and not table.args.get("db") and not table.args.get("catalog")
    )
    return bare and table.name in TABLES


def _placeholder(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Parameter):
        return exp.Placeholder(this=node.name)
    return node
