"""The schema of the job queue, laid down by the files of the library that keeps it (procrastinate), never by copies.

Its tables lie beside ours and begin with the library's name. `queue_migrations` notes which of its files have been
applied, so that a newer library brings its own schema up to date, and an older one is told that it is too old.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from psycopg import Connection

from chronolake.errors import MigrationFailed
from chronolake.oltp.statements import statement

LIBRARY = "procrastinate"


@cache
def known() -> tuple[str, ...]:
    """The names of the library's migrations, in order."""
    return tuple(sorted(file.name for file in (_folder() / "migrations").glob("*.sql")))


def missing(conn: Connection) -> tuple[str, ...]:
    """The migrations of the library that the database lacks; where it has no queue yet, all of them.

    Raises:
        MigrationFailed: the database has some that the library does not know.
    """
    noted = {name for (name,) in conn.execute(statement("queue_migrations_applied"))}
    unknown = noted.difference(known())
    if unknown:
        raise MigrationFailed(
            f"the job queue has {max(unknown)}, which the installed {LIBRARY} does not know",
            hint=f"A newer {LIBRARY} has been here: pip install --upgrade {LIBRARY}",
        )
    return tuple(name for name in known() if name not in noted)


def bring_up(conn: Connection) -> int:
    """Apply what is missing, in the caller's transaction, and note it; how many files of the library.

    Raises:
        MigrationFailed: as `missing`.
    """
    names = missing(conn)
    if len(names) == len(known()):
        # The library's own way for a new database: its schema as all of its migrations leave it.
        conn.execute((_folder() / "schema.sql").read_bytes())
    else:
        for name in names:
            conn.execute((_folder() / "migrations" / name).read_bytes())
    for name in names:
        conn.execute(statement("queue_migration_note"), [name])
    return len(names)


@cache
def _folder() -> Path:
    """Where the library keeps its SQL; found without importing it, which takes longer than to look."""
    spec = find_spec(LIBRARY)
    if spec is None or spec.origin is None:
        raise MigrationFailed(
            f"{LIBRARY} is not installed", hint="Install chronolake with what it depends on."
        )
    return Path(spec.origin).parent / "sql"
