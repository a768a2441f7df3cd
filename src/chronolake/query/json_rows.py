"""Rows as JSON, made by the thread that has them: the event loop, which all answers pass, only sends them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

#: A time without a zone is UTC, and says so.
_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


@dataclass(frozen=True)
class JsonRows:
    """An array of objects in JSON, and how many there are."""

    text: bytes
    count: int

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> "JsonRows":
        """These rows, as a question's row model describes them.

        The models describe, and a test compares: to put each row through them takes as long as all the rest.
        """
        return cls(orjson.dumps(rows, option=_OPTIONS), len(rows))
