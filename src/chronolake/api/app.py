"""The application: routes joined behind one front, served on this machine alone."""

import asyncio
import math
import socket
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from chronolake.api import analytics, exports, health, pages, problems, schedules, sessions, sql
from chronolake.api.direct import Direct
from chronolake.api.front import Front
from chronolake.errors import ChronolakeError, SettingsError
from chronolake.jobs import Queue
from chronolake.oltp import ledger, queued
from chronolake.services import Services
from chronolake.telemetry import metrics

#: Metrics are given without the ledger's part where PostgreSQL takes longer than this, seconds.
_LEDGER_DEADLINE_S = 2.0
#: Seconds for which a thread has the interpreter while others wait for it, where Python's own are fifty times as many.
#: Measured under a dashboards' load, in turns within one run: as many answers as with five times as long, and of those
#: that are computed the slowest hundredth comes a sixth sooner.
SWITCH_S = 0.0001


class CheckInfo(BaseModel):
    """One part's state."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """Every part's state."""

    status: str = Field(description="ok, or failing where a part fails")
    checks: dict[str, CheckInfo]


def create_app(services: Services) -> FastAPI:
    """The API over open services; it opens and closes nothing itself."""
    app = FastAPI(
        title="chronolake",
        version=version("chronolake"),
        description="Analytics over web-archive captures. Every answer says where it comes from and how fresh it is.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    asked = analytics.routes()
    app.include_router(asked)
    app.include_router(sql.routes())
    app.include_router(sessions.routes())
    app.include_router(schedules.routes())
    app.include_router(exports.routes())
    app.include_router(_operations())
    problems.install(app)
    app.add_middleware(Direct, routes=analytics.direct(asked))
    app.add_middleware(Front)
    written = app.openapi

    def with_problems() -> dict[str, Any]:
        document = written()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", _problem_schema(schemas))
        return document

    app.openapi = with_problems  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def serve(services: Services, port: int, *, on_bound: Callable[[str], None] = lambda _: None) -> None:
    """Serve on 127.0.0.1 until interrupted; `on_bound` is told the address once the port is ours.

    Raises:
        SettingsError: the port is taken, or may not be used.
    """
    # The loop waits for the interpreter as often as a thread that computes has it: each time for so long at most.
    sys.setswitchinterval(SWITCH_S)
    # Named, for asyncio's own loop sends small packets at once only where it is: else each answer waits 40 ms for an
    # ACK.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            raise SettingsError(
                f"port {port} of 127.0.0.1 cannot be served: {error.strerror}",
                hint="Choose another: chronolake serve --port N, or CHRONOLAKE_PORT.",
            ) from error
        on_bound(f"http://127.0.0.1:{port}")
        config = uvicorn.Config(
            create_app(services), log_level="warning", access_log=False, lifespan="off", proxy_headers=False
        )
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            # It has shut down in order, and hands the signal on.
            return


def _operations() -> APIRouter:
    router = APIRouter(tags=["operations"], responses=problems.RESPONSES)
    router.add_api_route("/", index, summary="Where to go")
    router.add_api_route("/docs", documentation, include_in_schema=False, response_class=HTMLResponse)
    router.add_api_route("/health/live", live, summary="Whether the process answers at all")
    router.add_api_route(
        "/health/ready",
        ready,
        summary="Whether each part works",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "A part does not work."}},
    )
    router.add_api_route(
        "/metrics", exposed, summary="Metrics as Prometheus reads them", response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )  # fmt: skip
    return router


async def index() -> dict[str, str]:
    """Links to what there is."""
    return {
        "documentation": "/docs",
        "openapi": "/openapi.json",
        "questions": f"{analytics.PREFIX}/questions",
        "sessions": sessions.PATH,
        "health": "/health/ready",
        "metrics": "/metrics",
    }


async def documentation(request: Request) -> HTMLResponse:
    """Every operation on one page, which asks no other server for anything."""
    return HTMLResponse(pages.documentation(request.app.openapi()), headers=pages.HEADERS)


async def live() -> dict[str, str]:
    """Answers as long as the process does, whatever became of its parts."""
    return {"status": "ok"}


async def ready(request: Request) -> JSONResponse:
    """200 where each part works, 503 where one does not; both say what was found."""
    found = await health.checks(request.app.state.services)
    ok = all(check.ok for check in found)
    document = Readiness(
        status="ok" if ok else "failing",
        checks={check.part: CheckInfo(ok=check.ok, detail=check.detail) for check in found},
    )
    return JSONResponse(document.model_dump(), 200 if ok else 503)


async def exposed(request: Request) -> Response:
    """Counted in this process; what the lake lacks is asked of the ledger each time."""
    try:
        work = asyncio.to_thread(_measure, request.app.state.services)
        await asyncio.wait_for(work, _LEDGER_DEADLINE_S)
    except (ChronolakeError, TimeoutError):
        # Metrics are wanted most when something is broken.
        metrics.LEDGER_PENDING.set(math.nan)
        metrics.LAKE_LAG_SECONDS.set(math.nan)
        metrics.JOBS.clear()
        for queue in Queue:
            metrics.JOBS_OLDEST.labels(queue=queue.value).set(math.nan)
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


def _measure(services: Services) -> None:
    with services.database.connection() as conn:
        backlog = ledger.backlog(conn)
        jobs = queued.counts(conn)
    metrics.LEDGER_PENDING.set(backlog.batches)
    metrics.LAKE_LAG_SECONDS.set(math.nan if backlog.lag_s is None else backlog.lag_s)
    metrics.JOBS.clear()
    oldest = {queue.value: 0.0 for queue in Queue}
    for found in jobs:
        metrics.JOBS.labels(queue=found.queue, state=found.state).set(found.jobs)
        oldest[found.queue] = max(oldest.get(found.queue, 0.0), found.oldest_s)
    for queue, waited_s in oldest.items():
        metrics.JOBS_OLDEST.labels(queue=queue).set(waited_s)


def _problem_schema(schemas: dict[str, Any]) -> dict[str, Any]:
    document = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(document.pop("$defs", {}))
    return document
