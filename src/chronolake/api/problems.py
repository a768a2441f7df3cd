"""Errors as RFC 9457 problem details: one table from error class to status."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from chronolake import errors
from chronolake.errors import ChronolakeError, Retry

#: The first class that an error is of decides.
STATUS: tuple[tuple[type[ChronolakeError], int], ...] = (
    (errors.QuestionUnknown, 404),
    (errors.ParameterInvalid, 422),
    (errors.SqlRefused, 422),
    (errors.QueryTimeout, 504),
    (errors.EngineUnavailable, 503),
    (errors.SnapshotExpired, 410),
    (errors.SessionUnknown, 404),
    (errors.SessionEnded, 409),
    (errors.ArchiveQueryInvalid, 422),
    (errors.ScheduleUnknown, 404),
    (errors.ScheduleInvalid, 422),
    (errors.ExportUnknown, 404),
    (errors.ExportUnready, 409),
    (errors.ExportGone, 410),
    (errors.SourceUnavailable, 503),
    (errors.LakeError, 503),
    (errors.DatabaseError, 503),
    (errors.ChronolakeError, 500),
)
MEDIA_TYPE = "application/problem+json"
#: What follows names the class of the error; it stays the same while titles may be reworded.
TYPE = "urn:chronolake:error:"
#: Seconds after which it is worth trying again where another moment may be enough, and the error knows no better.
RETRY_AFTER_S = 1


class Problem(BaseModel):
    """A problem document: RFC 9457's members, and four of our own."""

    type: str = Field(
        description=f"`{TYPE}` and the class of the error; about:blank where the status says it all"
    )
    title: str = Field(description="what such a problem is")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what happened this time")
    instance: str = Field(description="the path that was asked for")
    request_id: str = Field(description="the request's id, as in X-Request-ID and in the log")
    hint: str | None = Field(default=None, description="what to do about it")
    retry: Retry | None = Field(default=None, description="whether the same request can succeed later")
    parameter: str | None = Field(default=None, description="the parameter that is at fault")


#: For OpenAPI: what any operation may answer with instead.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457).",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def of_error(path: str, request_id: str, error: ChronolakeError) -> JSONResponse:
    """The answer for an error of ours."""
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    parameter = error.facts.get("parameter")
    document = Problem(
        type=TYPE + type(error).__name__,
        title=(type(error).__doc__ or type(error).__name__).split("\n")[0],
        status=status,
        detail=error.message,
        instance=path,
        request_id=request_id,
        hint=error.hint or None,
        retry=error.retry,
        parameter=None if parameter is None else str(parameter),
    )
    later = status == HTTPStatus.SERVICE_UNAVAILABLE and error.retry is Retry.LATER
    return _answer(
        document, {"Retry-After": str(error.facts.get("retry_after_s", RETRY_AFTER_S))} if later else {}
    )


def of_status(path: str, request_id: str, status: int, detail: str, **more: Any) -> JSONResponse:
    """The answer for what HTTP itself has a status for."""
    title = HTTPStatus(status).phrase
    return _answer(
        Problem(
            type="about:blank",
            title=title,
            status=status,
            detail=detail,
            instance=path,
            request_id=request_id,
            **more,
        ),
        {},
    )


def install(app: FastAPI) -> None:
    """Answer every error that `app` foresees with a problem document."""

    @app.exception_handler(ChronolakeError)
    async def _ours(request: Request, error: ChronolakeError) -> JSONResponse:
        return of_error(request.url.path, request.state.request_id, error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        detail = (
            "there is nothing at this path"
            if error.status_code == HTTPStatus.NOT_FOUND
            else str(error.detail)
        )
        hint = "What there is: /docs" if error.status_code == HTTPStatus.NOT_FOUND else None
        answer = of_status(request.url.path, request.state.request_id, error.status_code, detail, hint=hint)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        detail = f"{name}: {first['msg']}"
        return of_status(request.url.path, request.state.request_id, 422, detail, parameter=name)


def _answer(document: Problem, headers: dict[str, str]) -> JSONResponse:
    body = document.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, document.status, headers=headers, media_type=MEDIA_TYPE)
