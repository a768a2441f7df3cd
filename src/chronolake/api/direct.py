"""The short way to a question's answer: found by its path, and given to the server as it comes.

Of what a kept answer costs, half was FastAPI's: it tries one route after the other, and prepares for dependencies and
bodies that these routes do not have. They are declared to it like all others, and OpenAPI comes of that; whoever asks
by GET comes here first. All else goes on to the application.
"""

from collections.abc import Awaitable, Callable, Iterable
from re import Pattern
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from chronolake.api import problems
from chronolake.api.rounds import Rounds
from chronolake.errors import ChronolakeError

Endpoint = Callable[[Request], Awaitable[Response]]


class Direct:
    """Calls the endpoints of `routes`, which are given the request, before the application that they belong to."""

    def __init__(self, app: ASGIApp, *, routes: Iterable[APIRoute]) -> None:
        self._app = app
        self._rounds = Rounds()
        asked = [route for route in routes if "GET" in (route.methods or ())]
        self._fixed = {route.path: route for route in asked if not route.param_convertors}
        self._patterns: list[tuple[Pattern[str], APIRoute]] = [
            (route.path_regex, route) for route in asked if route.param_convertors
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        found = self._found(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        # The application's own names: what is counted by the route is told apart by it.
        scope["route"], scope["path_params"] = found
        request = Request(scope, receive)
        await self._rounds.turn()
        try:
            response = await _endpoint(found[0])(request)
        except ChronolakeError as error:
            response = problems.of_error(scope["path"], request.state.request_id, error)
        await response(scope, receive, send)

    def _found(self, scope: Scope) -> tuple[APIRoute, dict[str, Any]] | None:
        path = scope["path"]
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, {}
        for pattern, route in self._patterns:
            if (match := pattern.match(path)) is not None:
                return route, match.groupdict()
        return None


def _endpoint(route: APIRoute) -> Endpoint:
    endpoint: Endpoint = route.endpoint
    return endpoint
