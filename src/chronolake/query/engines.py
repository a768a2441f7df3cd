"""The two engines behind one face: a statement and its values in, rows out, within a deadline."""

from collections.abc import Mapping
from typing import Any

import duckdb
import psycopg
from psycopg.rows import dict_row

from chronolake.errors import LakeIncomplete, QueryTimeout
from chronolake.lake import Lake, Snapshot, interrupting
from chronolake.oltp import Database
from chronolake.query import freshness
from chronolake.query.freshness import Freshness

Rows = list[dict[str, Any]]

#: Sets the deadline of the transaction's next statements, and tells where the WAL is, in one round trip.
_BEFORE = "SELECT set_config('statement_timeout', %s, true), pg_current_wal_lsn()::text"


def run_duckdb(
    lake: Lake,
    database: Database,
    text: str,
    values: Mapping[str, Any],
    timeout_s: float,
    *,
    whole: bool,
) -> tuple[Rows, Freshness]:
    """Ask the lake; how fresh it is comes from its checkpoint and the ledger.

    Raises:
        LakeIncomplete: the lake was to be `whole`, and nobody knows what it lacks.
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    with database.connection() as conn:
        fresh = freshness.of_lake(conn)
    if whole and fresh.as_of_lsn is None:
        raise LakeIncomplete("it has not followed PostgreSQL yet")
    with lake.errors_translated(), lake.cursor() as cursor, interrupting(cursor, timeout_s):
        cursor.execute(text, dict(values))
        return rows_of(cursor, cursor.fetchall()), fresh


def run_duckdb_as_of(
    lake: Lake, snapshot: Snapshot, text: str, values: Mapping[str, Any], timeout_s: float
) -> tuple[Rows, Freshness]:
    """Ask the lake as it was; `text` names the snapshot.

    Raises:
        QueryTimeout: the deadline passed.
        LakeError: the lake could not be used.
    """
    with lake.errors_translated(), lake.cursor() as cursor, interrupting(cursor, timeout_s):
        cursor.execute(text, dict(values))
        return rows_of(cursor, cursor.fetchall()), freshness.of_snapshot(snapshot)


def rows_of(cursor: duckdb.DuckDBPyConnection, fetched: list[tuple[Any, ...]]) -> Rows:
    """Rows as mappings by the names of the cursor's columns; of two of one name, the later is `name_2`."""
    names: list[str] = []
    for column in cursor.description or ():
        name, number = str(column[0]), 1
        while name in names:
            number += 1
            name = f"{column[0]}_{number}"
        names.append(name)
    return [dict(zip(names, row, strict=True)) for row in fetched]


def run_postgres(
    database: Database, text: str, values: Mapping[str, Any], timeout_s: float
) -> tuple[Rows, Freshness]:
    """Ask PostgreSQL.

    Raises:
        QueryTimeout: the deadline passed.
        DatabaseError: PostgreSQL could not answer.
    """
    with database.connection() as conn:
        try:
            # Told before the query: the answer is what PostgreSQL held at that LSN, or later.
            told = conn.execute(_BEFORE, [str(max(1, round(timeout_s * 1000)))]).fetchone()
            fresh = freshness.of_postgres(told[1] if told else None)
            with conn.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(text.encode(), dict(values)).fetchall(), fresh
        except psycopg.errors.QueryCanceled:
            raise QueryTimeout(f"the query was stopped after {timeout_s:g} s", timeout_s=timeout_s) from None
