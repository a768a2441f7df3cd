"""What PostgreSQL's planner knows of tables: rows, indexes, how values are spread. One statement, no EXPLAIN."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from psycopg import Connection

from chronolake.oltp.statements import statement

#: Rows of a block of 8 KiB where nothing was counted yet: of captures, which are the widest.
_ROWS_OF_BLOCK = 16


@dataclass(frozen=True)
class Spread:
    """How a column's values are spread. `distinct` is their number, or below 0 a share of the rows.

    `common` are the most common ones with their `shares`; `bounds` cut the others into equally many rows.
    """

    distinct: float
    common: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    bounds: tuple[str, ...] = ()

    @cached_property
    def _share_of(self) -> dict[str, float]:
        return dict(zip(self.common, self.shares, strict=False))

    def equal_to(self, value: str, rows: float) -> float:
        """The share of the rows that have this value."""
        if value in self._share_of:
            return self._share_of[value]
        distinct = self.distinct if self.distinct >= 0 else -self.distinct * rows
        others = max(1.0, distinct - len(self.common))
        return max(0.0, 1.0 - sum(self.shares)) / others

    def between(self, low: str, high: str) -> float:
        """The share of the rows from `low` to `high`, as texts that sort as the values do."""
        inside = sum(
            share for value, share in zip(self.common, self.shares, strict=False) if low <= value <= high
        )
        return min(1.0, inside + max(0.0, 1.0 - sum(self.shares)) * self._of_bounds(low, high))

    def _of_bounds(self, low: str, high: str) -> float:
        pieces = len(self.bounds) - 1
        if pieces < 1:
            return 1.0 if not self.common else 0.0
        first, last = bisect_left(self.bounds, low), bisect_right(self.bounds, high)
        # Where a bound cuts a piece, half of that piece counts.
        begins = 0.0 if first == 0 else min(first, pieces) - 0.5
        ends = float(pieces) if last > pieces else max(0.0, last - 0.5)
        return min(1.0, max(0.0, ends - begins) / pieces)


@dataclass(frozen=True)
class TableStatistics:
    """A table of PostgreSQL: about how many rows, its indexes' columns, and the spread of those."""

    rows: float
    indexes: tuple[tuple[str, ...], ...] = ()
    spreads: Mapping[str, Spread] = field(default_factory=dict)


def of_tables(
    conn: Connection, tables: Collection[str], columns: Sequence[str]
) -> dict[str, TableStatistics]:
    """Statistics of these tables, with the spread of those of `columns` that they have."""
    values = {"tables": list(tables), "columns": list(columns)}
    return {
        name: TableStatistics(
            float(blocks * _ROWS_OF_BLOCK) if rows is None else rows,
            tuple(tuple(index) for index in indexes),
            {
                column: Spread(
                    told["distinct"], tuple(told["common"]), tuple(told["shares"]), tuple(told["bounds"])
                )
                for column, told in spreads.items()
            },
        )
        for name, rows, blocks, indexes, spreads in conn.execute(statement("planner_statistics"), values)
    }
