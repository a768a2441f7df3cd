"""What an engine did to answer, told the same way of both engines: a tree of steps. Pure.

Values and costs are left out, so that equal ways look equal whatever was asked for and however many rows there were.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError


class Compared(StrEnum):
    """How a condition looks at a column."""

    EQUAL = "equal"  #: to one value, or to one of several
    RANGE = "range"  #: between values, or on one side of one
    OTHER = "other"  #: in a way that no order of rows helps with


@dataclass(frozen=True, order=True)
class Condition:
    """A column that rows are told apart by, and how."""

    column: str
    compared: Compared


@dataclass(frozen=True)
class Step:
    """One step, fed by those in `steps`.

    `conditions` are what rows have to meet there, `by` the columns that it sorts by. `rows_in` is null where the engine
    does not count them, as DuckDB's scans do not. `time_share` is the step's own part of the time, 0 to 1.
    """

    operator: str
    table: str | None = None
    index: str | None = None
    conditions: tuple[Condition, ...] = ()
    by: tuple[str, ...] = ()
    rows_in: int | None = None
    rows_out: int = 0
    time_share: float = 0.0
    steps: tuple["Step", ...] = ()

    def walk(self) -> Iterator["Step"]:
        """This step and all that feed it, from above."""
        yield self
        for step in self.steps:
            yield from step.walk()

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Step":
        """What `document` told."""
        told = {
            "conditions": tuple(
                Condition(found["column"], Compared(found["compared"])) for found in document["conditions"]
            ),
            "by": tuple(document["by"]),
            "steps": tuple(cls.of_document(step) for step in document["steps"]),
        }
        return cls(**{**document, **told})


def fingerprint(step: Step) -> str:
    """64 bits, in hexadecimal: the same for plans of the same steps over the same tables, however many rows."""
    return blake2b(json.dumps(_told(step)).encode(), digest_size=8).hexdigest()


def lines(step: Step, depth: int = 0) -> Iterator[str]:
    """The plan as people read one: a line a step, fed by those that are further in below it."""
    told = [
        step.operator,
        *(f"on {step.table}" if step.table else "",),
        *(f"by {step.index}" if step.index else "",),
    ]
    if step.conditions:
        told.append("where " + ", ".join(f"{found.column} {found.compared}" for found in step.conditions))
    if step.by:
        told.append("ordered by " + ", ".join(step.by))
    fed = "" if step.rows_in is None else f"{step.rows_in} to "
    told.append(f"({fed}{step.rows_out} rows, {step.time_share:.0%} of the time)")
    yield "  " * depth + " ".join(part for part in told if part)
    for each in step.steps:
        yield from lines(each, depth + 1)


def with_time_shares(step: Step, own: Mapping[int, float]) -> Step:
    """The plan with each step's share of the time; `own` has the time of each by its number from above."""
    whole = sum(own.values())
    return _shared(step, iter(range(len(own))), own, whole)


def conditions_of(text: str, dialect: str) -> tuple[Condition, ...]:
    """The conditions that a text of an engine's plan names; none where it is no SQL that can be read."""
    try:
        tree = sqlglot.parse_one(text, read=dialect)
    except SqlglotError:
        return ()
    return tuple(sorted({condition for _, found in conditions_in(tree) for condition in found}))


def conditions_in(tree: exp.Expr) -> Iterator[tuple[exp.Expr, tuple[Condition, ...]]]:
    """What has to be true all at once, part by part, and the conditions of each."""
    for part in _parts(tree):
        yield part, tuple(_conditions(part))


def columns_of(texts: Sequence[str], dialect: str) -> tuple[str, ...]:
    """The columns that stand alone in texts of an engine's plan, in their order; what is computed is left out."""
    found: list[str] = []
    for text in texts:
        try:
            tree = sqlglot.parse_one(f"SELECT 1 ORDER BY {text}", read=dialect)
        except SqlglotError:
            continue
        order = tree.args.get("order")
        parts = [_uncollated(part.this) for part in order.expressions] if order else []
        found += [part.name for part in parts if isinstance(part, exp.Column)]
    return tuple(found)


def _uncollated(part: exp.Expr) -> exp.Expr:
    """Our texts sort by their bytes, which PostgreSQL tells of each."""
    part = part.unnest()
    return part.this.unnest() if isinstance(part, exp.Collate) else part


def _told(step: Step) -> list[Any]:
    conditions = [[condition.column, condition.compared] for condition in step.conditions]
    return [
        step.operator,
        step.table,
        step.index,
        conditions,
        list(step.by),
        [_told(each) for each in step.steps],
    ]


def _shared(step: Step, numbers: Iterator[int], own: Mapping[int, float], whole: float) -> Step:
    mine = own[next(numbers)]
    return replace(
        step,
        time_share=round(mine / whole, 4) if whole else 0.0,
        steps=tuple(_shared(each, numbers, own, whole) for each in step.steps),
    )


def _parts(tree: exp.Expr) -> Iterator[exp.Expr]:
    """What has to be true all at once, without parentheses."""
    tree = tree.unnest()
    if isinstance(tree, exp.And):
        for part in tree.flatten():
            yield from _parts(part)
    else:
        yield tree


def _conditions(part: exp.Expr) -> Iterator[Condition]:
    """The conditions of one part: of a column by itself beside a value, or of any column in it."""
    sides = [
        _uncollated(side) for side in (part.this, part.args.get("expression")) if isinstance(side, exp.Expr)
    ]
    columns = [side for side in sides if isinstance(side, exp.Column)]
    if len(columns) == 1 and len(list(part.find_all(exp.Column))) == 1:
        if isinstance(part, exp.EQ | exp.In):
            yield Condition(columns[0].name, Compared.EQUAL)
            return
        if isinstance(part, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Between):
            yield Condition(columns[0].name, Compared.RANGE)
            return
    for column in part.find_all(exp.Column):
        yield Condition(column.name, Compared.OTHER)
