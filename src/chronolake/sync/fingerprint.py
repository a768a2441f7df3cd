"""Fingerprints of rows, and sums of them that do not ask for an order.

Both stores' rows are hashed by one engine: PostgreSQL's come as columns by the stream's own decoder, the lake's from
its files, and DuckDB's `hash` makes 64 bits of either. Two implementations, one of them in PostgreSQL's SQL, would
have to agree on how to write each type; this one need not (docs/decisions/0012-verify.md).

Pure: SQL and sums. `verify.py` reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from chronolake.capture.columns import Column, Table

#: Few enough to sum quickly, many enough that a bucket which differs names few rows: ten thousand of ten million.
BUCKETS = 1024
_NONE = "0::UBIGINT"


@dataclass
class Sums:
    """By bucket, how many rows there are and the sum of their fingerprints.

    A sum knows no order and forgets nothing: a row that is there twice counts twice, which XOR would not see. Python's
    integers have no end, so nothing is lost by overflow either.
    """

    rows: dict[int, int] = field(default_factory=dict)
    hashes: dict[int, int] = field(default_factory=dict)

    def add(self, found: Iterable[tuple[int, int, int]]) -> None:
        """Take in (bucket, rows, sum) of some more rows."""
        for bucket, rows, hashes in found:
            self.rows[bucket] = self.rows.get(bucket, 0) + rows
            self.hashes[bucket] = self.hashes.get(bucket, 0) + int(hashes)

    def total(self) -> int:
        """How many rows there are."""
        return sum(self.rows.values())

    def differing(self, other: "Sums") -> list[int]:
        """The buckets that are not the same in both."""
        return sorted(
            bucket
            for bucket in self.rows.keys() | other.rows.keys()
            if self.rows.get(bucket) != other.rows.get(bucket)
            or self.hashes.get(bucket) != other.hashes.get(bucket)
        )


def sums_sql(table: Table, source: str, *, fitting: bool = True) -> str:
    """(bucket, rows, sum of fingerprints) of every row of `source`; of rows that are not `fitting` it is 0.

    Such a row has a value that the lake's type cannot hold, so no row of the lake is like it.
    """
    fingerprint = row_hash(table) if fitting else _NONE
    return f"SELECT {bucket(table)}, count(*), sum({fingerprint}) FROM {source} GROUP BY 1"


def hashes_sql(table: Table, source: str, *, fitting: bool = True) -> str:
    """(key as text, fingerprint) of the rows of `source` whose bucket is in the list that is the one parameter."""
    fingerprint = row_hash(table) if fitting else _NONE
    return (
        f"SELECT {_named(table.key)}::VARCHAR AS key, {fingerprint} AS hash FROM {source}"
        f" WHERE list_contains(?::BIGINT[], {bucket(table)})"
    )


def cells_sql(table: Table, source: str, also: str) -> str:
    """(key as text, `also`, a hash of each column) of the rows of `source`; add a WHERE where not all are meant."""
    cells = ", ".join(f"hash({', '.join(_parts(column))})" for column in table.stored)
    return f"SELECT {_named(table.key)}::VARCHAR, {also}, [{cells}] FROM {source}"


def suspects_sql(table: Table) -> str:
    """The keys that do not have one row and the same fingerprint in `truth` and in the lake.

    The one parameter is the list of the buckets to look in.
    """
    return (
        "SELECT key FROM (SELECT key, hash, 1 AS side FROM truth UNION ALL"
        f" SELECT key, hash, -1 FROM ({hashes_sql(table, table.name)}))"
        " GROUP BY key HAVING count(*) <> 2 OR sum(side) <> 0 OR min(hash) <> max(hash)"
    )


def row_hash(table: Table) -> str:
    """SQL of a row's fingerprint: of all columns that both stores hold, null and empty apart."""
    return f"hash({', '.join(part for column in table.stored for part in _parts(column))})"


def bucket(table: Table) -> str:
    """SQL of the bucket that a row is in, by its key."""
    return f"(hash({_named(table.key)}) % {BUCKETS})::BIGINT"


def _parts(column: Column) -> list[str]:
    name = _named(column.name)
    # To the engine's hash -0.0 is 0.0, but they are two values; one NaN is like another, as in PostgreSQL.
    return [name, f"({name} = 0 AND signbit({name}))"] if pa.types.is_floating(column.arrow) else [name]


def _named(name: str) -> str:
    return f'"{name}"'
