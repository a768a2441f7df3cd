"""`/api/v1/analytics`: every question of the catalogue, at its own path and by its name.

Parameters are read where every door has them read, by the question's own model; what OpenAPI says of them is
written out of that model.
"""

import types
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, create_model

from chronolake.api import problems
from chronolake.errors import ParameterInvalid
from chronolake.query import QUESTIONS, HybridQueryRouter, Meta, Question, Scope

#: Where the questions lie; the version changes when an answer's form does.
PREFIX = "/api/v1/analytics"
_ENGINE = {
    "name": "engine",
    "in": "query",
    "required": False,
    "description": "which engine answers",
    "schema": {"type": "string", "enum": ["auto", "duckdb", "postgres"], "default": "auto"},
}

_AS_OF = {
    "name": "as_of",
    "in": "query",
    "required": False,
    "description": "answer with what the lake held then, UTC: 2026-11-01T12:00, 20261101120000 ...",
    "schema": {"type": "string"},
}


_FRESHNESS = (
    {
        "name": "min_lsn",
        "in": "query",
        "required": False,
        "description": "the answer holds all that was committed before this LSN, as a write of yours told it",
        "schema": {"type": "string"},
    },
    {
        "name": "max_lag",
        "in": "query",
        "required": False,
        "description": "seconds that the answer may be behind PostgreSQL",
        "schema": {"type": "number", "minimum": 0},
    },
)


class QuestionInfo(BaseModel):
    """A question of the catalogue."""

    model_config = ConfigDict(frozen=True)

    name: str
    sentence: str
    parameters: dict[str, str] = Field(description="each parameter with its meaning")
    columns: dict[str, str] = Field(description="each column of a row with its meaning and unit")


class Catalogue(BaseModel):
    """Every question there is."""

    data: list[QuestionInfo]


class AnyRows(BaseModel):
    """Rows of any question, and where they come from."""

    data: list[dict[str, Any]] = Field(description="rows; /questions says what their columns mean")
    meta: Meta


@cache
def envelope(question: Question) -> type[BaseModel]:
    """The body of a question's answer: its rows under `data`, where they come from under `meta`."""
    rows: Any = types.GenericAlias(list, (question.row,))
    return create_model(f"{question.row.__name__}s", data=(rows, ...), meta=(Meta, ...))


def parameters(question: Question) -> list[dict[str, Any]]:
    """The question's parameters as OpenAPI lists them."""
    document = question.params.model_json_schema()
    own = {of_question: of_path for of_path, of_question in question.in_path.items()}
    return [
        {
            "name": own.get(name, name),
            "in": "path" if name in own else "query",
            "required": name in document.get("required", ()) or name in own,
            "description": field.description,
            "schema": _schema(document, name),
        }
        for name, field in question.params.model_fields.items()
    ]


def _schema(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a value looks like in a query string: no nulls, and no default where leaving it out means open."""
    found: dict[str, Any] = document["properties"][name]
    given = next((kind for kind in found.get("anyOf", [found]) if kind.get("type") != "null"), found)
    reference = given.get("$ref", "").rpartition("/")[2]
    kind = document["$defs"][reference] if reference else given
    plain = {key: kind[key] for key in ("type", "enum", "minimum", "maximum") if key in kind}
    default = found.get("default")
    is_open = default is None or name in {"start", "end"}
    return plain if is_open else plain | {"default": default}


def _asking(question: Question) -> Callable[[Request], Awaitable[Response]]:
    async def ask(request: Request) -> Response:
        given = _query(request)
        for of_path, of_question in question.in_path.items():
            if of_question in given:
                raise ParameterInvalid(f"{of_question} stands in the path already", parameter=of_question)
            given[of_question] = request.path_params[of_path]
        return await _answer(request, question.name, given)

    return ask


def _query(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    given = dict(pairs)
    if len(given) < len(pairs):
        name = next(name for name in given if len(request.query_params.getlist(name)) > 1)
        raise ParameterInvalid(f"{name[:200]} is given more than once", parameter=name[:200])
    return given


async def _answer(request: Request, name: str, given: dict[str, str]) -> Response:
    asked: HybridQueryRouter = request.app.state.services.router
    engine, as_of = given.pop("engine", "auto"), given.pop("as_of", None)
    min_lsn, max_lag = given.pop("min_lsn", None), given.pop("max_lag", None)
    # The API listens on loopback and knows no accounts yet: who can reach it may see everything.
    answer = await asked.ask(
        name, given, scope=Scope.everything(), engine=engine, as_of=as_of, min_lsn=min_lsn, max_lag_s=max_lag
    )
    body = envelope(QUESTIONS[name]).model_validate({"data": answer.rows, "meta": answer.meta})
    return Response(body.model_dump_json(), media_type="application/json")


def _described(model: type[BaseModel]) -> dict[str, str]:
    return {name: field.description or "" for name, field in model.model_fields.items()}


async def questions() -> Catalogue:
    """Every question with its parameters and columns."""
    return Catalogue(
        data=[
            QuestionInfo(
                name=question.name,
                sentence=question.sentence,
                parameters=_described(question.params),
                columns=_described(question.row),
            )
            for question in QUESTIONS.values()
        ]
    )


async def any_question(request: Request) -> Response:
    """Any question of the catalogue; its parameters follow in the query string."""
    return await _answer(request, request.path_params["name"], _query(request))


def routes() -> APIRouter:
    """The routes of analytics."""
    router = APIRouter(prefix=PREFIX, tags=["analytics"], responses=problems.RESPONSES)
    for question in QUESTIONS.values():
        if question.path is None:
            continue
        router.add_api_route(
            question.path,
            _asking(question),
            response_model=envelope(question),
            summary=question.sentence,
            description=question.sentence,
            operation_id=question.name,
            openapi_extra={"parameters": [*parameters(question), _ENGINE, _AS_OF, *_FRESHNESS]},
        )
    router.add_api_route("/questions", questions, summary="The catalogue", operation_id="questions")
    asked = {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "the question",
        "schema": {"type": "string", "enum": list(QUESTIONS)},
    }
    router.add_api_route(
        "/questions/{name}",
        any_question,
        response_model=AnyRows,
        summary="Any question of the catalogue",
        operation_id="question",
        openapi_extra={"parameters": [asked, _ENGINE, _AS_OF, *_FRESHNESS]},
    )
    return router
