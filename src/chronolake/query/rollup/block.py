"""The parts of a statement that a rollup can stand for: one table, its rows filtered, grouped and aggregated.

Pure. A part that does more than that, as joins, windows and subqueries do, is no block, and reads the table itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlglot import exp

from chronolake.capture.columns import TABLES, Table
from chronolake.query.rollup.chain import Chain, chains
from chronolake.query.rollup.conditions import (
    Bounds,
    bounds_of,
    conditions,
    grouped_by,
    listed,
    pins,
    text_of,
)
from chronolake.query.text import known_table, tables_read

#: What a SELECT may consist of.
_PARTS = frozenset(
    {"expressions", "from_", "where", "group", "having", "order", "limit", "kind", "hint", "with_"}
)


@dataclass(frozen=True)
class Block:
    """A SELECT over one table of the registry, or over a chain of CTEs that are computed of it.

    `pinned` columns are equal to a parameter each, `bounds` are those of a time range, and `where` has what else is
    asked of a row, which names no parameter. `within` asks of whole groups that another part of the statement names
    them, and `having` what the group itself tells. `grouped` are the expressions that it groups by, null where it does
    not, and `aggregates` what it computes of each group.
    """

    select: exp.Select
    source: Table
    pinned: tuple[exp.EQ, ...]
    bounds: Bounds | None
    where: tuple[exp.Expr, ...]
    grouped: tuple[exp.Expr, ...] | None
    aggregates: tuple[exp.Expr, ...]
    within: tuple[exp.In, ...] = ()
    having: tuple[exp.Expr, ...] = ()
    chain: Chain | None = None

    @property
    def apart_by(self) -> tuple[exp.Expr, ...]:
        """What tells rows of different groups, and rows that are asked for from others, apart."""
        return (*(condition.this for condition in self.pinned), *(self.grouped or ()))


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
    """The blocks of a shaped statement.

    Those over a chain come first. What a chain is computed of has blocks too, whose cells would be nearly as many as
    the rows: they are left out.
    """
    over_chains = _over_chains(tree, values)
    yield from over_chains
    before = _before(over_chains)
    for table in list(tables_read(tree)):
        found = _block(table, TABLES[table.name.lower()], values) if known_table(table) else None
        if found is not None and _cte_of(found) not in before:
            yield found


def _over_chains(tree: exp.Expr, values: Mapping[str, Any]) -> list[Block]:
    """Of blocks one after the other the last counts."""
    known = chains(tree, values)
    read = [(table, known.get(table.name.lower())) for table in tree.find_all(exp.Table)]
    found = [_block(table, chain.source, values, chain) for table, chain in read if chain is not None]
    there = [block for block in found if block is not None]
    before = _before(there)
    return [block for block in there if _cte_of(block) not in before]


def _before(found: Sequence[Block]) -> set[str]:
    return {name for block in found if block.chain is not None for name in block.chain.names}


def _cte_of(block: Block) -> str | None:
    """The CTE that a block lies in."""
    cte = block.select.find_ancestor(exp.CTE)
    return None if cte is None else cte.alias.lower()


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


def _block(
    table: exp.Table, source: Table, values: Mapping[str, Any], chain: Chain | None = None
) -> Block | None:
    select = table.parent_select
    if not isinstance(select, exp.Select) or not _simple(select, table):
        return None
    read = _read(select)
    grouped = grouped_by(select)
    asked = _conditions(select, values, grouped or ())
    having = _having(select)
    if asked is None or having is None or (grouped is None and (having or select.args.get("group"))):
        return None
    aggregates: dict[str, exp.Expr] = {}
    for part in read:
        swapped(part.copy(), lambda node: _noted(node, aggregates))
    pinned, bounds, where, within = asked
    if chain is not None:
        if pinned:
            return None
        pinned = () if chain.pinned is None else (chain.pinned,)
    found = Block(
        select, source, pinned, bounds, where, grouped, tuple(aggregates.values()), within, having, chain
    )
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
    return [part for name in ("expressions", "group", "order") for part in listed(select.args.get(name))]


def _having(select: exp.Select) -> tuple[exp.Expr, ...] | None:
    """What is asked of a group; null where it names a parameter or looks elsewhere."""
    having = listed(select.args.get("having"))
    asked = [found.this for found in having]
    return None if any(found.find(exp.Placeholder, exp.Query) for found in asked) else tuple(asked)


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
    for condition in conditions(select):
        if (equal := pins(condition)) is not None:
            pinned.append(equal)
            continue
        found = bounds_of(condition, values)
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
