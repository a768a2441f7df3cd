"""Whether PostgreSQL and the lake hold the same rows, told by reading both and comparing.

Slow and simple on purpose: this is what a faster comparison is to be checked against.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from psycopg import sql

from chronolake.capture.columns import CDX_RECORDS, CONTENT_ANALYTICS, TABLES, Table
from chronolake.lake import Lake
from chronolake.oltp import Database

#: What `chronolake ingest` brings into both stores by itself; the other tables' rows come by the sync.
INGESTED = (CDX_RECORDS, CONTENT_ANALYTICS)
#: Differences that are told of one table at most.
SHOWN = 5


def differences(database: Database, lake: Lake, tables: Iterable[Table] = TABLES.values()) -> list[str]:
    """Compare `tables`, all synced ones if none are named, row by row; an empty list says that both are equal.

    A row that one store holds twice is a difference too. Reads everything into memory.
    """
    found: list[str] = []
    for table in tables:
        truth = Counter(_postgres_rows(database, table))
        copy = Counter(_lake_rows(lake, table))
        for holder, rows in (("PostgreSQL", truth - copy), ("the lake", copy - truth)):
            found.extend(f"{table.name}: only {holder} holds {row}" for row in list(rows.items())[:SHOWN])
    return found


def _postgres_rows(database: Database, table: Table) -> list[tuple[Any, ...]]:
    statement = sql.SQL("SELECT {} FROM {}").format(
        # A real is told with as few digits as tell it apart; the lake gives all of them.
        sql.SQL(", ").join(
            sql.SQL("{}::double precision" if column.postgres == "real" else "{}").format(
                sql.Identifier(column.name)
            )
            for column in table.stored
        ),
        sql.Identifier(table.postgres_table),
    )
    with database.connection() as conn:
        return conn.execute(statement).fetchall()


def _lake_rows(lake: Lake, table: Table) -> list[tuple[Any, ...]]:
    names = ", ".join(f'"{column.name}"' for column in table.stored)
    with lake.cursor() as cursor:
        return cursor.execute(f"SELECT {names} FROM {table.name}").fetchall()
