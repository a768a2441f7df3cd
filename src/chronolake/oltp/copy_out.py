"""Rows of the synced tables out of PostgreSQL in bulk, as COPY's binary format has them.

Nothing is decoded here: a row is the bytes that the server sent, for whoever knows the types to read many at once.
"""

import select
from collections.abc import Iterator

from psycopg import Connection, pq, sql
from psycopg.errors import error_from_result

from chronolake.capture.columns import Table

#: COPY's binary format begins with an 11-byte signature and two 4-byte words, and ends in a 2-byte -1
#: (PostgreSQL documentation, "COPY", Binary Format).
_HEADER_BYTES = 19
_TRAILER = b"\xff\xff"


def whole() -> sql.Composed:
    """All rows of a table."""
    return sql.SQL("{}").format(sql.SQL("true"))


def blocks(lower: int | None, upper: int | None) -> sql.Composable:
    """The rows in the blocks of a table's file from `lower` to before `upper`; null bounds are open."""
    return sql.SQL(" AND ").join(
        [
            sql.SQL("ctid {} {}::tid").format(sql.SQL(sign), sql.Literal(f"({block},0)"))
            for sign, block in ((">=", lower), ("<", upper))
            if block is not None
        ]
        or [whole()]
    )


def of_batch(batch_id: int) -> sql.Composable:
    """The rows of one batch."""
    return sql.SQL("batch_id = {}").format(batch_id)


def of_keys(table: Table, keys: list[object]) -> sql.Composable:
    """The rows of these keys."""
    kind = sql.SQL(table[table.key].postgres)
    return sql.SQL("{} = ANY({}::{}[])").format(sql.Identifier(table.key), [str(key) for key in keys], kind)


def tuples(
    conn: Connection, table: Table, where: sql.Composable, *, piece_rows: int, schema: str | None = None
) -> Iterator[list[bytes]]:
    """The rows that the transaction of `conn` sees, `piece_rows` at a time; each has the columns of `table.stored`.

    The table is that of `schema`, or the first of its name where questions look.

    A row is a 2-byte count of columns, then for each column a 4-byte length, -1 for null, and so many bytes.

    Raises:
        psycopg.Error: PostgreSQL refused, or the connection broke.
    """
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.stored)
    query = sql.SQL("COPY (SELECT {} FROM {} WHERE {}) TO STDOUT (FORMAT binary)").format(
        names, _place(table, schema), where
    )
    # A statement opens the transaction that the driver knows of; the copy itself goes by libpq, for the driver's own
    # way costs as much for each row as all that is done with it.
    conn.execute("SELECT 1")
    pgconn = conn.pgconn
    result = pgconn.exec_(query.as_bytes(conn))
    if result.status != pq.ExecStatus.COPY_OUT:
        raise error_from_result(result)
    held: list[bytes] = []
    get, skip, finished = pgconn.get_copy_data, _HEADER_BYTES, False
    ready = select.poll()
    ready.register(pgconn.socket, select.POLLIN)
    try:
        while True:
            # To wait here, not in libpq, lets other threads go on meanwhile.
            count, data = get(1)
            if count == 0:
                ready.poll()
                pgconn.consume_input()
                continue
            if count < 0:
                break
            row = bytes(data)[skip:]
            skip = 0
            if row == _TRAILER or not row:
                continue
            held.append(row)
            if len(held) >= piece_rows:
                yield held
                held = []
        finished = True
    finally:
        if not finished:
            # Whoever does not want the rest cannot use the connection any more.
            conn.close()
    while (end := pgconn.get_result()) is not None:
        if end.status != pq.ExecStatus.COMMAND_OK:
            raise error_from_result(end)
    if held:
        yield held


def type_oids(conn: Connection, table: Table, *, schema: str | None = None) -> dict[str, int]:
    """PostgreSQL's types of the columns of `table.stored`, by name, as they are now."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.stored)
    query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(names, _place(table, schema))
    described = conn.execute(query).description or []
    return {column.name: column.type_code for column in described}


def _place(table: Table, schema: str | None) -> sql.Identifier:
    return sql.Identifier(*([schema] if schema else []), table.postgres_table)
