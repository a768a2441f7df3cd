"""`/api/v1/analytics`: the plan's four paths, and every question of the catalogue by its name."""

import types
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, create_model

from chronolake.query import QUESTIONS, Answer, HybridQueryRouter, Meta, Question, Scope

router = APIRouter(prefix="/api/v1/analytics", tags=["analytics"])

Engine = Annotated[str, Query(description="auto, duckdb or postgres")]
Interval = Annotated[str, Query(description="day, week, month, quarter or year")]
Project = Annotated[str | None, Query(description="a project, by name or id; all by default")]
Start = Annotated[str | None, Query(description="from when, UTC, inclusive: 2014, 20140601, 2014-06-01 ...")]
End = Annotated[str | None, Query(description="until when, UTC, inclusive: 2014 is its last instant")]


def _envelope(question: Question) -> Any:
    """The response model of a question: its rows under `data`, where they come from under `meta`."""
    rows: Any = types.GenericAlias(list, (question.row,))
    return create_model(f"{question.row.__name__}s", data=(rows, ...), meta=(Meta, ...))


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


class Rows(BaseModel):
    """Rows of any question, and where they come from."""

    data: list[dict[str, Any]]
    meta: Meta


@router.get("/domains/{domain}/timeline", response_model=_envelope(QUESTIONS["domain_timeline"]))
async def domain_timeline(
    request: Request,
    domain: str,
    *,
    interval: Interval = "month",
    start: Start = None,
    end: End = None,
    project: Project = None,
    engine: Engine = "auto",
) -> dict[str, Any]:
    """How was a domain captured over time?"""
    params = {"domain": domain, "interval": interval, "start": start, "end": end, "project": project}
    return await _ask(request, "domain_timeline", params, engine)


@router.get("/projects/{project_id}/performance", response_model=_envelope(QUESTIONS["project_performance"]))
async def project_performance(
    request: Request,
    project_id: str,
    *,
    interval: Interval = "month",
    start: Start = None,
    end: End = None,
    engine: Engine = "auto",
) -> dict[str, Any]:
    """How did a project's captures fare over time?"""
    params = {"project": project_id, "interval": interval, "start": start, "end": end}
    return await _ask(request, "project_performance", params, engine)


@router.get(
    "/content/quality-distribution", response_model=_envelope(QUESTIONS["content_quality_distribution"])
)
async def content_quality_distribution(
    request: Request, start: Start = None, end: End = None, project: Project = None, engine: Engine = "auto"
) -> dict[str, Any]:
    """How good is the content of the pages?"""
    params = {"start": start, "end": end, "project": project}
    return await _ask(request, "content_quality_distribution", params, engine)


@router.get("/archive-sources/comparison", response_model=_envelope(QUESTIONS["archive_sources_comparison"]))
async def archive_sources_comparison(
    request: Request, start: Start = None, end: End = None, project: Project = None, engine: Engine = "auto"
) -> dict[str, Any]:
    """How do the archive sources compare?"""
    params = {"start": start, "end": end, "project": project}
    return await _ask(request, "archive_sources_comparison", params, engine)


@router.get("/questions")
async def questions() -> Catalogue:
    """The catalogue: every question with its parameters and columns."""
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


@router.get("/questions/{name}")
async def question(request: Request, name: str, engine: Engine = "auto") -> Rows:
    """Any question of the catalogue; its parameters follow in the query string."""
    params = {key: value for key, value in request.query_params.items() if key != "engine"}
    return Rows.model_validate(await _ask(request, name, params, engine))


async def _ask(request: Request, name: str, params: dict[str, Any], engine: str) -> dict[str, Any]:
    asked: HybridQueryRouter = request.app.state.services.router
    # The API listens on loopback and knows no accounts yet: who can reach it may see everything.
    answer: Answer = await asked.ask(name, params, scope=Scope.everything(), engine=engine)
    return {"data": answer.rows, "meta": answer.meta.model_dump()}


def _described(model: type[BaseModel]) -> dict[str, str]:
    return {name: field.description or "" for name, field in model.model_fields.items()}
