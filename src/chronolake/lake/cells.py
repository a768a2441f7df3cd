"""SQL for the cells of a rollup: all of them, or those that rows touched which came or went. Pure."""

from collections.abc import Sequence

from chronolake.lake.engine import identifier
from chronolake.lake.rollup import CELL, Dimension, Rollup

#: View of what was touched: cells by their dimensions `d0`, `d1` and so on, or what other `rows` can be computed by.
TOUCHED = "touched_cells"


def cells_of(rollup: Rollup, snapshot_id: int | None, *, of_touched: bool = False, only: str = "") -> str:
    """SQL for the cells as they are in a snapshot; null: in the newest.

    `of_touched` for those alone that the view TOUCHED names. `only` is a condition on the table's rows, which has to
    leave those together that are of one cell, or of one value of what `rows` can be computed by.
    """
    columns = [f"{_name_of(rollup.dimensions)} AS {CELL}"]
    columns += [f"{found.expression} AS {identifier(found.name)}" for found in rollup.dimensions]
    for measure in rollup.measures:
        picked = f"({measure.expression})" + (f"[{measure.place}]" if measure.place else "")
        kind = f"CAST({picked} AS {measure.kind})" if measure.kind else picked
        columns.append(f"{kind} AS {identifier(measure.name)}")
    table = identifier(rollup.source) + ("" if snapshot_id is None else f" AT (VERSION => {snapshot_id})")
    if of_touched:
        table += _touched(rollup)
    if not rollup.rows:
        where = [*rollup.where, *([only] if only else [])]
        return f"SELECT {', '.join(columns)} FROM {table}{_all_of('WHERE', where)}{_groups(rollup)}"
    chosen = f"SELECT {identifier(rollup.source)}.* FROM {table}{_all_of('WHERE', [only] if only else [])}"
    # The table under its own name, less the rows that are not asked for: so the texts stay as they are.
    named = [f"{identifier(rollup.source)} AS NOT MATERIALIZED ({chosen})"]
    named += [f"{identifier(name)} AS ({text})" for name, text in rollup.rows]
    last, _ = rollup.rows[-1]
    return (
        f"WITH {', '.join(named)} SELECT {', '.join(columns)}"
        f" FROM {identifier(last)}{_all_of('WHERE', rollup.where)}{_groups(rollup)}"
    )


def touched_by(rollup: Rollup, rows: str) -> str:
    """SQL for the view TOUCHED, of the columns that the rollup `reads` of rows that came or went.

    Where cells are groups of the table's own rows, with their names.
    """
    if rollup.rows:
        listed = ", ".join(f"{identifier(name)} AS d{number}" for number, name in enumerate(rollup.reads))
        return f"SELECT DISTINCT {listed} FROM ({rows})"
    listed = ", ".join(f"{found.expression} AS d{number}" for number, found in enumerate(rollup.dimensions))
    return (
        f"SELECT DISTINCT {_name_of(rollup.dimensions)} AS {CELL}, {listed}"
        f" FROM ({rows}){_all_of('WHERE', rollup.where)}"
    )


def cells_there(rollup: Rollup) -> str:
    """SQL for the names of the cells that there are of what the view TOUCHED names, for a rollup of other `rows`."""
    keys = [(identifier(found.name), found.nullable) for found in _parts(rollup)]
    name = f"unhex(replace(CAST({CELL} AS VARCHAR), '-', '')) AS {CELL}"
    return f"SELECT {name} FROM {identifier(rollup.name)} SEMI JOIN {TOUCHED} ON {_equal(keys)}"


def _touched(rollup: Rollup) -> str:
    """Lets those rows stay that the view TOUCHED names."""
    if rollup.rows:
        source = identifier(rollup.source)
        keys = [(f"{source}.{identifier(found.name)}", found.nullable) for found in _parts(rollup)]
    else:
        keys = [(found.expression, found.nullable) for found in rollup.dimensions]
    return f" SEMI JOIN {TOUCHED} ON {_equal(keys)}"


def _parts(rollup: Rollup) -> list[Dimension]:
    """The dimensions that are what other `rows` can be computed by, in the order of `reads`."""
    named = {found.expression: found for found in rollup.dimensions}
    return [named[name] for name in rollup.reads]


def _equal(keys: Sequence[tuple[str, bool]]) -> str:
    """That each expression, which may be null where that is said, is what the view TOUCHED has in its place."""
    return " AND ".join(
        f"{key} {'IS NOT DISTINCT FROM' if nullable else '='} {TOUCHED}.d{number}"
        for number, (key, nullable) in enumerate(keys)
    )


def _groups(rollup: Rollup) -> str:
    if not rollup.dimensions:
        return ""
    grouped = ", ".join(found.expression for found in rollup.dimensions)
    return f" GROUP BY {grouped}{_all_of('HAVING', rollup.having)}"


def _all_of(word: str, conditions: Sequence[str]) -> str:
    return f" {word} {' AND '.join(f'({condition})' for condition in conditions)}" if conditions else ""


def _name_of(dimensions: Sequence[Dimension]) -> str:
    """The name of a cell: a hash of its dimensions, written so that no two lists of values look alike."""
    return f"unhex(md5(CAST(json_array({', '.join(found.expression for found in dimensions)}) AS VARCHAR)))"
