"""Whether a job is tried again is the error's to say, and when."""

import pytest

from chronolake.errors import SourceBlocked, SourceHeldBack, SourceUnavailable
from chronolake.jobs.retrying import LONGEST_PAUSE_S, pause_before
from chronolake.settings import load

SETTINGS = load({}, CHRONOLAKE_JOBS_BACKOFF_S=30, CHRONOLAKE_JOBS_TRIES=9).jobs
UNAVAILABLE = SourceUnavailable("down")


@pytest.mark.parametrize(
    ("error", "failures", "pause_s"),
    [
        (UNAVAILABLE, 1, 30),
        (UNAVAILABLE, 3, 120),
        (UNAVAILABLE, 8, LONGEST_PAUSE_S),
        (UNAVAILABLE, 9, None),
        (SourceBlocked("not for us"), 1, None),
        # What is left alone for so long is not asked before.
        (SourceHeldBack("a long pause", wait_s=7200.0), 1, 7200),
        (SourceHeldBack("a short pause", wait_s=1.0), 2, 60),
    ],
)
def test_when_it_is_tried_again(error, failures, pause_s):
    assert pause_before(error, failures, SETTINGS) == pause_s
