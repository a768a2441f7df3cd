"""Schedules over HTTP: what is collected again and again."""

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from chronolake.api import problems
from chronolake.api.bodies import from_here, read_object
from chronolake.api.sessions import CollectBody, ErrorInfo, body_of
from chronolake.ingest import request_of
from chronolake.oltp.schedules import Schedule
from chronolake.query.params import read
from chronolake.services import Services

PATH = "/api/v1/schedules"


class ScheduleInfo(BaseModel):
    """A schedule as it stands."""

    schedule_id: int
    project_id: int
    project: str
    archive: dict[str, Any] | None = Field(
        description="the archive that was named; null: the project's policy chooses"
    )
    query: dict[str, Any]
    every: str
    incremental: bool = Field(description="whether a run asks only for what is newer than all that came")
    paused: bool
    next_at: datetime
    last_at: datetime | None
    last_session_id: int | None
    error: ErrorInfo | None = Field(description="why the newest tick came to nothing")
    created_at: datetime


class ScheduleList(BaseModel):
    """Schedules, oldest first."""

    data: list[ScheduleInfo]


class ScheduleBody(CollectBody):
    """What to collect, and how often."""

    every: str = Field(description="6h, 1d, 2w, or five cron fields in UTC")
    since_last: bool = Field(default=True, description="only what is newer than all that came")


def info(schedule: Schedule) -> ScheduleInfo:
    """The schedule as the API tells it."""
    return ScheduleInfo.model_validate(vars(schedule))


async def listed(request: Request) -> ScheduleList:
    """All of them, with the next tick of each."""
    services: Services = request.app.state.services
    found = await asyncio.to_thread(services.jobs.schedules.listed)
    return ScheduleList(data=[info(schedule) for schedule in found])


async def add(request: Request) -> JSONResponse:
    """Collect again and again: at once and then each time, or when cron says so."""
    from_here(request)
    services: Services = request.app.state.services
    body = read("schedules", ScheduleBody, await read_object(request))
    asked = request_of(services.settings.archives, **body.model_dump(exclude={"every"}))
    schedule = await asyncio.to_thread(services.jobs.schedules.add, asked, body.every)
    headers = {"Location": f"{PATH}/{schedule.schedule_id}"}
    return JSONResponse(info(schedule).model_dump(mode="json"), 201, headers=headers)


async def one(request: Request, schedule_id: int) -> ScheduleInfo:
    """One schedule as it stands."""
    services: Services = request.app.state.services
    return info(await asyncio.to_thread(services.jobs.schedules.find, schedule_id))


async def pause(request: Request, schedule_id: int) -> ScheduleInfo:
    """Let it rest until it is resumed."""
    from_here(request)
    services: Services = request.app.state.services
    return info(await asyncio.to_thread(services.jobs.schedules.pause, schedule_id))


async def resume(request: Request, schedule_id: int) -> ScheduleInfo:
    """Let it go on; what it missed is made up for once."""
    from_here(request)
    services: Services = request.app.state.services
    return info(await asyncio.to_thread(services.jobs.schedules.pause, schedule_id, paused=False))


async def remove(request: Request, schedule_id: int) -> Response:
    """Forget it; its sessions stay."""
    from_here(request)
    services: Services = request.app.state.services
    await asyncio.to_thread(services.jobs.schedules.remove, schedule_id)
    return Response(status_code=204)


def routes() -> APIRouter:
    """The routes of schedules."""
    router = APIRouter(prefix=PATH, tags=["collecting"], responses=problems.RESPONSES)
    router.add_api_route("", listed, summary="Schedules", operation_id="schedules")
    router.add_api_route(
        "",
        add,
        methods=["POST"],
        status_code=201,
        response_model=ScheduleInfo,
        summary="Collect again and again",
        operation_id="add_schedule",
        openapi_extra=body_of(ScheduleBody),
    )
    router.add_api_route("/{schedule_id}", one, summary="One schedule", operation_id="schedule")
    router.add_api_route(
        "/{schedule_id}/pause",
        pause,
        methods=["POST"],
        summary="Let a schedule rest",
        operation_id="pause_schedule",
    )
    router.add_api_route(
        "/{schedule_id}/resume",
        resume,
        methods=["POST"],
        summary="Let a schedule go on",
        operation_id="resume_schedule",
    )
    router.add_api_route(
        "/{schedule_id}",
        remove,
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        summary="Forget a schedule",
        operation_id="remove_schedule",
    )
    return router
