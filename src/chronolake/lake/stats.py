"""What the catalog notes of a file's columns, so that a reader can pass a file over. Pure: Arrow in, texts out.

The texts are those of DuckLake's `ducklake_file_column_stats` (specification 1.0): a value as DuckDB casts it to
VARCHAR. A bound may be looser than the values, never tighter.
"""

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Longer texts are bounded by their beginning: a URL of a megabyte has no place in the catalog.
LONGEST_BOUND = 256
#: Sorts after whatever else follows a beginning.
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class ColumnStats:
    """One column of one file. `low` and `high` are null where there is no value, or no order worth noting."""

    name: str
    values: int
    nulls: int
    low: str | None
    high: str | None
    #: null for columns that can hold no NaN
    has_nan: bool | None


def column_stats(rows: pa.Table) -> list[ColumnStats]:
    """The stats of every column of `rows`."""
    return [_of(name, column) for name, column in zip(rows.column_names, rows.columns, strict=True)]


def wider(kind: pa.DataType, one: str | None, other: str | None, *, low: bool) -> str | None:
    """The bound that holds for both of two bounds of a column; a missing one is of no values."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other, key=_ordered(kind)) if low else max(one, other, key=_ordered(kind))


def lies_within(kind: pa.DataType, held: tuple[str | None, str | None], bounds: tuple[Any, Any]) -> bool:
    """Whether a column whose values are `held` by these texts surely has none outside `bounds`, null being open."""
    low, high = held
    if low is None or high is None:
        return False
    least, greatest = (None if bound is None else _text(pa.scalar(bound, kind)) for bound in bounds)
    ordered = _ordered(kind)
    return (least is None or ordered(low) >= ordered(least)) and (
        greatest is None or ordered(high) <= ordered(greatest)
    )


def _of(name: str, column: pa.ChunkedArray) -> ColumnStats:
    values = len(column) - column.null_count
    has_nan = None
    if pa.types.is_floating(column.type):
        has_nan = bool(pc.any(pc.is_nan(column)).as_py()) if values else False
    low = high = None
    if values and not has_nan:
        low, high = _bounds(column)
    return ColumnStats(name, values, column.null_count, low, high, has_nan)


def _bounds(column: pa.ChunkedArray) -> tuple[str | None, str | None]:
    if column.type == pa.uuid():
        return _uuid_bounds(column)
    if pa.types.is_binary(column.type):
        return None, None
    found = pc.min_max(column)
    low, high = found["min"], found["max"]
    if pa.types.is_string(column.type):
        return _text_bounds(low.as_py(), high.as_py())
    return _text(low), _text(high)


def _text(value: pa.Scalar) -> str:
    if pa.types.is_boolean(value.type):
        return "true" if value.as_py() else "false"
    if pa.types.is_floating(value.type):
        return repr(value.as_py())
    if pa.types.is_timestamp(value.type) and value.type.tz is not None:
        return str(value.cast(pa.timestamp("us")).cast(pa.string()).as_py()) + "+00"
    return str(value.cast(pa.string()).as_py())


def _text_bounds(low: str, high: str) -> tuple[str, str]:
    cut = high[:LONGEST_BOUND]
    return low[:LONGEST_BOUND], cut if len(cut) == len(high) else cut + _LAST


def _uuid_bounds(column: pa.ChunkedArray) -> tuple[str, str]:
    storage = pa.chunked_array([chunk.storage for chunk in column.chunks]).combine_chunks().drop_null()
    if isinstance(storage, pa.ChunkedArray):
        storage = storage.combine_chunks()
    start = storage.offset * 16
    pairs = np.frombuffer(storage.buffers()[1], ">u8")[start // 8 : start // 8 + 2 * len(storage)].reshape(
        -1, 2
    )
    first, last = pairs[:, 0].min(), pairs[:, 0].max()
    low = (int(first) << 64) | int(pairs[pairs[:, 0] == first, 1].min())
    high = (int(last) << 64) | int(pairs[pairs[:, 0] == last, 1].max())
    return str(uuid.UUID(int=low)), str(uuid.UUID(int=high))


def _ordered(kind: pa.DataType) -> Any:
    """What orders the texts of a kind as its values are: times and UUIDs of one width order as they are written."""
    if pa.types.is_integer(kind):
        return int
    if pa.types.is_floating(kind):
        return float
    # Python orders by code points, which is the order of UTF-8's bytes, DuckDB's own.
    return str
