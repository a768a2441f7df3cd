"""A scope less what a question's `project` leaves out."""

from chronolake.errors import ParameterInvalid
from chronolake.oltp import Database, projects
from chronolake.query.scope import Scope


def narrowed(database: Database, scope: Scope, project: str | None) -> Scope:
    """The scope cut down to a project, by its name or id; null leaves it as it is.

    Raises:
        ParameterInvalid: there is no such project in scope.
        DatabaseError: PostgreSQL could not be asked.
    """
    if project is None:
        return scope
    with database.connection() as conn:
        project_id = projects.find(conn, project)
    # A project outside the scope is as one that does not exist: its name is nobody's business.
    if project_id is None or not scope.narrowed([project_id]).project_ids:
        raise ParameterInvalid(
            f"there is no project {project!r}",
            hint="chronolake db psql -c 'SELECT id, name FROM projects' lists them.",
            parameter="project",
        )
    return scope.narrowed([project_id])
