"""Dead letters: changes that the lake could not take, kept until somebody deals with them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import Connection

from chronolake.oltp.statements import statement

_KINDS = {"I": "insert", "U": "update", "D": "delete", "T": "truncate"}


@dataclass(frozen=True)
class Letter:
    """One change that waits for somebody.

    `key` is the key of its row as PostgreSQL writes it, null where it could not be told. `payload` is what of the row
    could be read.
    """

    letter_id: int
    table_name: str
    key: str | None
    change_kind: str
    lsn: str
    commit_at: datetime | None
    reason: str
    payload: Mapping[str, Any] | None


def add(
    conn: Connection,
    *,
    table_name: str,
    change_kind: str,
    epoch: str,
    lsn: str,
    commit_at: datetime,
    reason: str,
    raw: bytes,
    key: str | None,
    payload: Mapping[str, Any],
) -> None:
    """Keep one change, in the caller's transaction; `change_kind` is the letter of its message, `raw` the message."""
    values = {
        "table_name": table_name,
        "key": key,
        "change_kind": _KINDS[change_kind],
        "epoch": epoch,
        "lsn": lsn,
        "commit_at": commit_at,
        "reason": reason,
        # jsonb has no NaN, and takes no character of number 0, which no text of PostgreSQL's has.
        "payload": json.dumps({name: _plain(value) for name, value in payload.items()}),
        "raw": raw,
    }
    conn.execute(statement("dead_letter_add"), values)


def listed(conn: Connection, *, table_name: str | None = None, letter_id: int | None = None) -> list[Letter]:
    """Those that nobody has dealt with, oldest first."""
    values = {"table_name": table_name, "letter_id": letter_id}
    return [Letter(*row) for row in conn.execute(statement("dead_letters_listed"), values)]


def resolve(conn: Connection, letter_ids: Sequence[int], state: Literal["retried", "dismissed"]) -> int:
    """Note how these were dealt with; how many of them were open."""
    values = {"letter_ids": list(letter_ids), "state": state}
    return conn.execute(statement("dead_letters_resolve"), values).rowcount


def explain(conn: Connection, letter_id: int, reason: str) -> None:
    """Note why it still does not fit."""
    conn.execute(statement("dead_letter_explain"), {"letter_id": letter_id, "reason": reason})


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)
