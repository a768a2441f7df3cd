"""The captures of the archive for tests: what a query finds of them, and how each form of index writes one. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote_plus

from chronolake.capture import surt


@dataclass(frozen=True)
class Made:
    """One made-up capture."""

    url: str
    timestamp: str
    status: str = "200"
    mime: str = "text/html"
    digest: str = "A" * 32

    @cached_property
    def key(self) -> str:
        """Its URL key."""
        return surt.key(self.url) or ""

    @property
    def row(self) -> list[str]:
        """It as a row of the Wayback CDX API."""
        return [self.key, self.timestamp, self.url, self.mime, self.status, self.digest, "321"]


@dataclass(frozen=True)
class Listed:
    """What a query finds, in an index's order, and the place of each resume key."""

    found: list[Made]
    places: dict[str, int]

    @classmethod
    def of(cls, captures: Iterable[Made], url: str, match: str) -> "Listed":
        """Those of `captures` that the URL means by the match type."""
        found = sorted(
            (made for made in captures if _matches(made, url, match)),
            key=lambda made: (made.key, made.timestamp),
        )
        places: dict[str, int] = {}
        for place, made in enumerate(found):
            places.setdefault(resume_key(made), place)
        return cls(found, places)


def _matches(made: Made, url: str, match: str) -> bool:
    wanted = surt.key(url) or ""
    if match == "exact":
        return made.key == wanted
    if match == "prefix":
        return made.key.startswith(wanted)
    host = wanted.partition(")")[0]
    return made.key.startswith((f"{host})", f"{host},") if match == "domain" else f"{host})")


def resume_key(made: Made) -> str:
    """Where an index goes on with this capture."""
    return quote_plus(f"{made.key} {made.timestamp}")


def _fields(made: Made) -> dict[str, str]:
    fields = {"url": made.url, "mime": made.mime, "status": made.status, "digest": made.digest}
    return {name: value for name, value in fields.items() if value != "-"}


def cdxj(made: Made) -> str:
    """It as a line of CDXJ."""
    return f"{made.key} {made.timestamp} {json.dumps(_fields(made))}"


def object_line(made: Made) -> str:
    """It as a line of Common Crawl's API."""
    return json.dumps({"urlkey": made.key, "timestamp": made.timestamp, **_fields(made)})
