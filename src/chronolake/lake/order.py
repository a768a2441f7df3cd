"""Rows put into a table's order, partition after partition. Pure: Arrow in, Arrow out.

Sorting here costs less than in the engine: only keys are sorted, and each column is gathered once.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.capture.columns import Table


def in_order(rows: pa.Table, table: Table) -> pa.Table:
    """Sort `rows` by the table's own order."""
    return _taken(rows, _order(rows, table, []))


def parts_in_order(rows: pa.Table, table: Table, partitions: Sequence[pa.ChunkedArray]) -> Iterator[pa.Table]:
    """Yield the rows of each partition, sorted by the table's order; no partitions are one.

    `partitions` holds integers, one for each row. A part is gathered when it is asked for, so that no second
    copy of all rows is ever held.
    """
    if rows.num_rows == 0:
        return
    groups = [_numbers(values) for values in partitions]
    order = _order(rows, table, groups)
    changed = np.zeros(rows.num_rows - 1, dtype=bool)
    for group in groups:
        placed = group[order]
        changed |= placed[1:] != placed[:-1]
    starts = [0, *(np.flatnonzero(changed) + 1).tolist(), rows.num_rows]
    # Gathering from one chunk is several times faster than from many.
    whole = rows.combine_chunks()
    for start, end in pairwise(starts):
        yield _taken(whole, order[start:end])


def _order(rows: pa.Table, table: Table, groups: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    keys = [*groups, *(_ranks(rows[name]) for name in table.sort)]
    # NumPy takes the most significant key last.
    return np.lexsort(keys[::-1])


def _taken(rows: pa.Table, order: npt.NDArray[np.int64]) -> pa.Table:
    places = pa.array(order)
    columns = [
        # Formats leave many columns empty, and nulls need no gathering.
        pa.nulls(len(places), column.type)
        if column.null_count == rows.num_rows
        else column.combine_chunks().take(places)
        for column in rows.columns
    ]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _numbers(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.asarray(values.cast(pa.int64()).to_numpy())


def _ranks(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Numbers that order as the values do: times as they are, texts by their place among distinct ones."""
    if pa.types.is_timestamp(values.type):
        return _numbers(values.cast(pa.int64()))
    encoded = values.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    places = np.empty(len(encoded.dictionary), dtype=np.int64)
    # Arrow orders texts by their bytes, as DuckDB does.
    places[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(encoded.dictionary))
    return np.asarray(places[encoded.indices.to_numpy()])
