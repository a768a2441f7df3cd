"""Errors as RFC 9457 problem details: one table from error class to status."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from chronolake import errors
from chronolake.errors import ChronolakeError
from chronolake.telemetry import logs

#: The first class that an error is of decides.
STATUS: tuple[tuple[type[ChronolakeError], int], ...] = (
    (errors.QuestionUnknown, 404),
    (errors.ParameterInvalid, 422),
    (errors.SqlRefused, 422),
    (errors.QueryTimeout, 504),
    (errors.EngineUnavailable, 503),
    (errors.LakeError, 503),
    (errors.DatabaseError, 503),
    (errors.ChronolakeError, 500),
)
MEDIA_TYPE = "application/problem+json"

_log = logs.get_logger(__name__)


def problem(request: Request, status: int, title: str, detail: str, **more: object) -> JSONResponse:
    """A problem document. `more` are members of our own: hint, retry, parameter."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "request_id": getattr(request.state, "request_id", None),
        **more,
    }
    return JSONResponse(body, status, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    @app.exception_handler(ChronolakeError)
    async def _ours(request: Request, error: ChronolakeError) -> JSONResponse:
        status = next(status for kind, status in STATUS if isinstance(error, kind))
        more = {"hint": error.hint, "retry": error.retry.value}
        return problem(request, status, type(error).__name__, error.message, **more)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        answer = problem(request, error.status_code, str(error.detail), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        return problem(request, 422, "ParameterInvalid", f"{name}: {first['msg']}", parameter=name)

    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
        _log.error("http.unforeseen", path=request.url.path, exc_info=error)
        detail = "The server failed; its log has the request's id."
        return problem(request, 500, "Internal Server Error", detail)
