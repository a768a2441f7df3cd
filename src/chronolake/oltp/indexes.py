"""Indexes that the optimizer makes and drops, beside those of the schema, which it never touches.

They bear a prefix of their own. Making and dropping one keeps nobody from reading or writing the table, and is no
transaction: one that fails half-way leaves an index that PostgreSQL keeps up and never uses, which is dropped then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import psycopg
from psycopg import Connection, sql

from chronolake.errors import DatabaseError
from chronolake.oltp.migrate import SCHEMA
from chronolake.oltp.statements import statement

#: What the names of ours begin with. No index of the schema does.
PREFIX = "chronolake_opt_"
#: Seconds to wait for a lock on the table: a migration may hold it, and the next try is an hour away at most.
LOCK_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class IndexState:
    """An index. `plain`: a B-tree of whole columns and of all rows. `scans` counts its uses, the last `last_scan_at`.

    Uses are counted since `counted_since`; null: since the database was made.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    plain: bool
    valid: bool
    is_replica_identity: bool
    being_built: bool
    bytes: int
    scans: int
    last_scan_at: datetime | None
    counted_since: datetime | None

    @property
    def is_ours(self) -> bool:
        """Whether the optimizer made it, and may drop it."""
        return self.name.startswith(PREFIX) and not self.is_replica_identity


def name_of(table: str, columns: Sequence[str]) -> str:
    """The name of an index of ours; equal for the same columns of the same table."""
    digest = blake2b(",".join(columns).encode(), digest_size=4).hexdigest()
    return f"{PREFIX}{table}_{digest}"[:63]


def listed(conn: Connection) -> list[IndexState]:
    """Every index of our tables."""
    return [
        IndexState(row[0], row[1], tuple(row[2]), *row[3:])
        for row in conn.execute(statement("indexes_listed"))
    ]


def make(conn: Connection, table: str, columns: Sequence[str]) -> str:
    """Make an index beside all other work; its name. `conn` is in no transaction, and commits by itself.

    Raises:
        DatabaseError: it could not be made; nothing is left of it, or the message says what is.
    """
    name = name_of(table, columns)
    try:
        _bound(conn)
        conn.execute(
            sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ({})").format(
                sql.Identifier(name),
                sql.Identifier(SCHEMA, table),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
            )
        )
    except psycopg.Error as error:
        told = error.diag.message_primary or str(error)
        try:
            drop(conn, name)
        except psycopg.Error:
            told = f"{told}; what was begun of it is of no use and could not be dropped"
        raise DatabaseError(
            f"the index {name} was not made: {told}",
            hint=f"What is left of it goes with the next chronolake optimize apply, or: DROP INDEX {SCHEMA}.{name}",
        ) from error
    return name


def drop(conn: Connection, name: str) -> None:
    """Drop an index of ours beside all other work; one that is gone is no error. `conn` as for `make`.

    Raises:
        ValueError: it is none of ours.
    """
    if not name.startswith(PREFIX):
        raise ValueError(f"{name} is none of the optimizer's indexes")
    _bound(conn)
    conn.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(SCHEMA, name)))


def _bound(conn: Connection) -> None:
    conn.execute("SELECT set_config('lock_timeout', %s, false)", [str(round(LOCK_TIMEOUT_S * 1000))])
