"""Generated captures straight into a home: its lake, and where asked for its PostgreSQL.

This is no ingest. Nothing is parsed, checked for duplicates or entered in the ledger: rows go into PostgreSQL
by COPY and into the lake by `Lake.append`, the fastest way each has. The commit of one batch runs while the
next is being drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
from psycopg import Connection, sql

from chronolake.bench.captures import PROJECTS, Run
from chronolake.bench.generator import ahead
from chronolake.bench.tables import CHUNKS_PER_BATCH, batches_of, tables_of
from chronolake.bench.texts import strings
from chronolake.capture.columns import CDX_RECORDS
from chronolake.lake import Lake, Merged, TableInfo
from chronolake.oltp import Database, imports, projects
from chronolake.settings import load

#: Name of generated projects, by number from 1.
PROJECT_NAME = "generated-{number}"
#: Rows turned into text for COPY at once.
_COPY_ROWS = 50_000
_HEX = np.array([f"{byte:02x}".encode() for byte in range(256)], dtype="S2").view(np.uint8).reshape(256, 2)


def fill_home(run: Run, home: Path, *, postgres: bool) -> int:
    """Fill the lake of the home folder `home`, and its PostgreSQL too where asked; return the lake's bytes.

    Raises:
        DatabaseError: PostgreSQL failed.
        LakeError: the lake failed.
    """
    settings = load(CHRONOLAKE_HOME=str(home))
    with Database.open(settings) as database, Lake.open(settings, database.url) as lake:
        names = Names.reserve(run, database)
        fill_lake(run, names, lake)
        compact(lake)
        if postgres:
            fill_postgres(run, names, database)
        return held(lake).bytes


@dataclass(frozen=True)
class Names:
    """What a database calls the projects and batches of a run: both stores must say the same."""

    project_ids: list[int]
    batch_ids: list[int]

    @classmethod
    def reserve(cls, run: Run, database: Database) -> "Names":
        """Make the projects where they are missing, and take batch numbers that nobody else will have."""
        with database.connection() as conn:
            return cls(
                [projects.ensure(conn, PROJECT_NAME.format(number=n)) for n in range(1, PROJECTS + 1)],
                [imports.next_batch(conn) for _ in range(batches_of(run))],
            )


def fill_lake(run: Run, names: Names, lake: Lake) -> None:
    """Append the captures to the lake, CHUNKS_PER_BATCH chunks a commit."""

    def append(rows: pa.Table) -> None:
        lake.append(CDX_RECORDS, rows)

    for _ in ahead(append, _groups(tables_of(run, names.project_ids, names.batch_ids)), threads=1):
        pass


def compact(lake: Lake) -> list[Merged]:
    """Merge the lake's files until they lie as they do in production."""
    return list(lake.compactor().compact())


def fill_postgres(run: Run, names: Names, database: Database) -> None:
    """Copy the captures into PostgreSQL, a transaction a chunk, and renew the planner's statistics."""

    def copy(rows: pa.Table) -> None:
        with database.connection() as conn:
            copy_rows(conn, rows)

    for _ in ahead(copy, tables_of(run, names.project_ids, names.batch_ids), threads=1):
        pass
    with database.connection() as conn:
        conn.commit()
        conn.autocommit = True
        try:
            # Also sets the visibility map, as autovacuum would in time: without it no index-only scan is one.
            conn.execute("VACUUM (ANALYZE) cdx_records")
        finally:
            conn.autocommit = False


def held(lake: Lake) -> TableInfo:
    """The captures in the lake: how many, in how many files and bytes."""
    return next(table for table in lake.info().tables if table.name == CDX_RECORDS.name)


def copy_rows(conn: Connection, rows: pa.Table) -> None:
    """Copy `rows`, in the declared columns, into PostgreSQL's `cdx_records`."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name in rows.column_names)
    statement = sql.SQL("COPY cdx_records ({}) FROM STDIN (FORMAT csv)").format(names)
    options = pv.WriteOptions(include_header=False)
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for first in range(0, rows.num_rows, _COPY_ROWS):
            text = pa.BufferOutputStream()
            pv.write_csv(_as_text(rows.slice(first, _COPY_ROWS)), text, options)
            copy.write(text.getvalue())


def _as_text(rows: pa.Table) -> pa.Table:
    """The rows with the columns that CSV cannot hold as PostgreSQL reads them in text."""
    columns = []
    for field, column in zip(rows.schema, rows.combine_chunks().columns, strict=True):
        array = column.chunk(0)
        if field.type == pa.uuid():
            raw = np.frombuffer(array.storage.buffers()[1], dtype=np.uint8)
            start = array.storage.offset * 16
            columns.append(strings(_HEX[raw[start : start + 16 * len(array)]].reshape(len(array), 32)))
        elif field.type == pa.binary():
            escaped = [None if raw is None else "\\x" + raw.hex() for raw in array.to_pylist()]
            columns.append(pa.array(escaped, pa.string()))
        else:
            columns.append(array)
    return pa.table(columns, names=rows.column_names)


def _groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Tables joined by CHUNKS_PER_BATCH."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if len(held) == CHUNKS_PER_BATCH:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
