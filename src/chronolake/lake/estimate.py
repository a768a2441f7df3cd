"""What a rollup would take, told before it is made: one scan of its table for all that are asked about."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from chronolake.lake.engine import identifier
from chronolake.lake.rollup import Rollup

#: Rows of a table that are looked at. The engine takes some seconds for them, for each rollup.
SAMPLE_ROWS = 20_000_000
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
    columns = ["count(*)", *(_counted(rollup) for rollup in rollups)]
    share = min(1.0, SAMPLE_ROWS / rows)
    sample = "" if share == 1 else f" TABLESAMPLE system({100 * share} PERCENT)"
    found = cursor.execute(
        f"SELECT {', '.join(columns)} FROM {identifier(rollups[0].source)}{sample}"
    ).fetchone()
    seen, *different = found or (0,)
    # A part without rows tells nothing: then each row may be a cell.
    more = math.sqrt(rows / seen) if seen else 0.0
    cells = [min(rows, round(count * max(1.0, more))) if seen else rows for count in different]
    return [
        Estimate(count, round(count * _cell_bytes(rollup)), rows)
        for count, rollup in zip(cells, rollups, strict=True)
    ]


def _counted(rollup: Rollup) -> str:
    if not rollup.dimensions:
        return "1"
    hashed = f"approx_count_distinct(hash({', '.join(found.expression for found in rollup.dimensions)}))"
    where = " AND ".join(f"({condition})" for condition in rollup.where)
    return f"{hashed} FILTER (WHERE {where})" if where else hashed


def _cell_bytes(rollup: Rollup) -> float:
    kinds = ["UUID", *(found.kind for found in rollup.dimensions), *(found.kind for found in rollup.measures)]
    return sum(_BYTES.get(kind, _BYTES_OF_OTHERS) for kind in kinds)
