"""An archive that serves, and services that ask it fast."""

import pytest

from chronolake.services import open_services
from chronolake.testing.archive import Made, WebArchive

FAST = {
    "CHRONOLAKE_ARCHIVE_PER_MINUTE": 60_000,
    "CHRONOLAKE_ARCHIVE_BACKOFF_S": 0.01,
    "CHRONOLAKE_ARCHIVE_PAGE_ROWS": 60,
    # The fewest that are allowed: whoever collects needs no more.
    "CHRONOLAKE_DB_POOL_SIZE": 6,
}


def made_captures(count=250):
    """Captures of two hosts of one domain, some the same but for nothing, some revisits, some redirects."""
    captures = [
        Made(
            url=f"http://{'www.' if n % 3 else 'news.'}example.com/p{n % 90}?q={n % 7}",
            timestamp=f"20{18 + n % 6}{n % 12 + 1:02d}{n % 28 + 1:02d}{n % 24:02d}0{n % 6}30",
            status=("200", "301", "404", "-")[n % 4],
            mime="warc/revisit" if n % 4 == 3 else "text/html",
            digest="ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[n % 32] * 32,
        )
        for n in range(count)
    ]
    return [*captures, captures[5], captures[5], Made("http://example.org/", "20200101000000")]


@pytest.fixture
def archive():
    with WebArchive(made_captures()).serving() as serving:
        yield serving


@pytest.fixture
def fast(make_settings, archive):
    def make(**variables):
        archives = {
            "CHRONOLAKE_WAYBACK_URL": f"{archive.base}/cdx",
            "CHRONOLAKE_COMMONCRAWL_URL": archive.base,
            "CHRONOLAKE_COMMONCRAWL_DATA_URL": archive.base,
        }
        return make_settings(**FAST | archives | variables)

    return make


@pytest.fixture
def services(database, fast):
    with open_services(fast()) as opened:
        yield opened
