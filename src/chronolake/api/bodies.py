"""Bodies of requests: small JSON objects."""

from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from chronolake.errors import ParameterInvalid

#: Parameters are names and times, and SQL is written by people: nothing of theirs is larger.
MAX_BODY_BYTES = 64 * 1024


#: What a browser says of a request that a page of this server made, or a person.
_OWN_SITES = frozenset({"same-origin", "none"})


def from_here(request: Request) -> None:
    """Let no page of another site change anything: browsers send what it posts to us, and say where it comes from.

    Raises:
        HTTPException: the request was made by such a page.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if (site is not None and site not in _OWN_SITES) or (origin is not None and origin != own):
        raise HTTPException(HTTPStatus.FORBIDDEN, "a page of another site may change nothing here")


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object that is the request's body; no more of it is read than it may have.

    Raises:
        ParameterInvalid: it is no JSON object.
        HTTPException: it is larger than MAX_BODY_BYTES, or broke off.
    """
    held = bytearray()
    try:
        async for piece in request.stream():
            held += piece
            if len(held) > MAX_BODY_BYTES:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MAX_BODY_BYTES} bytes"
                )
    except ClientDisconnect:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body broke off") from None
    try:
        found = from_json(bytes(held), allow_inf_nan=False)
    except ValueError as error:
        raise ParameterInvalid(
            f"the body is not JSON: {error}", hint="Write the parameters as a JSON object."
        ) from None
    if not isinstance(found, dict):
        raise ParameterInvalid("the body is no JSON object", hint="Write the parameters as a JSON object.")
    return found
