"""A question: typed parameters, typed rows, one SQL text for every engine."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from chronolake.query.params import Params
from chronolake.query.route import QueryType
from chronolake.query.row import Row


@dataclass(frozen=True)
class Question:
    """An analytic question of the catalogue.

    Its text is `questions/<name>.sql`, in DuckDB's dialect over the tables of the registry, with parameters as
    `$name`. It never sees a project: the scope decides which rows those tables show.
    """

    name: str
    sentence: str
    params: type[Params]
    row: type[Row]
    query_type: QueryType

    @cached_property
    def sql(self) -> str:
        """The text as it is written."""
        return (files("chronolake.query") / "questions" / f"{self.name}.sql").read_text(encoding="utf-8")
