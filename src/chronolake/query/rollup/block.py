"""The parts of a statement that a rollup can stand for: one table, its rows filtered, grouped and aggregated.

Pure. A part that does more than that, as joins, windows and subqueries do, is no block, and reads the table itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlglot import exp

from chronolake.capture.columns import TABLES, Table
from chronolake.query.text import known_table, tables_read

#: What a SELECT may consist of.
_PARTS = frozenset({"expressions", "from_", "where", "group", "order", "limit", "kind", "hint"})


@dataclass(frozen=True)
class Bounds:
    """`column` lies between two parameters, which are times."""

    column: exp.Column
    start: str
    end: str


@dataclass(frozen=True)
class Block:
    """A SELECT over one table of the registry.

    `pinned` columns are equal to a parameter each, `bounds` are those of a time range, and `where` has what else is
    asked of a row, which names no parameter. `within` asks of whole groups that another part of the statement names
    them. `grouped` are the expressions that it groups by, null where it does not, and `aggregates` what it computes of
    each group.
    """

    select: exp.Select
    source: Table
    pinned: tuple[exp.EQ, ...]
    bounds: Bounds | None
    where: tuple[exp.Expr, ...]
    grouped: tuple[exp.Expr, ...] | None
    aggregates: tuple[exp.Expr, ...]
    within: tuple[exp.In, ...] = ()

    @property
    def apart_by(self) -> tuple[exp.Expr, ...]:
        """What tells rows of different groups, and rows that are asked for from others, apart."""
        return (*(condition.this for condition in self.pinned), *(self.grouped or ()))


def text_of(node: exp.Expr) -> str:
    """A node in DuckDB's SQL; equal texts mean the same over one table."""
    return node.sql(dialect="duckdb", comments=False)


def shaped(tree: exp.Expr, values: Mapping[str, Any]) -> exp.Expr:
    """The statement with those values put in that decide what it does: choices, and what was left out.

    Choices are words of ours, never of a user; a condition on a parameter that was left out is gone.
    """

    def put_in(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Placeholder) and isinstance(values.get(node.name), StrEnum):
            return exp.Literal.string(values[node.name].value)
        return _decided(node, values)

    return tree.copy().transform(put_in)


def blocks(tree: exp.Expr, values: Mapping[str, Any]) -> Iterator[Block]:
    """The blocks of a shaped statement."""
    for table in tables_read(tree):
        found = _block(table, values) if known_table(table) else None
        if found is not None:
            yield found


def swapped(node: exp.Expr, swap: Callable[[exp.Expr], exp.Expr | None]) -> exp.Expr:
    """The node with what `swap` gives in the place of its parts, from above; null lets a part be."""
    return node.transform(lambda part: swap(part) or part)


def is_aggregate(node: exp.Expr) -> bool:
    """Whether it is an aggregate, its filter or order with it."""
    if isinstance(node, exp.Filter | exp.WithinGroup):
        return is_aggregate(node.this)
    return isinstance(node, exp.AggFunc)


def _decided(node: exp.Expr, values: Mapping[str, Any]) -> exp.Expr:
    """`$p IS NULL OR column = $p`, which is how a parameter that may be left out stands in a text, decided."""
    alternative = node.this if isinstance(node, exp.Paren) else node
    if not isinstance(alternative, exp.Or):
        return node
    left_out, equal = alternative.this, alternative.expression
    if not (isinstance(left_out, exp.Is) and isinstance(left_out.expression, exp.Null)):
        return node
    asked = left_out.this.this if isinstance(left_out.this, exp.Cast) else left_out.this
    if not (isinstance(asked, exp.Placeholder) and isinstance(equal, exp.EQ) and equal.expression == asked):
        return node
    return exp.true() if values.get(asked.name) is None else equal


def _block(table: exp.Table, values: Mapping[str, Any]) -> Block | None:
    select = table.parent_select
    if not isinstance(select, exp.Select) or not _simple(select, table):
        return None
    read = _read(select)
    grouped = _grouped(select)
    conditions = _conditions(select, values, grouped or ())
    if conditions is None or (grouped is None and select.args.get("group")):
        return None
    aggregates: dict[str, exp.Expr] = {}
    for part in read:
        swapped(part.copy(), lambda node: _noted(node, aggregates))
    pinned, bounds, where, within = conditions
    declared = TABLES[table.name.lower()]
    found = Block(select, declared, pinned, bounds, where, grouped, tuple(aggregates.values()), within)
    return found if aggregates else None


def _simple(select: exp.Select, table: exp.Table) -> bool:
    """Whether it reads that table alone, row by row, and computes nothing over rows but aggregates."""
    if not isinstance(table.parent, exp.From):
        return False
    if any(value and name not in _PARTS for name, value in select.args.items()):
        return False
    if any(table.args.get(part) for part in ("alias", "joins", "pivots", "sample", "when")):
        return False
    return not any(part.find(exp.Query, exp.Window, exp.Star) for part in map(_without_counts, _read(select)))


def _read(select: exp.Select) -> list[exp.Expr]:
    """The parts that say what is computed."""
    return [part for name in ("expressions", "group", "order") for part in _listed(select.args.get(name))]


def _listed(found: object) -> list[exp.Expr]:
    if isinstance(found, list):
        return [part for part in found if isinstance(part, exp.Expr)]
    return [found] if isinstance(found, exp.Expr) else []


def _without_counts(part: exp.Expr) -> exp.Expr:
    """The same less `count(*)`, whose star stands for no columns."""
    return part.copy().transform(
        lambda node: exp.null() if isinstance(node, exp.Count) and isinstance(node.this, exp.Star) else node
    )


def _noted(node: exp.Expr, aggregates: dict[str, exp.Expr]) -> exp.Expr | None:
    if not is_aggregate(node):
        return None
    aggregates.setdefault(text_of(node), node)
    # In its place stands what has no parts, so that none of it is taken for an aggregate of its own.
    return exp.null()


def _conditions(
    select: exp.Select, values: Mapping[str, Any], grouped: Sequence[exp.Expr]
) -> tuple[tuple[exp.EQ, ...], Bounds | None, tuple[exp.Expr, ...], tuple[exp.In, ...]] | None:
    pinned: list[exp.EQ] = []
    where: list[exp.Expr] = []
    within: list[exp.In] = []
    bounds: Bounds | None = None
    whole = select.args.get("where")
    said = _listed(whole and whole.this)
    if said and isinstance(said[0], exp.And):
        said = list(said[0].flatten())
    for condition in said:
        if isinstance(condition, exp.Boolean) and condition.this:
            continue
        if isinstance(condition, exp.EQ) and _column_and_parameter(condition.this, condition.expression):
            pinned.append(condition)
            continue
        found = _bounds(condition, values)
        if found is not None and bounds is None:
            bounds = found
        elif isinstance(condition, exp.In) and _names_groups(condition, grouped):
            within.append(condition)
        elif condition.find(exp.Placeholder, exp.Parameter, exp.Query, exp.Window):
            return None
        else:
            where.append(condition)
    return tuple(pinned), bounds, tuple(where), tuple(within)


def _names_groups(condition: exp.In, grouped: Sequence[exp.Expr]) -> bool:
    """Whether it asks that another part names what is grouped by: then whole groups stay or go."""
    query = condition.args.get("query")
    if not isinstance(query, exp.Expr) or query.find(exp.Placeholder, exp.Parameter):
        return False
    if any(known_table(table) for table in query.find_all(exp.Table)):
        return False
    return text_of(condition.this) in {text_of(part) for part in grouped}


def _bounds(condition: exp.Expr, values: Mapping[str, Any]) -> Bounds | None:
    if not isinstance(condition, exp.Between):
        return None
    column, low, high = condition.this, condition.args["low"], condition.args["high"]
    ends = [values.get(end.name) for end in (low, high) if isinstance(end, exp.Placeholder)]
    if not isinstance(column, exp.Column) or [isinstance(end, datetime) for end in ends] != [True, True]:
        return None
    return Bounds(column, low.name, high.name)


def _column_and_parameter(left: exp.Expr, right: exp.Expr) -> bool:
    return isinstance(left, exp.Column) and isinstance(right, exp.Placeholder)


def _grouped(select: exp.Select) -> tuple[exp.Expr, ...] | None:
    """What it groups by, a number resolved to the column of the answer it counts to; null where it does not."""
    group = select.args.get("group")
    if group is None:
        return None
    if any(value and name != "expressions" for name, value in group.args.items()):
        return None
    found = []
    for part in group.expressions:
        expression = part
        if isinstance(part, exp.Literal) and part.is_int:
            expression = select.expressions[int(part.this) - 1].unalias()
        if expression.find(exp.Placeholder, exp.Parameter):
            return None
        found.append(expression)
    return tuple(found)
