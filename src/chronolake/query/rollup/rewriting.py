"""A question's text, reading from rollups wherever one holds what a block asks for. Pure.

A rollup whose cells are the block's very groups answers anything. One that tells more apart answers what can be put
together of parts: counts, sums, least and greatest. So counts of what is different are as exact as the table's own, or
are not taken from the rollup.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlglot import exp

from chronolake.lake.rollup import Combine, Measure, Rollup
from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import Interval
from chronolake.query.rollup.block import Block, blocks, is_aggregate, shaped, swapped
from chronolake.query.rollup.conditions import Bounds, text_of
from chronolake.query.rollup.deriving import PROJECT, list_length, rows_of
from chronolake.query.scope import Scope
from chronolake.query.text import SCOPE_PARAMETER, tables_read

#: Sums of these depend on their order.
_INEXACT = frozenset({"FLOAT", "DOUBLE"})
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Rewritten:
    """A statement, and the rollups that it reads from."""

    tree: exp.Expr
    rollups: tuple[Rollup, ...]


def rewritten(
    tree: exp.Expr, values: Mapping[str, Any], scope: Scope, rollups: Sequence[tuple[Rollup, int]]
) -> Rewritten | None:
    """The statement over rollups, each given with its number of cells; null where none of them serves.

    The scope lies over what is read from rollups already; over the tables that are left it has yet to be laid.
    """
    tree = shaped(tree, values)
    # The whole statement comes last: what takes its place is a copy, with all that took the place of parts before.
    found = sorted(blocks(tree, values), key=lambda block: block.select is tree)
    for block in found:
        fitting = [
            (cells, fit)
            for rollup, cells in rollups
            if (fit := _Fit.of(block, rollup, values, scope)) is not None
        ]
        if fitting:
            _, best = min(fitting, key=lambda pair: (pair[0], pair[1].rollup.name))
            if block.select is tree:
                tree = best.select()
            else:
                block.select.replace(best.select())
    _forget_unread(tree)
    read = {table.name for table in tables_read(tree)}
    used = tuple(rollup for rollup, _ in rollups if rollup.name in read)
    return Rewritten(tree, used) if used else None


def _forget_unread(tree: exp.Expr) -> None:
    """Leave out the CTEs that nothing reads any more."""
    within = tree.args.get("with_")
    while isinstance(within, exp.With):
        read = {
            table.name.lower()
            for table in tree.find_all(exp.Table)
            if (cte := table.find_ancestor(exp.CTE)) is None or cte.alias.lower() != table.name.lower()
        }
        kept = [cte for cte in within.expressions if cte.alias.lower() in read]
        if len(kept) == len(within.expressions):
            return
        within.set("expressions", kept)
        if not kept:
            tree.set("with_", None)
            return


@dataclass(frozen=True)
class _Fit:
    """A block and a rollup that answers it; `bounded` is the rollup's column of the time range that is asked for.

    With `one_each` no group of the block has more than one cell, and there is nothing to put together.
    """

    block: Block
    rollup: Rollup
    scoped: bool
    bounded: str | None
    one_each: bool

    @classmethod
    def of(cls, block: Block, rollup: Rollup, values: Mapping[str, Any], scope: Scope) -> "_Fit | None":
        scoped = scope.project_ids is not None
        told_apart = {dimension.expression for dimension in rollup.dimensions}
        needed = {text_of(part) for part in block.apart_by}
        if not (
            _of_same_rows(block, rollup, by_project=scoped)
            and needed | ({PROJECT} if scoped else set()) <= told_apart
        ):
            return None
        bounded = None
        if block.bounds is not None and not block.bounds.are_open(values):
            bounded = _bounded(block.bounds, rollup, values)
            if bounded is None:
                return None
        of_one_project = scoped and len(scope.project_ids or ()) == 1
        exact = told_apart <= (needed | {PROJECT} if of_one_project else needed)
        if not exact and not _of_parts(block, rollup, of_several=scoped and not of_one_project):
            return None
        held = {measure.expression for measure in rollup.measures}
        if not {text_of(aggregate) for aggregate in block.aggregates} <= held:
            return None
        return cls(block, rollup, scoped, bounded, exact and block.grouped is not None)

    def select(self) -> exp.Select:
        """The block, reading from the rollup."""
        select = self.block.select.copy()
        names = {found.expression: found.name for found in self.rollup.dimensions}

        def swap(node: exp.Expr) -> exp.Expr | None:
            if is_aggregate(node):
                return self._combined(node)
            if isinstance(node, exp.Alias | exp.Literal | exp.Identifier):
                return None
            name = names.get(text_of(node))
            return None if name is None else exp.column(name, quoted=True)

        select.set("expressions", [_named(swapped(part.copy(), swap), part) for part in select.expressions])
        if order := select.args.get("order"):
            select.set("order", swapped(order.copy(), swap))
        select.set("from_", exp.From(this=exp.to_table(self.rollup.name)))
        if self.one_each:
            select.set("group", None)
        elif self.block.grouped is not None:
            grouped = [exp.column(names[text_of(part)], quoted=True) for part in self.block.grouped]
            select.set("group", exp.Group(expressions=grouped))
        select.set("having", None)
        conditions = list(self._conditions(names))
        select.set("where", exp.Where(this=exp.and_(*conditions)) if conditions else None)
        return select

    def _conditions(self, names: Mapping[str, str]) -> "list[exp.Expr]":
        found: list[exp.Expr] = [
            exp.EQ(
                this=exp.column(names[text_of(pinned.this)], quoted=True), expression=pinned.expression.copy()
            )
            for pinned in self.block.pinned
        ]
        found += [
            exp.In(this=exp.column(names[text_of(named.this)], quoted=True), query=named.args["query"].copy())
            for named in self.block.within
        ]
        bounds = self.block.bounds
        if bounds is not None and self.bounded is not None:
            found.append(
                exp.Between(
                    this=exp.column(self.bounded, quoted=True),
                    low=exp.Placeholder(this=bounds.start),
                    high=exp.Placeholder(this=bounds.end),
                )
            )
        if self.scoped:
            ids = exp.cast(exp.Placeholder(this=SCOPE_PARAMETER), "INTEGER[]", dialect="duckdb")
            found.append(
                exp.EQ(
                    this=exp.column(names[PROJECT], quoted=True),
                    expression=exp.Any(this=exp.Paren(this=ids)),
                )
            )
        return found

    def _combined(self, aggregate: exp.Expr) -> exp.Expr:
        """What stands for an aggregate of the block: the same of its cells' measures."""
        held = [measure for measure in self.rollup.measures if measure.expression == text_of(aggregate)]
        of_cells = _of_one_cell if self.one_each else _of_cells
        if list_length(aggregate) is not None:
            return exp.Array(
                expressions=[
                    of_cells(measure) for measure in sorted(held, key=lambda measure: measure.place or 0)
                ]
            )
        combined = of_cells(held[0])
        if self.one_each:
            return combined
        function = aggregate.this if isinstance(aggregate, exp.Filter) else aggregate
        if isinstance(function, exp.Count):
            # Where there is no cell there is nothing to count, and that is a number.
            return exp.Coalesce(this=combined, expressions=[exp.Literal.number(0)])
        return combined


def _of_parts(block: Block, rollup: Rollup, *, of_several: bool) -> bool:
    """Whether groups of the block come of several cells each, put together; `of_several` projects, where that is so."""
    if block.having or (block.chain is not None and of_several):
        # What is asked of a group cannot be asked of its parts, nor is a URL's life the sum of those in each project.
        return False
    wanted = {text_of(aggregate) for aggregate in block.aggregates}
    return all(_adds_up(measure) for measure in rollup.measures if measure.expression in wanted)


def _of_same_rows(block: Block, rollup: Rollup, *, by_project: bool) -> bool:
    """Whether the rollup's cells are of the block's rows, and of all its groups."""
    return (
        rollup.source == block.source.name
        and rollup.rows == rows_of(block, by_project=by_project)
        and rollup.where == tuple(sorted(text_of(condition) for condition in block.where))
        and rollup.having == tuple(sorted(text_of(condition) for condition in block.having))
    )


def _adds_up(measure: Measure) -> bool:
    return measure.combine is not Combine.NONE and measure.kind not in _INEXACT


def _of_one_cell(measure: Measure) -> exp.Expr:
    return exp.column(measure.name, quoted=True)


def _of_cells(measure: Measure) -> exp.Expr:
    column = exp.column(measure.name, quoted=True)
    match measure.combine:
        case Combine.MIN:
            return exp.Min(this=column)
        case Combine.MAX:
            return exp.Max(this=column)
        case Combine.SUM:
            return exp.cast(exp.Sum(this=column), measure.kind, dialect="duckdb")
        case Combine.NONE:
            # One cell at most, or the rollup would not fit.
            return exp.AnyValue(this=column)


def _named(now: exp.Expr, before: exp.Expr) -> exp.Expr:
    """A column of the answer under the name that it had."""
    if isinstance(now, exp.Alias):
        return now
    return exp.alias_(now, before.alias_or_name, quoted=True)


def _bounded(bounds: Bounds, rollup: Rollup, values: Mapping[str, Any]) -> str | None:
    """The rollup's column of periods that lie within the bounds or outside, but never astride; null where none does."""
    for interval in Interval:
        period = exp.TimestampTrunc(this=bounds.column.copy(), unit=exp.Literal.string(interval.value))
        texts = {text_of(period), *(text_of(exp.cast(period, kind)) for kind in ("TIMESTAMP", "DATE"))}
        found = next((name.name for name in rollup.dimensions if name.expression in texts), None)
        if found and begins(values[bounds.start], interval) and ends(values[bounds.end], interval):
            return found
    return None


def begins(moment: datetime, interval: Interval) -> bool:
    """Whether it is the first instant of a period; the first of all times is."""
    return moment in (EARLIEST, period_of(moment, interval))


def ends(moment: datetime, interval: Interval) -> bool:
    """Whether it is the last instant of a period; the last of all times is."""
    return moment == LATEST or begins(moment + _INSTANT, interval)


def period_of(moment: datetime, interval: Interval) -> datetime:
    """The first instant of the period that a moment lies in; weeks begin on Monday."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match interval:
        case Interval.DAY:
            return day
        case Interval.WEEK:
            # The first days of all have no Monday before them.
            return day - timedelta(days=min(day.weekday(), (day - EARLIEST).days))
        case Interval.MONTH:
            return day.replace(day=1)
        case Interval.QUARTER:
            return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
        case Interval.YEAR:
            return day.replace(month=1, day=1)
