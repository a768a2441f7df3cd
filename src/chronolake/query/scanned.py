"""A statement for DuckDB in two forms: over the lake's tables by name, and with gaps for their files. Pure.

What can be read from a list of files is told apart from what the statement does, so that one text serves whatever the
files are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlglot import exp

from chronolake.capture.columns import TABLES, Table
from chronolake.lake import Wanted
from chronolake.query.question import Question
from chronolake.query.route import Engine
from chronolake.query.text import rendered, scope_laid_over, tables_read

_GAP = "chronolake_gap"


@dataclass(frozen=True)
class Read:
    """A table that is read, the columns of it, and the parameter that its bucket column is equal to, where one is.

    `equal` has by column the parameter that all rows have there, `between` the two that it lies between.
    """

    table: str
    columns: tuple[str, ...]
    pinned: str | None
    equal: tuple[tuple[str, str], ...] = ()
    between: tuple[tuple[str, str, str], ...] = ()

    def within(self, values: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
        """From when to when its rows are asked for, by the table's own time; null where that is not said."""
        time = TABLES[self.table].time if self.table in TABLES else None
        for column, low, high in self.between:
            first, last = values.get(low), values.get(high)
            if column == time and isinstance(first, datetime) and isinstance(last, datetime):
                return first, last
        return None


@dataclass(frozen=True)
class Scanned:
    """`text` names the tables; `parts` are the same text around them, one more than there are `reads`."""

    text: str
    parts: tuple[str, ...]
    reads: tuple[Read, ...]

    def wanted(self, values: Mapping[str, Any]) -> list[Wanted]:
        """What is to be read with these values, in the order of the gaps."""
        return [
            Wanted(
                read.table,
                read.columns,
                None if read.pinned is None else values.get(read.pinned),
                read.within(values),
            )
            for read in self.reads
        ]

    def over(self, relations: Sequence[str]) -> str:
        """The text with a subquery in each gap."""
        filled = [part for pair in zip(self.parts, relations, strict=False) for part in pair]
        return "".join([*filled, self.parts[-1]])


@lru_cache(maxsize=256)
def of_question(question: Question, *, scoped: bool) -> Scanned:
    """A question's statement; `scoped` lays the scope over it, as a parameter of its own."""
    return of_tree(scope_laid_over(question.tree) if scoped else question.tree, TABLES)


def of_tree(tree: exp.Expr, tables: Mapping[str, Table]) -> Scanned:
    """A statement over these tables, the scope laid over it already."""
    text = rendered(tree, Engine.DUCKDB)
    tree = tree.copy()
    named = {column.name.lower() for column in tree.find_all(exp.Column)}
    reads = []
    for table in list(tables_read(tree)):
        declared = tables[table.name.lower()]
        columns = tuple(column.name for column in declared.columns if column.name.lower() in named)
        reads.append(_read(table, declared, columns))
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
        table.set("this", exp.to_identifier(f"{_GAP}_{len(reads) - 1}_", quoted=True))
    parts, order = _cut(rendered(tree, Engine.DUCKDB))
    return Scanned(text, parts, tuple(reads[number] for number in order))


def _cut(text: str) -> tuple[tuple[str, ...], list[int]]:
    """The text around the gaps, and the numbers of these in the order in which they come."""
    first, *rest = text.split(f'"{_GAP}_')
    parts, order = [first], []
    for piece in rest:
        number, _, after = piece.partition('_"')
        order.append(int(number))
        parts.append(after)
    return tuple(parts), order


def _read(table: exp.Table, declared: Table, columns: tuple[str, ...]) -> Read:
    """What is known of the rows of one reading: which parameters decide whether a row is among them."""
    equal: dict[str, str] = {}
    between: dict[str, tuple[str, str]] = {}
    for condition in _conditions(table):
        for column in declared.columns:
            if found := _equal_to(condition, column.name):
                equal.setdefault(column.name, found)
        if (bounds := _between(condition)) is not None:
            between.setdefault(bounds[0], bounds[1:])
    return Read(
        declared.name,
        columns,
        None if declared.bucket_by is None else equal.get(declared.bucket_by),
        tuple(equal.items()),
        tuple((column, *bounds) for column, bounds in between.items()),
    )


def _conditions(table: exp.Table) -> Iterator[object]:
    """What each of the rows that are read has to fulfil."""
    for select in _around(table):
        where = select.args.get("where")
        if where is None:
            continue
        yield from where.this.flatten() if isinstance(where.this, exp.And) else [where.this]


def _between(condition: object) -> tuple[str, str, str] | None:
    """Column and parameters of `column BETWEEN $low AND $high`."""
    if not isinstance(condition, exp.Between) or not isinstance(condition.this, exp.Column):
        return None
    low, high = condition.args["low"], condition.args["high"]
    if not isinstance(low, exp.Placeholder) or not isinstance(high, exp.Placeholder):
        return None
    return condition.this.name, low.name, high.name


def _around(table: exp.Table) -> Iterator[exp.Select]:
    """The SELECT that reads the table alone, and the one around it that does nothing but look through that one."""
    node: exp.Expr | None = table
    while node is not None and isinstance(node.parent, exp.From):
        select = node.parent.parent
        if not isinstance(select, exp.Select) or select.args.get("joins"):
            return
        yield select
        if not isinstance(select.parent, exp.Subquery) or not all(
            isinstance(shown.unalias(), exp.Star | exp.Column | exp.Cast) for shown in select.expressions
        ):
            return
        if select.args.get("group") or select.args.get("limit") or select.args.get("distinct"):
            return
        node = select.parent


def _equal_to(condition: object, column: str) -> str | None:
    """The parameter of `column = $p`, or of `$p IS NULL OR column = $p`."""
    if isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.Or):
        left_out = condition.this
        asked = left_out.this if isinstance(left_out, exp.Is) else None
        asked = asked.this if isinstance(asked, exp.Cast) else asked
        condition = condition.expression
        if not (isinstance(condition, exp.EQ) and condition.expression == asked):
            return None
    if not isinstance(condition, exp.EQ) or not isinstance(condition.expression, exp.Placeholder):
        return None
    of = condition.this
    return condition.expression.name if isinstance(of, exp.Column) and of.name == column else None
