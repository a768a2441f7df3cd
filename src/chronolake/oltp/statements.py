"""SQL by name: one statement a file in `sql/`, each opening with a sentence that says what it is for."""

from functools import cache
from importlib.resources import files
from typing import Any

from psycopg import Connection
from psycopg.abc import Params


@cache
def statement(name: str) -> bytes:
    """The text of `sql/<name>.sql`, as psycopg takes it.

    Raises:
        FileNotFoundError: there is no statement of that name.
    """
    return (files("chronolake.oltp") / "sql" / f"{name}.sql").read_bytes()


def one(conn: Connection, name: str, values: Params | None = None) -> tuple[Any, ...]:
    """The one row that the statement answers with.

    Raises:
        LookupError: it answered with none.
    """
    row = conn.execute(statement(name), values).fetchone()
    if row is None:
        raise LookupError(f"{name} gave no row")
    return row
