"""Exports over HTTP: asked for, looked at, fetched piece by piece, removed. A worker writes them."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from chronolake.api import problems
from chronolake.api.bodies import from_here, read_object
from chronolake.api.sessions import ErrorInfo, body_of
from chronolake.oltp.exports import Export
from chronolake.query.export import NAME, Format
from chronolake.query.params import Params, read
from chronolake.services import Services

PATH = "/api/v1/exports"
MEDIA_TYPES = {
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSONL: "application/x-ndjson",
    Format.ARROW: "application/vnd.apache.arrow.file",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class ExportBody(Params):
    """What to export, and how it is wanted."""

    what: str = Field(default=NAME, description="captures, or the name of a question")
    params: dict[str, Any] = Field(
        default={}, description="filters of captures, or the question's parameters"
    )
    format: Format = Field(default=Format.PARQUET, description="parquet, csv, jsonl, arrow or xlsx")


class ExportInfo(BaseModel):
    """An export as it stands."""

    export_id: UUID
    what: str
    params: dict[str, Any]
    format: Format
    state: str = Field(description="waiting, running, done or failed")
    share: float | None = Field(description="how much is done, 0 to 1; null where nobody can tell")
    rows: int | None = Field(description="rows of the whole file")
    bytes: int | None = Field(description="bytes that are written so far")
    as_of_lsn: str | None = Field(description="it holds everything that was committed before this LSN")
    lag_s: float | None = Field(description="seconds that it was behind PostgreSQL when it was begun")
    error: ErrorInfo | None = Field(description="why the newest try came to nothing")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    file: str | None = Field(description="where the file is, once it is done")


def info(export: Export) -> ExportInfo:
    """The export as the API tells it."""
    file = f"{PATH}/{export.export_id}/file" if export.state == "done" else None
    return ExportInfo.model_validate(vars(export) | {"file": file})


async def begin(request: Request) -> JSONResponse:
    """Queue an export; the id that it gets cannot be guessed."""
    from_here(request)
    services: Services = request.app.state.services
    body = read("exports", ExportBody, await read_object(request))
    export = await asyncio.to_thread(services.jobs.exports.later, body.what, body.params, body.format)
    headers = {"Location": f"{PATH}/{export.export_id}"}
    return JSONResponse(info(export).model_dump(mode="json"), 202, headers=headers)


async def one(request: Request, export_id: UUID) -> ExportInfo:
    """How it stands."""
    services: Services = request.app.state.services
    return info(await asyncio.to_thread(services.jobs.exports.find, export_id))


async def file(request: Request, export_id: UUID) -> FileResponse:
    """The whole file, or the ranges of it that are asked for."""
    services: Services = request.app.state.services
    export, path = await asyncio.to_thread(services.jobs.exports.file, export_id)
    form = Format(export.format)
    # The id and the run, for which there is one file ever; so it holds where the file was copied to another disk.
    headers = {"ETag": f'"{export.export_id}-{export.run}"'}
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[form],
        filename=f"{export.what}.{form.value}",
        headers=headers,
        stat_result=await asyncio.to_thread(path.stat),
    )


async def remove(request: Request, export_id: UUID) -> Response:
    """Remove it with its file; a run that writes it ends itself."""
    from_here(request)
    services: Services = request.app.state.services
    await asyncio.to_thread(services.jobs.exports.remove, export_id)
    return Response(status_code=204)


def routes() -> APIRouter:
    """The routes of exports."""
    router = APIRouter(prefix=PATH, tags=["exports"], responses=problems.RESPONSES)
    router.add_api_route(
        "",
        begin,
        methods=["POST"],
        status_code=202,
        response_model=ExportInfo,
        summary="Export captures, or a question's answer",
        operation_id="export",
        openapi_extra=body_of(ExportBody),
    )
    router.add_api_route("/{export_id}", one, summary="How an export stands", operation_id="export_state")
    router.add_api_route(
        "/{export_id}/file",
        file,
        summary="An export's file",
        operation_id="export_file",
        response_class=Response,
        responses={
            200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}},
            206: {"description": "The range that was asked for."},
            416: {"description": "The file has no such range."},
        },
    )
    router.add_api_route(
        "/{export_id}",
        remove,
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        summary="Remove an export",
        operation_id="remove_export",
    )
    return router
