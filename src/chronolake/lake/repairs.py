"""Repairs that somebody asked for and the leading worker does: a table that lives and dies with the catalog.

Only the leader commits facts to the lake, and only it knows which changes are on their way. So whoever finds a row to
be wrong, in whichever process, asks here and waits for the answer. Asking for the same twice does no harm.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import Connection

OWN_TABLE = """
CREATE TABLE IF NOT EXISTS chronolake_repairs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    keys text[] NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    answer jsonb
);
"""


@dataclass(frozen=True)
class Repair:
    """A wish that the lake's rows of these keys, written as PostgreSQL writes them, be as PostgreSQL's are."""

    repair_id: int
    table_name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Repaired:
    """What became of it.

    `keys` are as PostgreSQL has them now. `moved` changed meanwhile, and the stream brings how. `unfit` have a value
    that the lake's type cannot hold, by key the reason; their rows in the lake were left alone.
    """

    keys: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    unfit: Mapping[str, str] = field(default_factory=dict)


def ask(conn: Connection, table_name: str, keys: Sequence[str]) -> int:
    """Ask for a repair; its number."""
    # Whoever asked for these is gone, or has its answer.
    conn.execute("DELETE FROM chronolake_repairs WHERE asked_at < clock_timestamp() - interval '1 hour'")
    row = conn.execute(
        "INSERT INTO chronolake_repairs (table_name, keys) VALUES (%s, %s) RETURNING id",
        [table_name, list(keys)],
    ).fetchone()
    return int(row[0]) if row else 0


def waiting(conn: Connection) -> Repair | None:
    """The oldest that nobody has answered."""
    row = conn.execute(
        "SELECT id, table_name, keys FROM chronolake_repairs WHERE answer IS NULL ORDER BY id LIMIT 1"
    ).fetchone()
    return Repair(row[0], row[1], tuple(row[2])) if row else None


def answer(conn: Connection, repair_id: int, repaired: Repaired) -> None:
    """Say what became of a repair, in the commit that makes it."""
    words = {"keys": repaired.keys, "moved": repaired.moved, "unfit": dict(repaired.unfit)}
    conn.execute(
        "UPDATE chronolake_repairs SET answer = %s::jsonb WHERE id = %s", [json.dumps(words), repair_id]
    )


def take_answer(conn: Connection, repair_id: int) -> Repaired | None:
    """What became of it, once; null while nobody has answered."""
    row = conn.execute(
        "DELETE FROM chronolake_repairs WHERE id = %s AND answer IS NOT NULL RETURNING answer", [repair_id]
    ).fetchone()
    if row is None:
        return None
    return Repaired(tuple(row[0]["keys"]), tuple(row[0]["moved"]), row[0]["unfit"])


def withdraw(conn: Connection, repair_id: int) -> None:
    """Ask no longer."""
    conn.execute("DELETE FROM chronolake_repairs WHERE id = %s", [repair_id])
