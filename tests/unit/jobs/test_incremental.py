"""What is asked for where only what is new is wanted, by what came before."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from chronolake.ingest.incremental import plan
from chronolake.sources.query import Query

REACH = datetime(2024, 6, 15, 12)
WEEK = timedelta(days=7)


@dataclass
class Unended:
    """As much of a session as the plan looks at."""

    session_id: int
    end: str | None = None
    wanted: str = "run"
    created_at: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    query: dict = field(init=False)

    def __post_init__(self):
        self.query = {"end": self.end}


@pytest.mark.parametrize(
    ("given", "unended", "reach", "resumed", "start"),
    [
        # Nothing came yet: everything.
        ({}, [], None, (), None),
        ({}, [], REACH, (), "20240608120000"),
        ({"start": "2024-06-10"}, [], REACH, (), "20240610000000"),
        ({"start": "2014"}, [], REACH, (), "20240608120000"),
        # One that was to bring the same goes on, and nothing else is needed.
        ({}, [Unended(3)], REACH, (3,), "none"),
        # One whose range ends earlier leaves a gap: it goes on first.
        ({}, [Unended(2, end="20121231235959")], REACH, (2,), "20240608120000"),
        ({}, [Unended(2, end="20121231235959")], None, (2,), "20121224235959"),
        # Its range may end in the future: it brings what there was when it was asked for.
        ({}, [Unended(2, end="20991231235959")], None, (2,), "20241225000000"),
        # What a person paused stays so, and stands for its range.
        ({}, [Unended(2, end="20121231235959"), Unended(3, wanted="pause")], REACH, (2,), "none"),
        # All of it lies before what came.
        ({"end": "2020"}, [], REACH, (), "none"),
    ],
)
def test_the_plan(given, unended, reach, resumed, start):
    found = plan(Query.parse("example.com", **given), unended, reach, WEEK)
    assert found.resume == resumed
    assert (found.begin.start if found.begin else "none") == start
