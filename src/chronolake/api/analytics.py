"""`/api/v1/analytics`: every question of the catalogue, at its own path and by its name.

Parameters are read where every door has them read, by the question's own model; what OpenAPI says of them is
written out of that model.
"""

import types
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, create_model

from chronolake.api import problems
from chronolake.api.bodies import read_object
from chronolake.errors import ParameterInvalid
from chronolake.query import QUESTIONS, Answer, HybridQueryRouter, JsonRows, Meta, Question, Scope

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
#: What every question takes besides its own parameters, in the query string.
_OPTIONS = (_ENGINE, _AS_OF, *_FRESHNESS)
_OPTION_NAMES = frozenset(option["name"] for option in _OPTIONS)


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


def body(question: Question) -> dict[str, Any]:
    """The question's parameters as OpenAPI describes a body."""
    told = parameters(question)
    schema = {
        "type": "object",
        "properties": {each["name"]: each["schema"] | {"description": each["description"]} for each in told},
        "required": [each["name"] for each in told if each["required"]],
        "additionalProperties": False,
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _schema(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a value looks like as it is written: no nulls, and no default where leaving it out means open."""
    found: dict[str, Any] = document["properties"][name]
    given = next((kind for kind in found.get("anyOf", [found]) if kind.get("type") != "null"), found)
    reference = given.get("$ref", "").rpartition("/")[2]
    kind = document["$defs"][reference] if reference else given
    said = ("type", "enum", "minimum", "maximum", "items", "minItems", "maxItems")
    plain = {key: kind[key] for key in said if key in kind}
    default = found.get("default")
    is_open = default is None or name in {"start", "end"}
    return plain if is_open else plain | {"default": default}


def _asking(question: Question) -> Callable[[Request], Awaitable[Response]]:
    async def ask(request: Request) -> Response:
        given, options = _query(request)
        for of_path, of_question in question.in_path.items():
            if of_question in given:
                raise ParameterInvalid(f"{of_question} stands in the path already", parameter=of_question)
            given[of_question] = request.path_params[of_path]
        return await _answer(request, question.name, given, options)

    async def ask_with_body(request: Request) -> Response:
        misplaced, options = _query(request)
        if misplaced:
            name = next(iter(misplaced))[:200]
            raise ParameterInvalid(
                f"{name} stands in the query string",
                hint="Here a question's parameters stand in the body, a JSON object.",
                parameter=name,
            )
        return await _answer(request, question.name, await read_object(request), options)

    return ask_with_body if question.method == "POST" else ask


def _query(request: Request) -> tuple[dict[str, Any], dict[str, str]]:
    """The query string's parameters of the question, and the options that any question takes."""
    # As Starlette reads them, without the objects that it makes of them.
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    given: dict[str, Any] = {}
    options: dict[str, str] = {}
    for name, value in pairs:
        of_its_kind = options if name in _OPTION_NAMES else given
        if name in of_its_kind:
            raise ParameterInvalid(f"{name[:200]} is given more than once", parameter=name[:200])
        of_its_kind[name] = value
    return given, options


async def _answer(
    request: Request, name: str, given: Mapping[str, Any], options: Mapping[str, str]
) -> Response:
    asked: HybridQueryRouter = request.app.state.services.router
    # The API listens on loopback and knows no accounts yet: who can reach it may see everything.
    answer = await asked.ask(
        name,
        given,
        scope=Scope.everything(),
        engine=options.get("engine", "auto"),
        as_of=options.get("as_of"),
        min_lsn=options.get("min_lsn"),
        max_lag_s=options.get("max_lag"),
        as_json=True,
    )
    return Response(document(answer), media_type="application/json")


def document(answer: Answer) -> bytes:
    """An answer in JSON, as `envelope` describes it."""
    rows = answer.json or JsonRows.of(answer.rows)
    return b'{"data":%b,"meta":%b}' % (rows.text, answer.meta.model_dump_json().encode())


def _described(model: type[BaseModel]) -> dict[str, str]:
    return {name: field.description or "" for name, field in model.model_fields.items()}


def _described_parameters(question: Question) -> dict[str, Any]:
    if question.method == "POST":
        return {"parameters": [*_OPTIONS], "requestBody": body(question)}
    return {"parameters": [*parameters(question), *_OPTIONS]}


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
    return await _answer(request, request.path_params["name"], *_query(request))


def direct(router: APIRouter) -> list[APIRoute]:
    """Of the routes of analytics those that ask a question: their endpoints take a request and give a response."""
    found = [route for route in router.routes if isinstance(route, APIRoute)]
    return [route for route in found if route.endpoint is not questions]


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
            methods=[question.method],
            openapi_extra=_described_parameters(question),
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
        openapi_extra={"parameters": [asked, *_OPTIONS]},
    )
    return router
