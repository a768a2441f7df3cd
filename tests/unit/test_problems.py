"""What a problem tells whoever may try again: when to."""

import pytest

from chronolake.api.problems import RETRY_AFTER_S, of_error
from chronolake.errors import EngineUnavailable, LakeMissing, QueryTimeout


@pytest.mark.parametrize(
    ("error", "status", "after"),
    [
        (EngineUnavailable("too busy", retry_after_s=12), 503, "12"),
        (EngineUnavailable("no lake"), 503, str(RETRY_AFTER_S)),
        # Another moment is not enough: a person has to do something, or the question has to change.
        (LakeMissing("none"), 503, None),
        (QueryTimeout("too long"), 504, None),
    ],
)
def test_when_to_come_again_stands_in_the_header(error, status, after):
    answer = of_error("/x", "r-1", error)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, after)
