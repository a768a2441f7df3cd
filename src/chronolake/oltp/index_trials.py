"""What an index would gain, tried before it is made.

Where the extension `hypopg` is, PostgreSQL plans with an index that is none. Elsewhere a part of the table is copied
into a temporary one of the same name, which stands before the table for this transaction alone: the same statements run
over it, with the index and without. The transaction is rolled back, so that nothing stays, whatever happens.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, sql

from chronolake.capture.columns import TABLES
from chronolake.oltp.migrate import SCHEMA
from chronolake.oltp.statements import one, statement

#: Rows of a copy: some seconds to make, and enough for an index to show what it is worth.
SAMPLE_ROWS = 100_000
#: Rows that are written to tell what an index costs whoever writes.
WRITTEN_ROWS = 10_000
#: Runs of a statement, of which the fastest counts: whatever else the machine does only adds to it.
RUNS = 5
#: Seconds of one statement on a copy, and of all that is tried in one transaction.
STATEMENT_S = 10.0
ALL_S = 120.0


@dataclass(frozen=True)
class Trial:
    """What statements took `before` and `after`, each weighted: milliseconds where `measured`, else the planner's cost.

    `bytes` are the index's, of the whole table. `write_us` is what a row more costs because of it, in microseconds.
    """

    before: float
    after: float
    measured: bool
    rows: int
    bytes: int
    write_us: float | None

    @property
    def gain(self) -> float:
        """The share of the time that it saves, 0 to 1."""
        return max(0.0, 1 - self.after / self.before) if self.before else 0.0


@dataclass(frozen=True)
class Statement:
    """A statement that is asked, its values, and for how many seconds in all."""

    text: str
    values: Mapping[str, Any]
    seconds: float


def tried(
    conn: Connection, table: str, candidates: Sequence[tuple[tuple[str, ...], Sequence[Statement]]]
) -> list[Trial | None]:
    """What an index of each list of columns of one table would gain for its statements, in their order.

    Null where there was no time to tell, or a statement did not end. The transaction of `conn` is rolled back.
    """
    try:
        schema = _hypopg(conn)
        if schema is not None:
            return [_planned(conn, schema, table, columns, asked) for columns, asked in candidates]
        rows = _copy(conn, table)
        deadline = time.monotonic() + ALL_S
        return [
            _measured(conn, table, columns, asked, rows) if time.monotonic() < deadline else None
            for columns, asked in candidates
        ]
    except psycopg.errors.QueryCanceled:
        # Even a copy takes too long.
        return [None] * len(candidates)
    finally:
        conn.rollback()


def _hypopg(conn: Connection) -> str | None:
    """The schema in which the extension is; null where it is not."""
    row = conn.execute(
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'hypopg'"
    ).fetchone()
    return str(row[0]) if row else None


def _planned(
    conn: Connection, schema: str, table: str, columns: Sequence[str], asked: Sequence[Statement]
) -> Trial | None:
    at = sql.Identifier(schema)
    wanted = sql.SQL("CREATE INDEX ON {} ({})").format(
        sql.Identifier(SCHEMA, table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    before = [_cost(conn, each) for each in asked]
    row = conn.execute(
        sql.SQL("SELECT indexrelid FROM {}.hypopg_create_index(%s)").format(at), [wanted.as_string(conn)]
    ).fetchone()
    made = row[0] if row else None
    try:
        after = [_cost(conn, each) for each in asked]
        told = conn.execute(sql.SQL("SELECT {}.hypopg_relation_size(%s)").format(at), [made]).fetchone()
    finally:
        conn.execute(sql.SQL("SELECT {}.hypopg_drop_index(%s)").format(at), [made])
    rows = max(0, int(one(conn, "table_rows", {"table": table})[0]))
    weighed = _weighed(asked, before, after)
    return Trial(*weighed, measured=False, rows=rows, bytes=int(told[0]) if told else 0, write_us=None)


def _cost(conn: Connection, asked: Statement) -> float:
    row = conn.execute(("EXPLAIN (FORMAT JSON) " + asked.text).encode(), dict(asked.values)).fetchone()
    return float(row[0][0]["Plan"]["Total Cost"]) if row else 0.0


def _copy(conn: Connection, table: str) -> int:
    """Let a part of the table stand before it; how many rows the whole table has, about."""
    _bound(conn)
    rows = int(one(conn, "table_rows", {"table": table})[0])
    share = 100.0 if rows <= SAMPLE_ROWS else 100 * SAMPLE_ROWS / rows
    name, whole = sql.Identifier("pg_temp", table), sql.Identifier(SCHEMA, table)
    conn.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {} INCLUDING INDEXES) ON COMMIT DROP").format(
            sql.Identifier(table), whole
        )
    )
    conn.execute(
        sql.SQL("INSERT INTO {} SELECT * FROM {} TABLESAMPLE SYSTEM ({}) LIMIT {}").format(
            name, whole, sql.Literal(share), sql.Literal(SAMPLE_ROWS)
        )
    )
    conn.execute(sql.SQL("ANALYZE {}").format(name))
    for declared in TABLES.values():
        # A view looks at the table that it was made over: one of the same columns looks at the copy.
        if declared.postgres_table == table and declared.name != table:
            conn.execute(
                sql.SQL("CREATE TEMPORARY VIEW {} AS SELECT {} FROM {}").format(
                    sql.Identifier(declared.name),
                    sql.SQL(", ").join(sql.Identifier(c.name) for c in declared.columns if c.postgres),
                    name,
                )
            )
    copied = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()
    return max(rows, int(copied[0]) if copied else 0)


def _measured(
    conn: Connection, table: str, columns: Sequence[str], asked: Sequence[Statement], rows: int
) -> Trial | None:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    name = sql.Identifier("pg_temp", table)
    try:
        with _undone(conn):
            before = [_took_ms(conn, each) for each in asked]
            conn.execute(sql.SQL("CREATE INDEX tried ON {} ({})").format(name, listed))
            after = [_took_ms(conn, each) for each in asked]
            found = conn.execute(
                sql.SQL("SELECT pg_relation_size('pg_temp.tried'), count(*) FROM {}").format(name)
            ).fetchone()
        write_us = _write_us(conn, name, listed)
    except psycopg.errors.QueryCanceled:
        return None
    size, copied = found or (0, 0)
    weighed = _weighed(asked, before, after)
    return Trial(
        *weighed, measured=True, rows=rows, bytes=round(size * rows / max(1, copied)), write_us=write_us
    )


def _took_ms(conn: Connection, asked: Statement) -> float:
    """The fastest of several runs."""
    text = ("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + asked.text).encode()
    took = []
    for _ in range(RUNS):
        row = conn.execute(text, dict(asked.values)).fetchone()
        took.append(float(row[0][0]["Execution Time"]) if row else 0.0)
    return min(took)


def _write_us(conn: Connection, name: sql.Identifier, listed: sql.Composed) -> float:
    """Microseconds that a row more takes because of the index."""
    took = []
    for index in (None, sql.SQL("CREATE INDEX ON pg_temp.chronolake_written ({})").format(listed)):
        with _undone(conn):
            conn.execute(sql.SQL("CREATE TEMPORARY TABLE chronolake_written (LIKE {})").format(name))
            if index is not None:
                conn.execute(index)
            started = time.perf_counter()
            written = conn.execute(
                sql.SQL("INSERT INTO pg_temp.chronolake_written SELECT * FROM {} LIMIT {}").format(
                    name, sql.Literal(WRITTEN_ROWS)
                )
            ).rowcount
            took.append((time.perf_counter() - started) * 1e6 / max(1, written))
    return max(0.0, took[1] - took[0])


def _weighed(
    asked: Sequence[Statement], before: Sequence[float], after: Sequence[float]
) -> tuple[float, float]:
    """What all take together: each as it took before counts as much as it was asked."""
    shares = [
        each.seconds * now / was if was else each.seconds
        for each, was, now in zip(asked, before, after, strict=True)
    ]
    whole = sum(each.seconds for each in asked)
    first = sum(each.seconds * was for each, was in zip(asked, before, strict=True)) / whole if whole else 0.0
    return first, first * sum(shares) / whole if whole else 0.0


@contextmanager
def _undone(conn: Connection) -> Iterator[None]:
    """A part of the transaction of which nothing stays."""
    with conn.transaction() as part:
        yield
        raise psycopg.Rollback(part)


def _bound(conn: Connection) -> None:
    conn.execute(statement("statement_timeout"), {"timeout_ms": str(round(STATEMENT_S * 1000))})
