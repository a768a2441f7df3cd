"""Parts of a statement that can be computed domain by domain: CTEs over one table, up to one that a block reads. Pure.

Of many questions only the last step is a sum over groups: before it stand each URL's captures in order, the life of
each URL, or what each revisit repeats. All of these look at rows of one domain at a time. So they are the same whether
they are computed of all rows, or of the rows of each domain alone and put together; then a rollup can keep the sums by
domain, and compute those of a domain anew when a row of it came or went.

A CTE is such a part where it shows the domain, and where all rows that it brings together have the same one: what it
groups by, what parts its windows, what it lists once and what it looks up has the domain in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlglot
from sqlglot import exp

from chronolake.capture.columns import TABLES, Table
from chronolake.query.rollup.conditions import bounds_of, conditions, grouped_by, listed, pins, text_of
from chronolake.query.text import known_table

#: What a SELECT of such a part may consist of.
_PARTS = frozenset({"expressions", "from_", "where", "group", "having", "order", "distinct", "kind", "hint"})
#: What a union of such parts may consist of.
_PARTS_OF_UNION = frozenset({"this", "expression", "distinct"})


@dataclass(frozen=True)
class Chain:
    """CTEs over `source`, the last of which is read, each with its name and its text in DuckDB's SQL.

    They show `by`, the table's bucket column, and can be computed for each value of it alone. `pinned` is the condition
    that it is equal to a parameter, which each reading of the table has, and which stands in none of the texts; null
    where none has it.
    """

    source: Table
    by: str
    ctes: tuple[tuple[str, str], ...]
    pinned: exp.EQ | None

    @property
    def names(self) -> frozenset[str]:
        """The CTEs' names, in small letters."""
        return frozenset(name.lower() for name, _ in self.ctes)

    def told_apart_by(self, column: str) -> tuple[tuple[str, str], ...]:
        """The CTEs as they are of rows that have the same value of one more column of the table; they show it."""
        return tuple(
            (name, text_of(_with_column(sqlglot.parse_one(text, read="duckdb"), column)))
            for name, text in self.ctes
        )


def chains(tree: exp.Expr, values: Mapping[str, Any]) -> dict[str, Chain]:
    """Every CTE of a shaped statement that can be computed domain by domain, by its name in small letters.

    One that asks by another parameter than the domain, or for a time range that is not open, cannot: its sums would be
    others for each value.
    """
    found: dict[str, Chain] = {}
    within = tree.args.get("with_")
    for cte in within.expressions if isinstance(within, exp.With) else ():
        name = cte.alias.lower()
        if name in TABLES or name in found or cte.args["alias"].columns:
            return {}
        part = _Reader(found, values).query(cte.this)
        if part is not None and len(part.pinned) == 1:
            found[name] = part.chain(cte.alias, found)
    return found


@dataclass(frozen=True)
class _Part:
    """A query that can be computed for each value of `source`'s bucket column, which stands at `place` in its rows.

    `query` is the same without conditions that name a parameter. `pinned` are those on the bucket column, by their
    texts; a reading that has none counts as an empty one. `reads` are the CTEs that are read.
    """

    query: exp.Expr
    source: Table
    place: int
    pinned: Mapping[str, exp.EQ | None]
    reads: frozenset[str]

    def chain(self, name: str, known: Mapping[str, Chain]) -> Chain:
        upstream = [cte for read in known if read in self.reads for cte in known[read].ctes]
        (pinned,) = self.pinned.values()
        return Chain(
            self.source,
            str(self.source.bucket_by),
            (*dict.fromkeys(upstream), (name, text_of(self.query))),
            pinned,
        )


@dataclass(frozen=True)
class _Reader:
    """Reads queries over CTEs of which those in `known` are such parts."""

    known: Mapping[str, Chain]
    values: Mapping[str, Any]

    def query(self, node: exp.Expr) -> _Part | None:
        """What a query is as such a part; null where it is none."""
        if isinstance(node, exp.Union):
            return self._union(node)
        return self._select(node) if isinstance(node, exp.Select) else None

    def _union(self, node: exp.Union) -> _Part | None:
        if _has_more_than(_PARTS_OF_UNION, node):
            return None
        one, other = self.query(node.this), self.query(node.expression)
        if one is None or other is None or (one.source, one.place) != (other.source, other.place):
            return None
        union = node.copy()
        union.set("this", one.query)
        union.set("expression", other.query)
        return replace(one, query=union, pinned={**one.pinned, **other.pinned}, reads=one.reads | other.reads)

    def _select(self, node: exp.Select) -> _Part | None:
        start = None if _has_more_than(_PARTS, node) else self._start(node)
        if start is None:
            return None
        by = str(start.source.bucket_by)
        place = next((place for place, shown in enumerate(node.expressions) if _shows(shown, by)), None)
        if place is None or not _told_apart(node, by):
            return None
        return self._filtered(node, replace(start, query=node.copy(), place=place), by)

    def _start(self, node: exp.Select) -> _Part | None:
        """What a SELECT reads, as a part: the table or a CTE, by its bare name."""
        read = node.args["from_"].this if node.args.get("from_") else None
        if not isinstance(read, exp.Table) or any(
            value for name, value in read.args.items() if name != "this"
        ):
            return None
        name = read.name.lower()
        if name in self.known:
            chain = self.known[name]
            pinned = {"" if chain.pinned is None else text_of(chain.pinned): chain.pinned}
            return _Part(node, chain.source, 0, pinned, frozenset({name}))
        if known_table(read) and TABLES[name].bucket_by is not None:
            return _Part(node, TABLES[name], 0, {}, frozenset())
        return None

    def _filtered(self, node: exp.Select, part: _Part, by: str) -> _Part | None:
        """The part with the conditions that stay; null where one names a parameter or looks beyond the domain."""
        asked = conditions(node)
        if not part.reads:
            pinned = {text_of(found): found for found in map(pins, asked) if found and found.this.name == by}
            part = replace(part, pinned=pinned or {"": None})
            asked = [found for found in asked if text_of(found) not in pinned and not self._is_open(found)]
        for condition in asked:
            looked_up = self._looked_up(condition, by)
            if looked_up is not None:
                part = replace(
                    part, pinned={**part.pinned, **looked_up.pinned}, reads=part.reads | looked_up.reads
                )
            elif condition.find(exp.Query):
                return None
        kept = [condition.copy() for condition in asked]
        part.query.set("where", exp.Where(this=exp.and_(*kept)) if kept else None)
        return None if part.query.find(exp.Placeholder, exp.Parameter) else part

    def _is_open(self, condition: exp.Expr) -> bool:
        bounds = bounds_of(condition, self.values)
        return bounds is not None and bounds.are_open(self.values)

    def _looked_up(self, condition: exp.Expr, by: str) -> _Part | None:
        """What `(domain, ...) IN (SELECT domain, ...)` looks into, where that is a part over CTEs alone."""
        if not isinstance(condition, exp.In) or not isinstance(condition.args.get("query"), exp.Expr):
            return None
        query = condition.args["query"]
        found = self.query(query.this if isinstance(query, exp.Subquery) else query)
        sides = condition.this.expressions if isinstance(condition.this, exp.Tuple) else [condition.this]
        if found is None or not found.reads or found.place >= len(sides):
            return None
        return found if _is_column(sides[found.place], by) else None


def _with_column(query: exp.Expr, name: str) -> exp.Expr:
    """A part that shows one more column, last, and tells all apart by it."""
    for select in query.find_all(exp.Select):
        select.append("expressions", exp.column(name))
        if select.args.get("group"):
            select.args["group"].append("expressions", exp.column(name))
        distinct = select.args.get("distinct")
        if isinstance(distinct, exp.Distinct) and isinstance(distinct.args.get("on"), exp.Tuple):
            distinct.args["on"].append("expressions", exp.column(name))
    for window in query.find_all(exp.Window):
        window.append("partition_by", exp.column(name))
    for looked_up in query.find_all(exp.In):
        if looked_up.args.get("query"):
            sides = looked_up.this.expressions if isinstance(looked_up.this, exp.Tuple) else [looked_up.this]
            looked_up.set("this", exp.Tuple(expressions=[*(side.copy() for side in sides), exp.column(name)]))
    return query


def _has_more_than(parts: frozenset[str], node: exp.Expr) -> bool:
    return any(value and name not in parts for name, value in node.args.items())


def _told_apart(node: exp.Select, by: str) -> bool:
    """Whether all rows that a SELECT brings together have the same value of `by`."""
    shown = node.copy()
    for part in ("from_", "where"):
        shown.set(part, None)
    if sum(1 for _ in shown.find_all(exp.Query)) > 1:
        return False
    if not all(_among(window.args.get("partition_by"), by) for window in shown.find_all(exp.Window)):
        return False
    if node.args.get("group"):
        return _listed_once(node, by) and _among(list(grouped_by(node) or ()), by)
    sums = [found for found in shown.find_all(exp.AggFunc) if found.find_ancestor(exp.Window) is None]
    return _listed_once(node, by) and not sums and not node.args.get("having")


def _listed_once(node: exp.Select, by: str) -> bool:
    """Whether DISTINCT and ORDER choose among rows with the same value of `by` alone."""
    distinct = node.args.get("distinct")
    on = distinct.args.get("on") if isinstance(distinct, exp.Distinct) else None
    if on is None:
        return not node.args.get("order")
    return _among(on.expressions if isinstance(on, exp.Tuple) else on, by)


def _among(found: object, by: str) -> bool:
    return any(_is_column(part, by) for part in listed(found))


def _shows(shown: exp.Expr, by: str) -> bool:
    return shown.alias_or_name == by and _is_column(shown.unalias(), by)


def _is_column(node: exp.Expr, by: str) -> bool:
    return isinstance(node, exp.Column) and node.name == by and not node.table
