"""Parameters of questions: what people write, and the values that engines are given."""

import difflib
import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chronolake.capture import host
from chronolake.errors import ParameterInvalid
from chronolake.query import moment

#: What is never part of a host name: a path, a query, an address list.
_NO_HOST = re.compile(r"[\s/?#\\\"'<>,;]")
#: Parameters that begin and end a time range.
_RANGES = (("start", "end"), ("other_start", "other_end"))


class Interval(StrEnum):
    """How long a period is. Weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


def _domain(value: object) -> object:
    """The domain that captures of this host, or of this URL's host, are grouped by."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    # Without brackets, the last part of an IPv6 address would be taken for a port.
    name = f"[{text}]" if ":" in text and host.is_ip(text) else text
    found = host.of_url(text) if "://" in text else host.of_name(name)
    if found.name is None or not found.name.isprintable() or _NO_HOST.search(found.name):
        raise ValueError("write a host name such as example.com, or an IP address")
    return found.domain


def _project(value: object) -> object:
    text = str(value)
    # Neither a NUL nor half a surrogate pair can stand in a name that PostgreSQL holds.
    if not text or "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("write a project's name or id")
    return text


def _projects(value: object) -> object:
    """Each project once, out of a text with commas or a list."""
    given = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or any(not isinstance(item, str | int) for item in given):
        raise ValueError("write projects' names or ids, with commas between them or as a list")
    return tuple(dict.fromkeys(_project(item) for item in given))


Domain = Annotated[
    str,
    BeforeValidator(_domain),
    Field(description="a domain such as example.com; a host in it or an IP address will do"),
]
Project = Annotated[str, BeforeValidator(_project), Field(description="a project, by name or id")]
Projects = Annotated[
    tuple[str, ...],
    Field(
        min_length=1,
        max_length=50,
        description="projects, by name or id, with commas between them or as a list, 1 to 50",
    ),
    BeforeValidator(_projects),
]
MetricName = Annotated[
    str,
    Field(
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$",
        description="a metric's name, as GET /metrics and docs/metrics.md tell it",
    ),
]
Start = Annotated[
    datetime,
    BeforeValidator(moment.start_of),
    Field(description="from when, UTC, inclusive: 2014, 201406, 2014-06-01, 20140601120000 ..."),
]
End = Annotated[
    datetime,
    BeforeValidator(moment.end_of),
    Field(description="until when, UTC, inclusive: 2014 is its last instant"),
]
Limit = Annotated[int, Field(ge=1, le=10_000, description="rows at most, 1 to 10000")]


class Params(BaseModel):
    """Parameters of a question; each field has a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_P = TypeVar("_P", bound=Params)


def read(question: str, model: type[_P], given: Mapping[str, Any]) -> _P:
    """The parameters that `given` says; null values are not said.

    Raises:
        ParameterInvalid: one is missing, unknown or out of bounds; the message names it and its value.
    """
    said = {name: value for name, value in given.items() if value is not None}
    try:
        params = model.model_validate(said)
    except ValidationError as error:
        raise _invalid(question, model, said, error) from None
    values = params.model_dump()
    for start, end in _RANGES:
        if None not in (values.get(start), values.get(end)) and values[start] > values[end]:
            raise ParameterInvalid(
                f"{start}={said[start]} is after {end}={said.get(end)}", hint=f"Swap {start} and {end}."
            )
    return params


def _invalid(
    question: str, model: type[Params], said: Mapping[str, Any], error: ValidationError
) -> ParameterInvalid:
    # An unknown name goes first: it may be what a missing one was to be.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    name = str(first["loc"][0])
    known = list(model.model_fields)
    # A body may hold a name of any length.
    shown = name[:200]
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(shown, known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        takes = f"{question} takes {', '.join(known)}." if known else f"{question} takes no parameters."
        return ParameterInvalid(f"{question} has no parameter {shown}", hint=meant + takes, parameter=shown)
    meaning = f"{name}: {model.model_fields[name].description}"
    if first["type"] == "missing":
        return ParameterInvalid(f"{question} needs {name}", hint=meaning, parameter=name)
    value = str(said[name])
    return ParameterInvalid(f"{name}={value[:200]!r}: {first['msg']}", hint=meaning, parameter=name)
