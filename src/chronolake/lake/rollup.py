"""What a rollup is: cells of one table, each the aggregates of the rows that have the same dimensions.

Pure, but for the look at the catalog that tells which rollups there are and how far they are. `rollups.py` makes them
and keeps them true.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any

from psycopg import Connection
from psycopg.errors import UndefinedTable

from chronolake.capture.columns import DUCKDB_TYPES, TABLES, Column, Table
from chronolake.errors import LakeError

#: In the catalog's schema. `snapshot_id` is the one that the cells are true of, null before they were ever made,
#: `held_in` the first that has them; `lsn` and `noted_at` are the stream's checkpoint in the former.
OWN_TABLE = """
CREATE TABLE IF NOT EXISTS chronolake_rollups (
    name text PRIMARY KEY,
    definition jsonb NOT NULL,
    asked text NOT NULL,
    snapshot_id bigint,
    held_in bigint,
    lsn pg_lsn,
    noted_at timestamptz,
    cells bigint,
    seconds double precision,
    error text,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    refreshed_at timestamptz
);
"""
#: The cell's own name, a hash of its dimensions.
CELL = "cell"
#: Types that sums are kept in, which DuckDB would add up in a wider one.
_KEPT_AS = {"HUGEINT": "BIGINT"}
_ARROW_TYPES = {name: kind for kind, name in DUCKDB_TYPES.items()}


class Combine(StrEnum):
    """How a measure of several cells comes of the measure of each."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"
    NONE = "none"  #: it does not: what is different, and what lies in the middle, cannot be told from parts


@dataclass(frozen=True)
class Dimension:
    """An expression over the table's columns, in DuckDB's SQL; rows of one cell have the same value of it."""

    name: str
    expression: str
    nullable: bool
    kind: str = ""


@dataclass(frozen=True)
class Measure:
    """An aggregate over the table's columns, in DuckDB's SQL. `place` picks from an aggregate that is a list."""

    name: str
    expression: str
    combine: Combine
    place: int | None = None
    kind: str = ""


@dataclass(frozen=True)
class Rollup:
    """Cells of `source`: what they are told apart by, and what each holds of the rows where every `where` is true.

    Its rows are the table's own, or those of the last of the CTEs `rows`, each a name and its text, which read the
    table and can be computed for each value of `reads` alone. Otherwise `reads` are the columns of the table that
    dimensions and `where` need. Only groups that fulfil every `having` are cells. Kinds are DuckDB's types, empty until
    the engine has told them.
    """

    source: str
    where: tuple[str, ...]
    reads: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    having: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()

    @cached_property
    def name(self) -> str:
        """The lake's table of it; equal for equal rollups."""
        told = [
            self.source,
            sorted(self.where),
            sorted(dimension.expression for dimension in self.dimensions),
            sorted((measure.expression, measure.place or 0) for measure in self.measures),
            # What most have none of is left out, so that they keep the names that they were made under.
            *([sorted(self.having), self.rows] if self.having or self.rows else []),
        ]
        return f"rollup_{blake2b(json.dumps(told).encode(), digest_size=6).hexdigest()}"

    @cached_property
    def table(self) -> Table:
        """Its cells as a table of the lake.

        Raises:
            LakeError: a column would have a type that the lake does not keep.
        """
        # Rows are put in order by columns that are never null.
        order = tuple(dimension.name for dimension in self.dimensions if not dimension.nullable)
        names = {dimension.name for dimension in self.dimensions}
        bucket_by = TABLES[self.source].bucket_by
        return Table(
            name=self.name,
            meaning=f"Cells of {self.source}.",
            key=CELL,
            sort=order or (CELL,),
            postgres_table="",
            bucket_by=bucket_by if bucket_by in order else None,
            project_by="project_id" if "project_id" in names else None,
            columns=(
                Column(CELL, "hash of the dimensions", "", _ARROW_TYPES["UUID"], nullable=False),
                *(
                    Column(d.name, d.expression, "", _arrow(d.kind), nullable=d.nullable)
                    for d in self.dimensions
                ),
                *(Column(m.name, m.expression, "", _arrow(m.kind)) for m in self.measures),
            ),
        )

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Rollup":
        """What `document` told."""
        return cls(
            source=document["source"],
            where=tuple(document["where"]),
            reads=tuple(document["reads"]),
            dimensions=tuple(Dimension(**found) for found in document["dimensions"]),
            measures=tuple(
                Measure(**{**found, "combine": Combine(found["combine"])}) for found in document["measures"]
            ),
            having=tuple(document.get("having", ())),
            rows=tuple((name, text) for name, text in document.get("rows", ())),
        )


@dataclass(frozen=True)
class RollupState:
    """A rollup and how far it is. `asked` says what it was made for.

    `current`: no row of its table has changed since the snapshot that its cells are true of; `held_in` is the first
    that has these cells, which is a later one. `error` is what kept the newest refresh from being done, null where it
    was. Its cells were computed last in so many `seconds`, `rested_s` seconds ago.
    """

    rollup: Rollup
    asked: str
    snapshot_id: int | None
    held_in: int | None
    current: bool
    lsn: str | None
    noted_at: datetime | None
    cells: int | None
    seconds: float | None
    error: str | None
    refreshed_at: datetime | None
    rested_s: float | None = None

    def document(self) -> dict[str, Any]:
        """The same as JSON values, without the rollup's columns."""
        return {
            "name": self.rollup.name,
            "asked": self.asked,
            "source": self.rollup.source,
            "dimensions": [dimension.expression for dimension in self.rollup.dimensions],
            "measures": len(self.rollup.measures),
            "cells": self.cells,
            "current": self.current,
            "snapshot_id": self.snapshot_id,
            "refreshed_at": self.refreshed_at and self.refreshed_at.isoformat(),
            "seconds": self.seconds,
            "error": self.error,
        }


def kept_as(kind: str) -> str:
    """The type in which a column of the engine's type `kind` is kept."""
    return _KEPT_AS.get(kind, kind)


def states(conn: Connection, schema: str) -> list[RollupState]:
    """Every rollup of the lake whose catalog is `schema`, oldest first; none where the lake is older than they are."""
    try:
        rows = conn.execute(
            f"""
            SELECT r.definition::text, r.asked, r.snapshot_id, r.held_in,
                coalesce(r.snapshot_id >= coalesce(c.snapshot_id, 0), false),
                r.lsn::text, r.noted_at, r.cells, r.seconds, r.error, r.refreshed_at,
                extract(epoch FROM clock_timestamp() - r.refreshed_at)::float8
            FROM {schema}.chronolake_rollups r
            LEFT JOIN {schema}.chronolake_changed c ON c.table_name = r.definition->>'source'
            ORDER BY r.made_at, r.name
            """.encode()
        ).fetchall()
    except UndefinedTable:
        return []
    return [RollupState(_read(row[0]), *row[1:]) for row in rows]


@lru_cache(maxsize=1000)
def _read(definition: str) -> Rollup:
    """Read once: a rollup is never another under the same name."""
    return Rollup.of_document(json.loads(definition))


def _arrow(kind: str) -> Any:
    found = _ARROW_TYPES.get(kind)
    if found is None:
        raise LakeError(f"a rollup keeps no column of the type {kind}")
    return found
