"""Dead letters: changes that the lake could not take, kept until somebody looks at them."""

from datetime import datetime

from psycopg import Connection

from chronolake.oltp.statements import statement

_KINDS = {"I": "insert", "U": "update", "D": "delete", "T": "truncate"}


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
) -> None:
    """Keep one change, in the caller's transaction; `change_kind` is the letter of its message, `raw` the message."""
    values = {
        "table_name": table_name,
        "change_kind": _KINDS[change_kind],
        "epoch": epoch,
        "lsn": lsn,
        "commit_at": commit_at,
        "reason": reason,
        "raw": raw,
    }
    conn.execute(statement("dead_letter_add"), values)
