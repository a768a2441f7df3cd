"""Hybrid questions: dimension rows as PostgreSQL has them now, joined to the lake's facts by the lake's engine.

What a project is called may change at any moment, and whoever renamed it looks for the new name at once; its captures
are millions, and a moment more or less of them is told by `lag_s`. So facts come from the lake and names from
PostgreSQL, by one statement that finds few rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import pyarrow as pa
from psycopg import Connection

from chronolake.capture.columns import PROJECTS
from chronolake.oltp import projects
from chronolake.query.scanned import Scanned
from chronolake.query.scope import Scope

#: Rows of a dimension that are taken from PostgreSQL for one question; where there are more, the lake's own are read.
MOST_ROWS = 10_000
NOTE = "names of projects are as PostgreSQL has them now"


@dataclass(frozen=True)
class Live:
    """Tables by name, with their rows of now; `state` is equal for equal rows."""

    tables: Mapping[str, pa.Table]
    state: str


def is_hybrid(statement: Scanned) -> bool:
    """Whether the statement joins facts to rows that are taken from PostgreSQL."""
    return any(read.table == PROJECTS.name for read in statement.reads)


def of_scope(conn: Connection, scope: Scope) -> Live | None:
    """The projects in scope as they are now; null where they are too many to be carried over."""
    rows = projects.live(conn, scope.project_ids, MOST_ROWS + 1)
    if len(rows) > MOST_ROWS:
        return None
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    schema = PROJECTS.arrow_schema
    table = pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )
    return Live({PROJECTS.name: table}, blake2b(repr(rows).encode(), digest_size=16).hexdigest())
