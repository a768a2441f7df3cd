"""Random ways to ask a question, drawn from the types of its parameters: a seed gives the same ones each time."""

import random
import typing
from datetime import datetime, timedelta
from enum import Enum

from pydantic.fields import FieldInfo

from chronolake.query import Scope
from chronolake.query.params import Params

#: As people write them; some are of hosts in a domain, some of no domain that is there.
DOMAINS = [
    *(f"host-{number}.example" for number in range(0, 40, 3)),
    *["host-3.example"] * 4,
    "www.host-4.example",
    "HOST-6.Example:8080",
    "https://host-9.example/a?b=c",
    "165.22.100.0",
    "upper.example",
    "e.example",
    "é.example",
    "nowhere.example",
]
METRICS = [
    "chronolake_cache_bytes",
    "chronolake_lake_files",
    "process_open_fds",
    "chronolake_query_failures_total",
    "no_such",
]
#: Ends of days, weeks, months, quarters, years; leap days; instants that captures have to the microsecond.
BORDERS = [
    datetime(1996, 12, 31, 23, 59, 59, 999_999),
    datetime(1997, 1, 1),
    datetime(2000, 2, 29, 12),
    datetime(2012, 1, 1),
    datetime(2012, 2, 29),
    datetime(2011, 3, 31, 23, 59, 59, 999_999),
    datetime(2011, 4, 1),
    datetime(2014, 12, 29),
    datetime(2015, 12, 31),
    datetime(2016, 1, 3, 23, 59, 59),
    datetime(2016, 1, 4),
    datetime(1970, 1, 1),
    datetime(2024, 3, 31, 2, 30),
    datetime(2038, 1, 19, 3, 14, 8),
    datetime(1, 1, 1),
    datetime(9999, 12, 31, 23, 59, 59, 999_999),
]
_RANGES = (("start", "end"), ("other_start", "other_end"))


def ways(model: type[Params], project_ids: list[int], chance: random.Random) -> tuple[dict, Scope]:
    """Parameters as people write them, and a scope that has the projects which they name."""
    given = {}
    for name, field in model.model_fields.items():
        if field.is_required() or chance.random() < 0.6:
            given[name] = _value(name, field, chance)
    for start, end in _RANGES:
        if start in given and end in given and _moment(given[start]) > _moment(given[end]):
            given[start], given[end] = given[end], given[start]
    first, second = project_ids
    named = given.keys() & {"project", "projects"}
    scopes = [None, {first, second}, {first, second, 999_999}]
    if not named:
        scopes += [{first}, {second}, {first, 999_999}, set()]
    ids = chance.choice(scopes)
    return given, Scope.everything() if ids is None else Scope(frozenset(ids))


def _value(name: str, field: FieldInfo, chance: random.Random) -> object:
    kinds = [kind for kind in _kinds(field.annotation) if kind is not type(None)]
    kind = kinds[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return chance.choice(list(kind)).value
    if kind is datetime:
        return _written(chance)
    if kind is int:
        low, high = _bounds(field)
        return chance.choice([low, low + 1, low + 2, 7, 30, 100, high, chance.randint(low, high)])
    return {
        "domain": lambda: chance.choice(DOMAINS),
        "metric": lambda: chance.choice(METRICS),
        "project": lambda: chance.choice(["news", "blogs"]),
        "projects": lambda: chance.choice(["news", "blogs", "news,blogs", ["blogs", "news"]]),
    }[name]()


def _kinds(annotation: object) -> tuple[object, ...]:
    return tuple(
        typing.get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
        for kind in typing.get_args(annotation) or (annotation,)
    )


def _bounds(field: FieldInfo) -> tuple[int, int]:
    limits = {
        key: getattr(found, key) for found in field.metadata for key in ("ge", "le") if hasattr(found, key)
    }
    return limits["ge"], limits["le"]


def _written(chance: random.Random) -> str:
    """An instant as people write it: to the microsecond, or digits of which some are left out."""
    at = chance.choice(BORDERS)
    if chance.random() < 0.6:
        at = datetime(2009, 1, 1) + timedelta(seconds=chance.randrange(400_000_000))
    if chance.random() < 0.4:
        return at.isoformat()
    digits = f"{at:%Y%m%d%H%M%S}".zfill(14)
    return digits[: chance.choice([4, 6, 8, 10, 14])]


def _moment(written: str) -> str:
    """Sorts as instants do: by their digits, those left out being the least."""
    digits = "".join(letter for letter in written if letter.isdigit())
    return digits.ljust(20, "0")
