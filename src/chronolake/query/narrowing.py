"""A scope less what a question's `project` or `projects` leaves out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chronolake.errors import ParameterInvalid
from chronolake.oltp import Database, projects
from chronolake.query.scope import Scope

#: Ids of projects by name or id, in order; null for one that does not exist.
Finder = Callable[[Sequence[str]], list[int | None]]


#: What a question's parameters for projects are called.
_PARAMETERS = ("project", "projects")


def names_projects(values: Mapping[str, Any]) -> bool:
    """Whether it is asked about some projects alone, so that these have to be looked up."""
    return any(values.get(parameter) is not None for parameter in _PARAMETERS)


def narrowed(database: Database, scope: Scope, values: dict[str, Any]) -> Scope:
    """As `narrowed_by`, with the projects that PostgreSQL knows now.

    Raises:
        ParameterInvalid: there is no such project in scope.
        DatabaseError: PostgreSQL could not be asked.
    """

    def find(names: Sequence[str]) -> list[int | None]:
        with database.connection() as conn:
            return [projects.find(conn, name) for name in names]

    return narrowed_by(find, scope, values)


def narrowed_by(find: Finder, scope: Scope, values: dict[str, Any]) -> Scope:
    """The scope cut down to the projects that are asked for, by name or id; where none is said, as it is.

    They are taken out of `values`: no statement names a project.

    Raises:
        ParameterInvalid: there is no such project in scope.
    """
    for parameter in _PARAMETERS:
        said = values.pop(parameter, None)
        if said is not None:
            scope = _cut_down(find, scope, parameter, [said] if isinstance(said, str) else said)
    return scope


def _cut_down(find: Finder, scope: Scope, parameter: str, names: Sequence[str]) -> Scope:
    found = []
    for name, project_id in zip(names, find(names), strict=True):
        # A project outside the scope is as one that does not exist: its name is nobody's business.
        if project_id is None or not scope.narrowed([project_id]).project_ids:
            raise ParameterInvalid(
                f"there is no project {name!r}",
                hint="chronolake db psql -c 'SELECT id, name FROM projects' lists them.",
                parameter=parameter,
            )
        found.append(project_id)
    return scope.narrowed(found)
