"""What a rollup would take, told before it is made.

One scan of the table serves all whose cells are groups of its rows. Others are computed for a share of what they can be
computed by.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from chronolake.lake.cells import cells_of
from chronolake.lake.engine import identifier
from chronolake.lake.rollup import Rollup

#: Rows of a table that are looked at. The engine takes some seconds for them, for each rollup.
SAMPLE_ROWS = 20_000_000
#: About so many rows are looked at where cells have to be computed to be counted.
COMPUTED_ROWS = 1_000_000
#: Bytes that a value of a cell takes in its file, compressed, by its type. Cells are sorted by their dimensions, so
#: that these take little; their name is a hash, which nothing compresses.
_BYTES = {
    "UUID": 16.0,
    "VARCHAR": 4.0,
    "DATE": 1.0,
    "INTEGER": 1.5,
    "BOOLEAN": 0.2,
    "TIMESTAMP": 5.0,
    "DOUBLE": 6.0,
}
#: Of all others: counts and sums of them, which are small numbers in wide columns.
_BYTES_OF_OTHERS = 3.0


@dataclass(frozen=True)
class Estimate:
    """About how many cells and bytes a rollup would have; `rows` are those of its table."""

    cells: int
    bytes: int
    rows: int


def estimated(cursor: duckdb.DuckDBPyConnection, rollups: Sequence[Rollup], rows: int) -> list[Estimate]:
    """Estimates of rollups of one table that has `rows`, each with its types, in their order.

    Of a larger table than SAMPLE_ROWS a part is looked at. What is different in a part cannot tell what is different in
    the whole: it is between as many and as many times as the whole is larger. The middle of these is taken, so that it
    is off by the square root of that at most.
    """
    if not rollups or not rows:
        return [Estimate(0, 0, rows) for _ in rollups]
    plain = [rollup for rollup in rollups if not rollup.rows and not rollup.having]
    cells = dict(zip((rollup.name for rollup in plain), _of_groups(cursor, plain, rows), strict=True))
    for rollup in rollups:
        if rollup.name not in cells:
            cells[rollup.name] = min(rows, _of_share(cursor, rollup, rows))
    return [
        Estimate(cells[rollup.name], round(cells[rollup.name] * _cell_bytes(rollup)), rows)
        for rollup in rollups
    ]


def _of_groups(cursor: duckdb.DuckDBPyConnection, rollups: Sequence[Rollup], rows: int) -> list[int]:
    if not rollups:
        return []
    columns = ["count(*)", *(_counted(rollup) for rollup in rollups)]
    share = min(1.0, SAMPLE_ROWS / rows)
    sample = "" if share == 1 else f" TABLESAMPLE system({100 * share} PERCENT)"
    found = cursor.execute(
        f"SELECT {', '.join(columns)} FROM {identifier(rollups[0].source)}{sample}"
    ).fetchone()
    seen, *different = found or (0,)
    # A part without rows tells nothing: then each row may be a cell.
    more = math.sqrt(rows / seen) if seen else 0.0
    return [min(rows, round(count * max(1.0, more))) if seen else rows for count in different]


def _of_share(cursor: duckdb.DuckDBPyConnection, rollup: Rollup, rows: int) -> int:
    """All cells of one in so many of the groups, or of the domains, which are whole in it."""
    one_in = max(1, rows // COMPUTED_ROWS)
    keys = rollup.reads if rollup.rows else [found.expression for found in rollup.dimensions]
    only = f"hash({', '.join(keys)}) % {one_in} = 0"
    found = cursor.execute(f"SELECT count(*) FROM ({cells_of(rollup, None, only=only)})").fetchone()
    return int(found[0]) * one_in if found else 0


def _counted(rollup: Rollup) -> str:
    if not rollup.dimensions:
        return "1"
    hashed = f"approx_count_distinct(hash({', '.join(found.expression for found in rollup.dimensions)}))"
    where = " AND ".join(f"({condition})" for condition in rollup.where)
    return f"{hashed} FILTER (WHERE {where})" if where else hashed


def _cell_bytes(rollup: Rollup) -> float:
    kinds = ["UUID", *(found.kind for found in rollup.dimensions), *(found.kind for found in rollup.measures)]
    return sum(_BYTES.get(kind, _BYTES_OF_OTHERS) for kind in kinds)
