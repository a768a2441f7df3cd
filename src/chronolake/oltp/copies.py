"""Rows as COPY sends them in its binary form, a message each: the fastest way out of PostgreSQL.

The form is told in the PostgreSQL documentation, "COPY", Binary Format. No meaning here: `sync/scan.py` gives it.
"""

import select
from collections.abc import Iterator
from contextlib import suppress

import psycopg
from psycopg import Connection, pq, sql

from chronolake.errors import DatabaseError

#: The signature and two words, which come before the first row.
_HEADER_BYTES = 19
#: What comes after the last row.
_TRAILER = b"\xff\xff"
#: Rows that are handed on together, by number and by size: many enough for numpy, few enough for memory.
_ROWS = 50_000
_BYTES = 64 << 20


def copied(conn: Connection, query: sql.Composed) -> Iterator[list[bytes]]:
    """The rows of `query` within the transaction of `conn`, some thousands at a time.

    A row is a count of columns in 2 bytes, then for each a length in 4 bytes (-1: null) and the value.

    Raises:
        DatabaseError: PostgreSQL refused, or the connection broke.
    """
    # psycopg's own COPY takes each row through Python code, which costs as much as the server's work.
    conn.execute("SELECT 1")
    pgconn = conn.pgconn
    text = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query).as_bytes(conn)
    pgconn.send_query(text)
    pgconn.flush()
    try:
        result = _result(pgconn)
        if result is None or result.status != pq.ExecStatus.COPY_OUT:
            raise DatabaseError(f"PostgreSQL: {_told(result)}")
        yield from _pieces(pgconn)
    except psycopg.OperationalError as error:
        raise DatabaseError(f"PostgreSQL: {str(error).strip()}") from error
    finally:
        _drain(pgconn)


def _pieces(pgconn: pq.abc.PGconn) -> Iterator[list[bytes]]:
    rows: list[bytes] = []
    size = 0
    first = True
    get = pgconn.get_copy_data
    while True:
        count, data = get(1)
        if count > 0:
            row = bytes(data)
            if first:
                row, first = row[_HEADER_BYTES:], False
            if row and row != _TRAILER:
                rows.append(row)
                size += count
                if len(rows) >= _ROWS or size >= _BYTES:
                    yield rows
                    rows, size = [], 0
        elif count == 0:
            _wait(pgconn)
        else:
            break
    result = _result(pgconn)
    if result is not None and result.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
        raise DatabaseError(f"PostgreSQL: {_told(result)}")
    if rows:
        yield rows


def _result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult | None:
    while pgconn.is_busy():
        _wait(pgconn)
    return pgconn.get_result()


def _wait(pgconn: pq.abc.PGconn) -> None:
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    poll.poll()
    pgconn.consume_input()


def _drain(pgconn: pq.abc.PGconn) -> None:
    """Leave the connection as it was, also where the rows were not read to their end."""
    with suppress(psycopg.Error):
        while True:
            count, _ = pgconn.get_copy_data(0)
            if count <= 0:
                break
    with suppress(psycopg.Error):
        while pgconn.get_result() is not None:
            pass


def _told(result: pq.abc.PGresult | None) -> str:
    return (
        result.error_message.decode(errors="replace").strip()
        if result is not None
        else "the connection ended"
    )
