"""A scope less what a question's `project` or `projects` leaves out."""

from collections.abc import Sequence
from typing import Any

from chronolake.errors import ParameterInvalid
from chronolake.oltp import Database, projects
from chronolake.query.scope import Scope


def narrowed(database: Database, scope: Scope, values: dict[str, Any]) -> Scope:
    """The scope cut down to the projects that are asked for, by name or id; where none is said, as it is.

    They are taken out of `values`: no statement names a project.

    Raises:
        ParameterInvalid: there is no such project in scope.
        DatabaseError: PostgreSQL could not be asked.
    """
    for parameter in ("project", "projects"):
        said = values.pop(parameter, None)
        if said is not None:
            scope = _cut_down(database, scope, parameter, [said] if isinstance(said, str) else said)
    return scope


def _cut_down(database: Database, scope: Scope, parameter: str, names: Sequence[str]) -> Scope:
    found = []
    with database.connection() as conn:
        for name in names:
            project_id = projects.find(conn, name)
            # A project outside the scope is as one that does not exist: its name is nobody's business.
            if project_id is None or not scope.narrowed([project_id]).project_ids:
                raise ParameterInvalid(
                    f"there is no project {name!r}",
                    hint="chronolake db psql -c 'SELECT id, name FROM projects' lists them.",
                    parameter=parameter,
                )
            found.append(project_id)
    return scope.narrowed(found)
