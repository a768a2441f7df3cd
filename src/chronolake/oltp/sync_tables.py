"""What the sync notes of each table: its state, and what is in the way."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from chronolake.oltp.statements import one, statement

#: A table whose changes are left out, until an operator has followed its hint: set by the sync, and kept.
PARKED = "parked"
#: A table that is to be copied: set by `resume`, and kept until it is copied.
COPYING = "copying"


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


def park(conn: Connection, table_name: str, reason: str, hint: str) -> None:
    """Note that a table is followed no more; `hint` is what an operator does about it. Twice is as once."""
    conn.execute(statement("sync_table_park"), {"table_name": table_name, "reason": reason, "hint": hint})


def parked(conn: Connection) -> set[str]:
    """The tables whose changes the sync leaves out."""
    return _in_state(conn, PARKED)


def resume(conn: Connection, table_name: str) -> bool:
    """Ask whoever leads to copy a parked table anew and to follow it again; whether it was parked."""
    return conn.execute(statement("sync_table_resume"), {"table_name": table_name}).fetchone() is not None


def resumed(conn: Connection) -> set[str]:
    """The tables that somebody asked to be copied anew."""
    return _in_state(conn, COPYING)


def followed(conn: Connection, table_name: str, *, lsn: str, epoch: str) -> None:
    """Note that a table was copied as it was at `lsn`, and follows the stream from there."""
    conn.execute(statement("sync_table_followed"), {"table_name": table_name, "lsn": lsn, "epoch": epoch})


def _in_state(conn: Connection, state: str) -> set[str]:
    return {row[0] for row in conn.execute(statement("sync_tables_in_state"), {"state": state})}


def open_dead_letters(conn: Connection) -> int:
    """How many changes the lake could not take that nobody has dealt with."""
    return int(one(conn, "dead_letters_open")[0])
