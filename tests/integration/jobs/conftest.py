"""An archive that serves, and services without a lake, for jobs know none."""

import pytest

from chronolake.services import open_services
from chronolake.testing.archive import Made, WebArchive

CAPTURES = [
    Made(f"http://www.example.com/p{n}", f"2020{n % 12 + 1:02d}15{n % 24:02d}0000", digest="ABCD"[n % 4] * 32)
    for n in range(250)
]


@pytest.fixture
def archive():
    with WebArchive(list(CAPTURES)).serving() as serving:
        yield serving


@pytest.fixture
def fast(make_settings, archive):
    def make(**variables):
        return make_settings(
            **{
                "CHRONOLAKE_WAYBACK_URL": f"{archive.base}/cdx",
                "CHRONOLAKE_COMMONCRAWL_URL": archive.base,
                "CHRONOLAKE_ARCHIVE_PER_MINUTE": 60_000,
                "CHRONOLAKE_ARCHIVE_BACKOFF_S": 0.01,
                "CHRONOLAKE_ARCHIVE_TRIES": 1,
                "CHRONOLAKE_ARCHIVE_PAGE_ROWS": 60,
                "CHRONOLAKE_JOBS_BACKOFF_S": 0.1,
                "CHRONOLAKE_JOBS_STALLED_S": 1,
                "ANALYTICS_ENABLED": False,
            }
            | variables
        )

    return make


@pytest.fixture
def services(fast):
    with open_services(fast()) as opened:
        yield opened
