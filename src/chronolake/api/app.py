"""The application: routes joined, requests named and timed, nothing reachable from another machine."""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.trustedhost import TrustedHostMiddleware

from chronolake.api import analytics, health, pages, problems
from chronolake.services import Services
from chronolake.telemetry import logs, metrics

#: Names of this machine to itself. Any other in a Host header is a web page that points its own name here.
LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = logs.get_logger(__name__)


def create_app(services: Services) -> FastAPI:
    """The API over open services; it opens and closes nothing itself."""
    app = FastAPI(
        title="chronolake",
        version=version("chronolake"),
        description="Analytics over web-archive captures. Every answer says where it comes from and how fresh it is.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.include_router(analytics.router)
    problems.install(app)
    _install_operations(app)
    app.middleware("http")(_named_and_timed)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES)
    return app


def serve(services: Services, port: int) -> None:
    """Serve on 127.0.0.1 until interrupted."""
    uvicorn.run(create_app(services), host="127.0.0.1", port=port, log_level="warning", access_log=False)


def _install_operations(app: FastAPI) -> None:
    @app.get("/", tags=["about"])
    async def index() -> dict[str, str]:
        """Where to go."""
        return {
            "documentation": "/docs",
            "openapi": "/openapi.json",
            "questions": "/api/v1/analytics/questions",
            "health": "/health/ready",
            "metrics": "/metrics",
        }

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(pages.documentation(app.openapi()))

    @app.get("/health/live", tags=["operations"])
    async def live() -> dict[str, str]:
        """Whether the process answers at all."""
        return {"status": "ok"}

    @app.get("/health/ready", tags=["operations"])
    async def ready(request: Request) -> JSONResponse:
        """Whether each part works; 503 where one does not."""
        found = await asyncio.to_thread(health.checks, request.app.state.services)
        ok = all(check.ok for check in found)
        document = {
            "status": "ok" if ok else "failing",
            "checks": {check.part: {"ok": check.ok, "detail": check.detail} for check in found},
        }
        return JSONResponse(document, 200 if ok else 503)

    @app.get("/metrics", tags=["operations"])
    async def exposed() -> PlainTextResponse:
        """Metrics as Prometheus reads them."""
        return PlainTextResponse(generate_latest(metrics.REGISTRY).decode(), media_type=CONTENT_TYPE_LATEST)


async def _named_and_timed(request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
    """Give the request an id, or keep a sane one it brings; log and time it by its route."""
    given = request.headers.get("x-request-id", "")
    request.state.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    started = time.perf_counter()
    with logs.bound(request_id=request.state.request_id):
        response = await follow(request)
        elapsed_s = time.perf_counter() - started
        # The route, never the path: a label for each domain asked about would fill the memory.
        route = getattr(request.scope.get("route"), "path", "(none)")
        metrics.HTTP_SECONDS.labels(
            method=request.method, route=route, status=str(response.status_code)
        ).observe(elapsed_s)
        _log.info("http.served", method=request.method, route=route, status=response.status_code)
    response.headers["X-Request-ID"] = request.state.request_id
    return response
