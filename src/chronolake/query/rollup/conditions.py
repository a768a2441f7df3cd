"""What a statement asks of rows, taken apart: conditions, and those of them that name parameters. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlglot import exp

from chronolake.query.moment import EARLIEST, LATEST


@dataclass(frozen=True)
class Bounds:
    """`column` lies between two parameters, which are times."""

    column: exp.Column
    start: str
    end: str

    def are_open(self, values: Mapping[str, Any]) -> bool:
        """Whether with these values every time lies between them."""
        return (values[self.start], values[self.end]) == (EARLIEST, LATEST)


def text_of(node: exp.Expr) -> str:
    """A node in DuckDB's SQL; equal texts mean the same over one table."""
    return node.sql(dialect="duckdb", comments=False)


def listed(found: object) -> list[exp.Expr]:
    """The nodes of an argument that has one, several or none."""
    if isinstance(found, list):
        return [part for part in found if isinstance(part, exp.Expr)]
    return [found] if isinstance(found, exp.Expr) else []


def conditions(select: exp.Select) -> list[exp.Expr]:
    """What its WHERE asks of a row, all of which has to be true; without what always is."""
    whole = select.args.get("where")
    said = listed(whole and whole.this)
    if said and isinstance(said[0], exp.And):
        said = list(said[0].flatten())
    return [condition for condition in said if not (isinstance(condition, exp.Boolean) and condition.this)]


def pins(condition: exp.Expr) -> exp.EQ | None:
    """The condition, where it says that a column is equal to a parameter."""
    if not isinstance(condition, exp.EQ):
        return None
    named = isinstance(condition.this, exp.Column) and isinstance(condition.expression, exp.Placeholder)
    return condition if named else None


def bounds_of(condition: exp.Expr, values: Mapping[str, Any]) -> Bounds | None:
    """The time range that a condition asks for, where that is all that it does."""
    if not isinstance(condition, exp.Between):
        return None
    column, low, high = condition.this, condition.args["low"], condition.args["high"]
    ends = [values.get(end.name) for end in (low, high) if isinstance(end, exp.Placeholder)]
    if not isinstance(column, exp.Column) or [isinstance(end, datetime) for end in ends] != [True, True]:
        return None
    return Bounds(column, low.name, high.name)


def grouped_by(select: exp.Select) -> tuple[exp.Expr, ...] | None:
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
