"""What a question costs on each engine, estimated from what the catalogs note anyway. Pure.

Rows are what counts: the lake looks at all rows of the files that it opens, PostgreSQL at those that an index leads to,
or at all. The figures are of one machine, and only their proportions matter: what an estimate gets wrong, `learned`
puts right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chronolake.capture.columns import TABLES
from chronolake.lake import Reach
from chronolake.oltp.statistics import TableStatistics
from chronolake.query.scanned import Read

# Measured at 10 million captures on two cores (docs/results), without the question's own sorting and telling apart.
#: Milliseconds of a question that reads nothing: freshness, statement, rows back.
_LAKE_START_MS, _POSTGRES_START_MS = 5.0, 1.5
#: For each file that the lake opens.
_FILE_MS = 0.2
#: Nanoseconds for each row of the files: at all, and for each of its columns; of one domain's rows most are skipped.
_ROW_NS, _PINNED_ROW_NS, _COLUMN_NS = 25.0, 8.0, 4.0
#: Nanoseconds for each row of PostgreSQL: read one after the other, found by an index, or read from the index alone.
_SCAN_NS, _LOOKUP_NS, _COVERED_NS = 400.0, 1200.0, 300.0
#: An index that leads to more than this share of the rows is left alone: reading all is cheaper.
_LOOKUP_SHARE = 0.2


@dataclass(frozen=True)
class Estimate:
    """Milliseconds that an engine will take, and the rows that it will look at."""

    ms: float
    rows: int


def of_lake(reads: Sequence[Read], reaches: Sequence[Reach], values: Mapping[str, Any]) -> Estimate:
    """What these readings cost the lake, each with what it reaches."""
    ms = _LAKE_START_MS
    for read, reach in zip(reads, reaches, strict=True):
        pinned = read.pinned is not None and values.get(read.pinned) is not None
        row_ns = (_PINNED_ROW_NS if pinned else _ROW_NS) + _COLUMN_NS * len(read.columns)
        ms += reach.files * _FILE_MS + reach.rows * row_ns / 1e6
    return Estimate(ms, sum(reach.rows for reach in reaches))


def of_postgres(
    reads: Sequence[Read], tables: Mapping[str, TableStatistics], values: Mapping[str, Any]
) -> Estimate | None:
    """What these readings cost PostgreSQL, whose tables go by their own names; null where one is not known."""
    ms, rows = _POSTGRES_START_MS, 0.0
    for read in reads:
        declared = TABLES.get(read.table)
        table = None if declared is None else tables.get(declared.postgres_table)
        if table is None:
            return None
        found, row_ns = _road(read, table, values)
        rows += found
        ms += found * row_ns / 1e6
    return Estimate(ms, round(rows))


def _road(read: Read, table: TableStatistics, values: Mapping[str, Any]) -> tuple[float, float]:
    """The rows that PostgreSQL looks at for a reading, and nanoseconds for each, on the cheapest road."""
    roads = [(table.rows, _SCAN_NS)]
    for index in table.indexes:
        share = _share(index, read, table, values)
        if share is not None and share <= _LOOKUP_SHARE:
            covered = set(read.columns) <= set(index)
            roads.append((table.rows * share, _COVERED_NS if covered else _LOOKUP_NS))
    return min(roads, key=lambda road: road[0] * road[1])


def _share(
    index: tuple[str, ...], read: Read, table: TableStatistics, values: Mapping[str, Any]
) -> float | None:
    """The share of the rows that an index leads to; null where it does not help."""
    equal = {column: values[name] for column, name in read.equal if values.get(name) is not None}
    between = {
        column: (values[low], values[high])
        for column, low, high in read.between
        if values.get(low) is not None and values.get(high) is not None
    }
    share = 1.0
    helped = False
    for column in index:
        spread = table.spreads.get(column)
        if spread is None:
            break
        if column in equal:
            share *= spread.equal_to(str(equal[column]), table.rows)
            helped = True
            continue
        if column in between:
            low, high = between[column]
            share *= spread.between(str(low), str(high))
            helped = True
        # An index leads by its first columns; what comes after one that lies between only sifts.
        break
    return share if helped else None
