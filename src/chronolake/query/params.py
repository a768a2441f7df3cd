"""Parameters of questions: what people write, and the values that engines are given."""

import calendar
import difflib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chronolake.capture import host
from chronolake.errors import ParameterInvalid

#: Bounds of an open time range, so that one statement serves with and without.
EARLIEST = datetime(1, 1, 1)  # noqa: DTZ001  # timestamps of captures are UTC and bear no zone
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001  # as above
_DIGITS = re.compile(r"\d{4,14}")
_ISO_DAY = re.compile(r"\d{4}-\d{2}(-\d{2})?")


class Interval(StrEnum):
    """How long a period is. Weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


def _domain(value: object) -> object:
    """The domain that captures of this host are grouped by."""
    if not isinstance(value, str):
        return value
    found = host.of_name(value.strip().rstrip("."))
    if found.name is None:
        raise ValueError("write a host name such as example.com, or an IP address")
    return found.domain


def _moment(value: object, *, high: bool) -> object:
    """A time as 4 to 14 digits, an ISO date or an ISO time; what is left out is padded low or high."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    text = value.isoformat() if isinstance(value, date) else str(value).strip()
    digits = text.replace("-", "") if _ISO_DAY.fullmatch(text) else text
    if _DIGITS.fullmatch(digits):
        return _padded(digits, high=high)
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _padded(digits: str, *, high: bool) -> datetime:
    if len(digits) % 2:
        raise ValueError("write 4, 6, 8, 10, 12 or 14 digits: year, month, day, hour, minute, second")
    year = int(digits[:4])
    month = int(digits[4:6] or (12 if high else 1))
    last_day = calendar.monthrange(year, month)[1] if 1 <= month <= 12 else 0
    day = int(digits[6:8] or (last_day if high else 1))
    hour = int(digits[8:10] or (23 if high else 0))
    minute = int(digits[10:12] or (59 if high else 0))
    second = int(digits[12:14] or (59 if high else 0))
    # Captures may bear fractions of a second, and the end is inclusive.
    micro = 999_999 if high else 0
    return datetime(year, month, day, hour, minute, second, micro)  # noqa: DTZ001  # UTC, without a zone


Domain = Annotated[
    str,
    BeforeValidator(_domain),
    Field(description="a domain such as example.com; a host in it or an IP address will do"),
]
Project = Annotated[str, BeforeValidator(str), Field(description="a project, by name or id")]
Start = Annotated[
    datetime,
    BeforeValidator(lambda value: _moment(value, high=False)),
    Field(description="from when, UTC, inclusive: 2014, 201406, 2014-06-01, 20140601120000 ..."),
]
End = Annotated[
    datetime,
    BeforeValidator(lambda value: _moment(value, high=True)),
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
    if "start" in values and values["start"] > values["end"]:
        raise ParameterInvalid(
            f"start={said['start']} is after end={said.get('end')}", hint="Swap start and end."
        )
    return params


def _invalid(
    question: str, model: type[Params], said: Mapping[str, Any], error: ValidationError
) -> ParameterInvalid:
    first = error.errors()[0]
    name = str(first["loc"][0])
    known = list(model.model_fields)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        takes = f"{question} takes {', '.join(known)}." if known else f"{question} takes no parameters."
        return ParameterInvalid(f"{question} has no parameter {name}", hint=meant + takes, parameter=name)
    meaning = f"{name}: {model.model_fields[name].description}"
    if first["type"] == "missing":
        return ParameterInvalid(f"{question} needs {name}", hint=meaning, parameter=name)
    value = str(said[name])
    return ParameterInvalid(f"{name}={value[:200]!r}: {first['msg']}", hint=meaning, parameter=name)
