"""What every request passes first: only this machine's names, an id, a log line, a metric, and no stack traces.

Plain ASGI, for what FastAPI offers would copy every body through a queue.
"""

import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chronolake import chance
from chronolake.api import problems
from chronolake.telemetry import logs, metrics

#: Names of this machine to itself. Any other in a Host header is a web page that points its own name here.
_LOOPBACK = re.compile(rb"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = logs.get_logger(__name__)


class Front:
    """Names, times, logs and counts each request; answers for what nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it; what is no HTTP passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else chance.name()
        scope.setdefault("state", {})["request_id"] = request_id
        with logs.bound(request_id=request_id):
            await _Served(scope, send, request_id).by(self._app, receive, headers.get(b"host", b""))


class _Served:
    """One request on its way."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._status: int | None = None

    async def by(self, app: ASGIApp, receive: Receive, host: bytes) -> None:
        """Let `app` answer, or refuse in its place."""
        started = time.perf_counter()
        try:
            if _LOOPBACK.fullmatch(host):
                await app(self._scope, receive, self._sending)
            else:
                told = host.decode("latin-1")[:200]
                await self._instead(
                    receive, 421, f"this is 127.0.0.1, not {told!r}", hint="Write http://127.0.0.1:PORT/"
                )
        except Exception as error:
            _log.exception("http.unforeseen", path=self._scope["path"], error=type(error).__name__)
            if self._status is not None:
                raise
            await self._instead(receive, 500, "The server failed; its log has the request's id.")
        finally:
            self._note(time.perf_counter() - started)

    async def _instead(self, receive: Receive, status: int, detail: str, **more: str) -> None:
        answer = problems.of_status(self._scope["path"], self._request_id, status, detail, **more)
        await answer(self._scope, receive, self._sending)

    async def _sending(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self._request_id.encode())]
        await self._send(message)

    def _note(self, elapsed_s: float) -> None:
        # The route, never the path: a label for each domain asked about would fill the memory.
        route = getattr(self._scope.get("route"), "path", "(none)")
        method = self._scope["method"] if self._scope["method"] in _METHODS else "(other)"
        status = str(self._status or "(none)")
        metrics.HTTP_SECONDS.labels(method=method, route=route, status=status).observe(elapsed_s)
        _log.info(
            "http.served",
            method=method,
            route=route,
            status=self._status,
            elapsed_ms=round(elapsed_s * 1000, 3),
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
