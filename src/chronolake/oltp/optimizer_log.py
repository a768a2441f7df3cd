"""The optimizer's log: what it changed, why, and what is needed to take it back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

from chronolake.oltp.statements import one, statement

#: Key of the advisory lock of whoever optimizes by itself: "opti" in ASCII.
ALONE = 0x6F707469

Kind = Literal["rollup", "index", "layout"]
Action = Literal["make", "drop", "change"]


@dataclass(frozen=True)
class Change:
    """One rollup or index that was made or dropped, or a layout that was changed. `figures` are what was known before.

    `definition` is what is needed to make it again; of a layout, what it was and what it is.
    """

    id: int
    done_at: datetime
    kind: Kind
    action: Action
    automatic: bool
    name: str
    asked: str
    why: str
    definition: Mapping[str, Any]
    figures: Mapping[str, Any]
    undone_at: datetime | None


@contextmanager
def alone(conn: Connection) -> Iterator[bool]:
    """Whether nobody else optimizes by itself until the end of the block.

    It is the connection's, and no transaction's: an index is made once all that began before has ended.
    """
    got = bool(one(conn, "optimizer_alone", {"key": ALONE})[0])
    try:
        yield got
    finally:
        # Not left to the closing connection, whose server ends some time after it.
        # With a connection that broke it is gone already, and what happened within is to be told.
        if got:
            with suppress(psycopg.OperationalError):
                one(conn, "optimizer_alone_ends", {"key": ALONE})


def add(
    conn: Connection,
    *,
    kind: Kind,
    action: Action,
    automatic: bool,
    name: str,
    asked: str,
    why: str,
    definition: Mapping[str, Any],
    figures: Mapping[str, Any],
) -> int:
    """Note a change that is about to be made; its number."""
    values = {
        "kind": kind,
        "action": action,
        "automatic": automatic,
        "name": name,
        "asked": asked,
        "why": why,
        "definition": Jsonb(definition),
        "figures": Jsonb(figures),
    }
    return int(one(conn, "optimizer_log_add", values)[0])


def remove(conn: Connection, change_id: int) -> None:
    """Take back the note of a change that could not be made."""
    conn.execute(statement("optimizer_log_remove"), {"id": change_id})


def mark_undone(conn: Connection, change_id: int) -> None:
    """Note that a change was taken back."""
    conn.execute(statement("optimizer_log_undone"), {"id": change_id})


def listed(conn: Connection, change_id: int | None = None) -> list[Change]:
    """Changes that were made, newest first; the one of that number alone, where one is given."""
    return [Change(*row) for row in conn.execute(statement("optimizer_log_listed"), {"id": change_id})]
