"""What a question is made of: parameters, rows, one SQL text; and the parameters and columns that many share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from importlib.resources import files
from typing import Annotated

import sqlglot
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from sqlglot import exp

from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import Domain, End, Interval, Params, Project, Start
from chronolake.query.route import QueryType

#: What a path calls a parameter, where it is not the parameter's own name. The plan's paths say `project_id`.
_NAMES_IN_PATHS = {"project_id": "project"}

#: A time without a zone is UTC; in JSON it says so.
Moment = Annotated[
    datetime, PlainSerializer(lambda moment: moment.isoformat() + "Z", return_type=str, when_used="json")
]

Captures = Annotated[int, Field(description="captures of every record type")]
Ok = Annotated[int, Field(description="captures with status 200 to 299")]
Redirects = Annotated[int, Field(description="captures with status 300 to 399")]
ClientErrors = Annotated[int, Field(description="captures with status 400 to 499")]
ServerErrors = Annotated[int, Field(description="captures with status 500 to 599")]
WithoutStatus = Annotated[int, Field(description="captures without a status, as revisits and dns are")]
Revisits = Annotated[int, Field(description="captures that are revisits")]
Bytes = Annotated[int | None, Field(description="sum of content_length, bytes; null where none is known")]
Domains = Annotated[int, Field(description="different domains")]
Urls = Annotated[int, Field(description="different URLs, by URL key")]
Failed = Annotated[int, Field(description="captures with status 400 to 599")]
ErrorRate = Annotated[
    float | None,
    Field(description="failed captures to captures with a status, 0 to 1; null where none has a status"),
]
SuccessRate = Annotated[
    float | None,
    Field(description="ok captures to captures with a status, 0 to 1; null where none has a status"),
]
ActiveDays = Annotated[int, Field(description="different days with a capture, UTC")]
MedianBytes = Annotated[int | None, Field(description="content_length of the median capture, bytes")]
P95Bytes = Annotated[int | None, Field(description="content_length that 95 % do not exceed, bytes")]
Digests = Annotated[int, Field(description="different digests, the empty body's left out")]
Pages = Annotated[int, Field(description="pages")]
Words = Annotated[int | None, Field(description="sum of word_count, words")]
MedianWords = Annotated[
    int | None, Field(description="word_count that half of the pages do not exceed, words")
]
Scored = Annotated[int, Field(description="of these pages, ones with a score from 0 to 1")]
MeanQuality = Annotated[
    float | None, Field(description="mean of the scores from 0 to 1, to the millionth; null without any")
]
First = Annotated[Moment | None, Field(description="first capture, UTC")]
Last = Annotated[Moment | None, Field(description="last capture, UTC")]
Period = Annotated[date, Field(description="first day of the period, UTC")]
OneInterval = Annotated[Interval, Field(description="day, week, month, quarter or year")]


class Row(BaseModel):
    """One row of an answer; each field has a description with its unit."""

    model_config = ConfigDict(frozen=True)


class OfProject(Params):
    """All that is in scope, or one project of it."""

    project: Project | None = Field(default=None, description="a project, by name or id; all by default")


class InTime(OfProject):
    """All that is in scope or one project of it, in a time range."""

    start: Start = EARLIEST
    end: End = LATEST


class ByPeriod(InTime):
    """The same, cut into periods."""

    interval: OneInterval = Interval.MONTH


class OfDomain(Params):
    """Which domain, in which time range."""

    domain: Domain
    project: Project | None = Field(default=None, description="a project, by name or id; all by default")
    start: Start = EARLIEST
    end: End = LATEST


@dataclass(frozen=True)
class Question:
    """An analytic question of the catalogue.

    Its text is `sql/<name>.sql`, in DuckDB's dialect over the tables of the registry, with parameters as `$name`. It
    never sees a project: the scope decides which rows those tables show. `path` is its own place under the API's
    analytics, with parameters in braces; every question can be asked by its name as well. Where `method` is POST, its
    own place takes the parameters as a JSON object.

    `parts` are what it shares with other questions: CTEs of `sql/parts/<name>.sql`, which come before its own.
    """

    name: str
    sentence: str
    params: type[Params]
    row: type[Row]
    query_type: QueryType
    path: str | None = None
    method: str = "GET"
    parts: tuple[str, ...] = ()

    @cached_property
    def sql(self) -> str:
        """The text as it is written, its parts first."""
        return "\n".join(_written(name) for name in (*(f"parts/{part}" for part in self.parts), self.name))

    @cached_property
    def tree(self) -> exp.Expr:
        """The statement, parsed: whoever changes it takes a copy."""
        tree = sqlglot.parse_one(_written(self.name), read="duckdb")
        shared = [sqlglot.parse_one(_written(f"parts/{part}"), read="duckdb") for part in self.parts]
        own = tree.args.get("with_") or exp.With()
        ctes = [cte for part in shared for cte in part.args["with_"].expressions] + own.expressions
        if ctes:
            tree.set("with_", exp.With(expressions=ctes, recursive=own.args.get("recursive")))
        return tree

    @property
    def in_path(self) -> Mapping[str, str]:
        """The parameters that stand in the path: what the path calls them, and their own names."""
        names = re.findall(r"\{(\w+)\}", self.path or "")
        return {name: _NAMES_IN_PATHS.get(name, name) for name in names}


def _written(name: str) -> str:
    return (files("chronolake.query.question") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
