"""The rollup that a block would need: its own groups, of all rows, kept. Pure."""

from collections.abc import Iterator

from sqlglot import exp

from chronolake.lake.rollup import Combine, Dimension, Measure, Rollup
from chronolake.query.rollup.block import Block, text_of

_COMBINES: dict[type, Combine] = {
    exp.Min: Combine.MIN,
    exp.Max: Combine.MAX,
    exp.Sum: Combine.SUM,
    exp.Count: Combine.SUM,
}


def derived(block: Block, *, by_project: bool) -> Rollup:
    """The rollup whose cells answer the block: whatever the pinned values, over all time.

    Cells of `by_project` are told apart by project too, which those need who may look at some projects only.
    """
    apart_by = {text_of(part): part for part in block.apart_by}
    if by_project:
        project = exp.column("project_id")
        apart_by = {text_of(project): project} | apart_by
    columns = {column.name: column for column in block.source.columns}
    read = {found.name for part in (*apart_by.values(), *block.where) for found in part.find_all(exp.Column)}
    return Rollup(
        source=block.source.name,
        where=tuple(sorted(text_of(condition) for condition in block.where)),
        reads=tuple(name for name in columns if name in read),
        dimensions=tuple(
            Dimension(
                name=part.name if isinstance(part, exp.Column) else f"d{number}",
                expression=text,
                nullable=any(columns[found.name].nullable for found in part.find_all(exp.Column))
                or not _is_plain(part),
            )
            for number, (text, part) in enumerate(apart_by.items(), 1)
        ),
        measures=tuple(
            measure
            for number, aggregate in enumerate(block.aggregates, 1)
            for measure in _measures(aggregate, f"m{number}")
        ),
    )


def _is_plain(part: exp.Expr) -> bool:
    """Whether it is null only where a column of it is: a column, or a period of time."""
    inner = part.this if isinstance(part, exp.Cast) else part
    return isinstance(inner, exp.Column | exp.TimestampTrunc | exp.DateTrunc)


def _measures(aggregate: exp.Expr, name: str) -> Iterator[Measure]:
    text, combine = text_of(aggregate), combined_by(aggregate)
    wanted = list_length(aggregate)
    if wanted is None:
        yield Measure(name, text, combine)
        return
    for place in range(1, wanted + 1):
        yield Measure(f"{name}_{place}", text, combine, place)


def combined_by(aggregate: exp.Expr) -> Combine:
    """How the aggregate of several groups comes of the aggregate of each."""
    function = aggregate.this if isinstance(aggregate, exp.Filter | exp.WithinGroup) else aggregate
    if isinstance(function.this, exp.Distinct):
        return Combine.NONE
    return _COMBINES.get(type(function), Combine.NONE)


def list_length(aggregate: exp.Expr) -> int | None:
    """How many values an aggregate gives that gives a list; null for one that gives one value."""
    function = aggregate.this if isinstance(aggregate, exp.Filter | exp.WithinGroup) else aggregate
    if isinstance(aggregate, exp.WithinGroup) and isinstance(function.this, exp.Array):
        return len(function.this.expressions)
    return None
