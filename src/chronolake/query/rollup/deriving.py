"""The rollup that a block would need: its own groups, of all rows, kept. Pure."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from chronolake.lake.rollup import Combine, Dimension, Measure, Rollup
from chronolake.query.rollup.block import Block, blocks
from chronolake.query.rollup.conditions import text_of

#: Cells that are told apart by it serve those who may look at some projects only.
PROJECT = "project_id"
_COMBINES: dict[type, Combine] = {
    exp.Min: Combine.MIN,
    exp.Max: Combine.MAX,
    exp.Sum: Combine.SUM,
    exp.Count: Combine.SUM,
}


def wanted(tree: exp.Expr, values: Mapping[str, Any], *, by_project: bool) -> list[Rollup]:
    """The rollups that a shaped statement would read from; blocks of the same groups share one."""
    found: dict[Hashable, Rollup] = {}
    for block in blocks(tree, values):
        rollup = derived(block, by_project=by_project)
        groups = frozenset(dimension.expression for dimension in rollup.dimensions)
        key = rollup.source, rollup.rows, rollup.where, rollup.having, groups
        found[key] = _with_measures(found[key], rollup.measures) if key in found else rollup
    return list(found.values())


def derived(block: Block, *, by_project: bool) -> Rollup:
    """The rollup whose cells answer the block: whatever the pinned values, over all time.

    Cells of `by_project` are told apart by project too, which those need who may look at some projects only.
    """
    apart_by = {text_of(part): part for part in _apart_by(block, by_project=by_project)}
    columns = {column.name: column for column in block.source.columns}
    # What a chain shows may be null, whatever it is called; but not what it is told apart by.
    never_null = {
        name
        for name, column in columns.items()
        if not column.nullable and (block.chain is None or name in {block.chain.by, PROJECT})
    }
    of_rows = (
        (*apart_by.values(), *block.where) if block.chain is None else _keys(block, by_project=by_project)
    )
    read = {found.name for part in of_rows for found in part.find_all(exp.Column)}
    return Rollup(
        source=block.source.name,
        rows=rows_of(block, by_project=by_project),
        where=tuple(sorted(text_of(condition) for condition in block.where)),
        having=tuple(sorted(text_of(condition) for condition in block.having)),
        reads=tuple(name for name in columns if name in read),
        dimensions=tuple(
            Dimension(
                name=part.name if isinstance(part, exp.Column) else f"d{number}",
                expression=text,
                nullable=not _is_plain(part)
                or any(found.name not in never_null for found in part.find_all(exp.Column)),
            )
            for number, (text, part) in enumerate(apart_by.items(), 1)
        ),
        measures=tuple(
            measure
            for number, aggregate in enumerate(block.aggregates, 1)
            for measure in _measures(aggregate, f"m{number}")
        ),
    )


def _with_measures(rollup: Rollup, more: Sequence[Measure]) -> Rollup:
    """The rollup with those measures too that it lacks, under names of their own."""
    held = {measure.expression for measure in rollup.measures}
    names: dict[str, str] = {}
    added = []
    for measure in more:
        if measure.expression not in held:
            name = names.setdefault(measure.expression, f"m{len(held) + len(names) + 1}")
            added.append(replace(measure, name=name if measure.place is None else f"{name}_{measure.place}"))
    return replace(rollup, measures=(*rollup.measures, *added))


def rows_of(block: Block, *, by_project: bool) -> tuple[tuple[str, str], ...]:
    """The CTEs that a block's rows come from; none where they are the table's own."""
    if block.chain is None:
        return ()
    return block.chain.told_apart_by(PROJECT) if by_project else block.chain.ctes


def _apart_by(block: Block, *, by_project: bool) -> tuple[exp.Expr, ...]:
    return *_keys(block, by_project=by_project), *block.apart_by


def _keys(block: Block, *, by_project: bool) -> list[exp.Expr]:
    """What cells are told apart by whatever the block asks."""
    names = [*([PROJECT] if by_project else []), *([block.chain.by] if block.chain else [])]
    return [exp.column(name) for name in names]


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
