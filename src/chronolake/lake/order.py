"""Rows put into a table's order, partition after partition. Pure: Arrow in, Arrow out.

Sorting here costs less than in the engine: only keys are sorted, and each column is gathered once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.capture.columns import Table


def in_order(rows: pa.Table, table: Table) -> pa.Table:
    """Sort `rows` by the table's own order."""
    return _taken(rows, _order(rows, table, []))


@dataclass(frozen=True)
class Part:
    """The rows of one partition, which has these values; gathered only when they are asked for."""

    values: tuple[int, ...]
    _source: pa.Table
    #: where each row stands in the source; a range where the source is in order already
    _order: npt.NDArray[np.int64] | range

    @property
    def row_count(self) -> int:
        """How many rows it has."""
        return len(self._order)

    def rows(self) -> pa.Table:
        """The rows, sorted by the table's order; each call gathers them anew."""
        if isinstance(self._order, range):
            return self._source.slice(self._order.start, len(self._order))
        return _taken(self._source, self._order)

    def cut(self, max_rows: int) -> "list[Part]":
        """The same as parts of at most `max_rows` rows, in order."""
        starts = range(0, self.row_count, max_rows)
        return [Part(self.values, self._source, self._order[start : start + max_rows]) for start in starts]


def parts_in_order(rows: pa.Table, table: Table, partitions: Sequence[pa.ChunkedArray]) -> list[Part]:
    """Cut `rows` by partition; no partitions are one part, no rows are none.

    `partitions` holds integers, one for each row.
    """
    if rows.num_rows == 0:
        return []
    order, runs = order_of(rows, table, partitions)
    # Once for all parts.
    whole = rows.combine_chunks()
    return [Part(run.values, whole, order[run.start : run.end]) for run in runs]


@dataclass(frozen=True)
class Run:
    """Where in an order the rows of one partition lie, which has these values."""

    values: tuple[int, ...]
    start: int
    end: int

    def of(self, whole: pa.Table) -> Part:
        """The rows as a part of `whole`, which is in that order."""
        return Part(self.values, whole, range(self.start, self.end))


def order_of(
    rows: pa.Table, table: Table, partitions: Sequence[pa.ChunkedArray]
) -> tuple[npt.NDArray[np.int64], list[Run]]:
    """The order of `rows`, by partition and then the table's own, and where each partition lies in it.

    Only the columns that the table is sorted by are looked at; there is at least one row.
    """
    groups = [_numbers(values) for values in partitions]
    order = _order(rows, table, groups)
    placed = [group[order] for group in groups]
    changed = np.zeros(rows.num_rows - 1, dtype=bool)
    for group in placed:
        changed |= group[1:] != group[:-1]
    starts = [0, *(np.flatnonzero(changed) + 1).tolist(), rows.num_rows]
    return order, [
        Run(tuple(int(group[start]) for group in placed), start, end) for start, end in pairwise(starts)
    ]


def taken(column: pa.ChunkedArray, order: npt.NDArray[np.int64]) -> pa.Array:
    """The values of a column in an order."""
    # Formats leave many columns empty, and nulls need no gathering.
    if column.null_count == len(column):
        return pa.nulls(len(order), column.type)
    return _one_chunk(column).take(pa.array(order))


def _order(rows: pa.Table, table: Table, groups: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    keys = [*groups, *(_ranks(rows[name]) for name in table.sort)]
    # NumPy takes the most significant key last.
    return np.lexsort(keys[::-1])


def _taken(rows: pa.Table, order: npt.NDArray[np.int64]) -> pa.Table:
    return pa.Table.from_arrays([taken(column, order) for column in rows.columns], schema=rows.schema)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array, copied only where it is several: gathering from many is slow."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _numbers(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.asarray(values.cast(pa.int64()).to_numpy())


def _ranks(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Numbers that order as the values do: times as they are, texts by their place among distinct ones."""
    if pa.types.is_timestamp(values.type):
        return _numbers(values.cast(pa.int64()))
    if values.type == pa.uuid():
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], pa.binary(16))
    encoded = values.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    places = np.empty(len(encoded.dictionary), dtype=np.int64)
    # Arrow orders texts by their bytes, as DuckDB does.
    places[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(encoded.dictionary))
    return np.asarray(places[encoded.indices.to_numpy()])
