"""Scrape sessions over HTTP: list, ask for, pause, resume, cancel. A worker does the work."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from chronolake.api import problems
from chronolake.api.bodies import from_here, read_object
from chronolake.capture.session import SessionEvent, SessionState, Wanted
from chronolake.ingest import Source, request_of
from chronolake.oltp.sessions import ScrapeSession
from chronolake.query.params import Params, read
from chronolake.services import Services
from chronolake.sources.query import Match

PATH = "/api/v1/sessions"


class ErrorInfo(BaseModel):
    """What ended something early, and what to do about it."""

    type: str
    message: str
    hint: str
    retry: str


class SessionInfo(BaseModel):
    """A scrape session as it stands."""

    session_id: int
    project_id: int
    project: str
    archive_source: str
    domain: str | None
    url: str = Field(description="what is collected, as it was asked for")
    match: Match
    state: SessionState
    wanted: Wanted = Field(
        description="what people want of it; a run that has it follows within about a second"
    )
    place: str | None = Field(description="where the next page begins, in the archive's own words")
    pages: int
    read: int
    stored: int
    duplicate: int
    rejected: int
    outside: int
    failures: int = Field(description="runs in a row that ended in an error and stored no page")
    error: ErrorInfo | None
    next_at: datetime | None = Field(description="when it is tried again, null where no time is set")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class SessionList(BaseModel):
    """Sessions, newest first."""

    data: list[SessionInfo]


class CollectBody(Params):
    """What to collect, into the project of that name."""

    project: str = Field(
        min_length=1, description="project that the captures belong to; made where it is new"
    )
    domain: str = Field(description="what to collect: example.com, example.com/news/*, or a URL")
    source: Source | None = Field(default=None, description="archive to ask; as the project keeps by default")
    url: str | None = Field(default=None, description="address of the archive's API")
    match: Match = Field(default=Match.DOMAIN, description="how much of the web it is about")
    start: str | None = Field(default=None, description="first time: 2014, 201405, 2014-05-31")
    end: str | None = Field(default=None, description="last time, all of it")
    filters: tuple[str, ...] = Field(default=(), description="status:200, !mime:image/.*")
    collapse: str | None = Field(default=None, description="digest, timestamp:8 (wayback)")
    since_last: bool = Field(
        default=False,
        description="only what is newer than all that came; the newest session is answered with",
    )


def info(session: ScrapeSession) -> SessionInfo:
    """The session as the API tells it."""
    told = vars(session) | {"url": session.query["url"], "match": session.query["match"]}
    return SessionInfo.model_validate(told)


async def listed(
    request: Request,
    project: Annotated[str | None, Query(description="sessions of this project")] = None,
    state: Annotated[SessionState | None, Query(description="sessions in this state")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="sessions at most")] = 100,
) -> SessionList:
    """Sessions with their progress, and what is in the way."""
    services: Services = request.app.state.services
    found = await asyncio.to_thread(services.jobs.collect.listed, project=project, state=state, limit=limit)
    return SessionList(data=[info(session) for session in found])


async def begin(request: Request) -> JSONResponse:
    """Queue a session; the same that has not come to its end is the same session."""
    from_here(request)
    services: Services = request.app.state.services
    body = read("sessions", CollectBody, await read_object(request))
    asked = request_of(services.settings.archives, **body.model_dump())
    found = await asyncio.to_thread(services.jobs.collect.later, asked)
    return _accepted(found[-1])


async def one(request: Request, session_id: int) -> SessionInfo:
    """One session as it stands."""
    services: Services = request.app.state.services
    return info(await asyncio.to_thread(services.jobs.collect.find, session_id))


async def pause(request: Request, session_id: int) -> JSONResponse:
    """Have it left alone until it is resumed; a run that has it ends within about a second."""
    return await _asked(request, session_id, SessionEvent.PAUSED)


async def resume(request: Request, session_id: int) -> JSONResponse:
    """Queue it; it goes on exactly where it stood."""
    from_here(request)
    services: Services = request.app.state.services
    return _accepted(await asyncio.to_thread(services.jobs.collect.resume, session_id))


async def cancel(request: Request, session_id: int) -> JSONResponse:
    """End it for good; what is stored stays."""
    return await _asked(request, session_id, SessionEvent.CANCELLED)


async def _asked(request: Request, session_id: int, event: SessionEvent) -> JSONResponse:
    from_here(request)
    services: Services = request.app.state.services
    return _accepted(await asyncio.to_thread(services.jobs.collect.ask, session_id, event))


def _accepted(session: ScrapeSession) -> JSONResponse:
    body = info(session).model_dump(mode="json")
    return JSONResponse(body, 202, headers={"Location": f"{PATH}/{session.session_id}"})


def routes() -> APIRouter:
    """The routes of sessions."""
    router = APIRouter(prefix=PATH, tags=["collecting"], responses=problems.RESPONSES)
    router.add_api_route("", listed, summary="Scrape sessions", operation_id="sessions")
    router.add_api_route(
        "",
        begin,
        methods=["POST"],
        status_code=202,
        response_model=SessionInfo,
        summary="Collect from an archive",
        operation_id="collect",
        openapi_extra=body_of(CollectBody),
    )
    router.add_api_route("/{session_id}", one, summary="One session", operation_id="session")
    for name, does, summary in (
        ("pause", pause, "Leave a session alone for a while"),
        ("resume", resume, "Let a session go on"),
        ("cancel", cancel, "End a session for good"),
    ):
        router.add_api_route(
            f"/{{session_id}}/{name}",
            does,
            methods=["POST"],
            status_code=202,
            response_model=SessionInfo,
            summary=summary,
            operation_id=f"{name}_session",
        )
    return router


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """For OpenAPI: a body that is read as `model`."""
    schema = model.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
