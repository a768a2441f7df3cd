"""Projects: named sets of captures, known by small integers."""

from collections.abc import Collection
from datetime import datetime

from psycopg import Connection

from chronolake.oltp.statements import one, statement


def ensure(conn: Connection, name: str) -> int:
    """The id of the project of that name, which is made where it is new."""
    values = {"name": name}
    # Where another transaction makes it in between, only a second statement sees it.
    row = conn.execute(statement("project_ensure"), values).fetchone() or one(conn, "project_ensure", values)
    return int(row[0])


def names(conn: Connection) -> dict[int, str]:
    """Every project's name by its id."""
    return dict(conn.execute(statement("project_names")).fetchall())


def live(conn: Connection, ids: Collection[int] | None, most: int) -> list[tuple[int, str, datetime]]:
    """Id, name and birth of the projects of these ids, null for all; `most` at most."""
    values = {"ids": None if ids is None else sorted(ids), "most": most}
    return conn.execute(statement("projects_live"), values).fetchall()


def find(conn: Connection, name_or_id: str | int) -> int | None:
    """The id of the project of that name, else of that id; null where there is neither."""
    row = conn.execute(statement("project_find"), {"key": str(name_or_id)}).fetchone()
    return None if row is None else int(row[0])


def archive_policy(conn: Connection, project_id: int, told: str | None) -> str:
    """Where the project collects from: as `told`, and from then on so; null: as it was told last."""
    values = {"project_id": project_id, "told": told}
    return str(one(conn, "project_archive_policy", values)[0])


def ids(conn: Connection, most: int) -> list[int]:
    """The numbers of some projects, the oldest, `most` of them."""
    return [row[0] for row in conn.execute(statement("project_ids"), {"most": most})]
