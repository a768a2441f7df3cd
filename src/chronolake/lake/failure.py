"""What DuckDB raises, in our words: no error of the engine leaves this room, and no secret with it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from chronolake.errors import LakeBusy, LakeError, LakeUnavailable, SchemaMismatch, StorageFull

#: User and password in an address; `password=` in a keyword string, quoted or not.
_ADDRESS = re.compile(r"(?<=://)[^/\s\"']*@")
_PASSWORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)


class Scrubber:
    """Takes the secrets of one database address out of any text."""

    def __init__(self, database_url: str) -> None:
        self._secrets = [database_url]
        try:
            password = conninfo_to_dict(database_url).get("password")
        except ProgrammingError:
            password = None
        if password:
            self._secrets.append(str(password))

    def __call__(self, text: str) -> str:
        """The text with every secret as `***`."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _PASSWORD.sub(r"\1***", _ADDRESS.sub("***@", text))


def translate(error: Exception, scrub: Scrubber) -> LakeError:
    """The error of ours that says what `error`, raised by DuckDB or a file, means for the lake."""
    text = scrub(str(error)).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return StorageFull(f"no room left on the lake's disk: {first}")
    if isinstance(error, duckdb.OutOfMemoryException):
        return LakeError(
            f"the engine ran out of memory or of room to spill: {first}",
            hint="Raise DUCKDB_MEMORY_LIMIT, or free room beside DUCKDB_DATABASE_PATH.",
        )
    if isinstance(error, duckdb.TransactionException) and "conflict" in text.lower():
        return LakeBusy(f"another process committed to the lake at the same time: {first}")
    if isinstance(error, (duckdb.ConstraintException, duckdb.ConversionException)):
        return SchemaMismatch(f"rows do not fit the lake's columns: {first}")
    return LakeUnavailable(f"the lake cannot be used: {text}")


@contextmanager
def translated(scrub: Scrubber) -> Iterator[None]:
    """Raise what DuckDB or a file raises within as an error of ours.

    Raises:
        LakeError: the class says what happened; see `translate`.
    """
    try:
        yield
    except (duckdb.Error, OSError) as error:
        # The cause is left out: its text may hold the database's password.
        raise translate(error, scrub) from None
