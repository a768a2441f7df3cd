"""What the sync notes of each table: its state, and what is in the way."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from chronolake.oltp.statements import one, statement


@dataclass(frozen=True)
class TableStatus:
    """One synced table. Changes up to `synced_from_lsn` are in its copy, and those after it come by the stream."""

    table_name: str
    state: str
    synced_from_lsn: str | None
    last_error: str | None
    hint: str | None
    ranges_total: int | None
    ranges_done: int
    rows_done: int
    rows_estimate: int | None
    updated_at: datetime


def all_of(conn: Connection) -> list[TableStatus]:
    """Every table that the sync has noted something of, by name."""
    return [TableStatus(*row) for row in conn.execute(statement("sync_tables_all"))]


def in_state(conn: Connection, state: str) -> set[str]:
    """The tables that are in one state."""
    return {row[0] for row in conn.execute(statement("sync_tables_in_state"), {"state": state})}


def open_dead_letters(conn: Connection) -> int:
    """How many changes the lake could not take that nobody has dealt with."""
    return int(one(conn, "dead_letters_open")[0])


def put(
    conn: Connection, table_name: str, state: str, *, lsn: str | None = None, epoch: str | None = None
) -> None:
    """Note the state of a table; `lsn` is where its copy was made, if it was made now."""
    conn.execute(
        statement("sync_table_put"), {"table_name": table_name, "state": state, "lsn": lsn, "epoch": epoch}
    )


def park(conn: Connection, table_name: str, state: str, *, error: str, hint: str) -> None:
    """Note that a table is followed no more, and why; `hint` is what an operator does about it. Twice is as once."""
    conn.execute(
        statement("sync_table_park"), {"table_name": table_name, "state": state, "error": error, "hint": hint}
    )


def ask_copy(conn: Connection, table_name: str, state: str) -> None:
    """Ask for a copy of a table; one that is under way goes on."""
    conn.execute(statement("sync_table_ask"), {"table_name": table_name, "state": state})


def be_careful(conn: Connection, table_name: str, lsn: str) -> None:
    """Note that the lake may hold rows of a table that the stream brings until `lsn`."""
    conn.execute(statement("sync_table_careful"), {"table_name": table_name, "lsn": lsn})
