"""The archive that `bench collect` asks: captures that it made up, their payloads, and faults drawn by a seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from chronolake.sources.payloads.kept import digest_of
from chronolake.testing.archive import Replayed, WebArchive
from chronolake.testing.archive_captures import Made
from chronolake.testing.archive_faults import FaultPlan
from chronolake.testing.warc import story

#: What is collected; captures lie on hosts below it, so that no page of the index is a whole host's.
DOMAIN = "example.com"
_HOSTS = ("www", "news", "blog", "shop", "old")
_BEGIN = datetime(2019, 1, 1, 3, 4, 5)  # noqa: DTZ001  # captures are UTC and bear no zone
#: From one capture to the next, so that ten thousand of them are spread over three years.
_APART = timedelta(hours=2, minutes=37)


def title_of(number: int) -> str:
    """The title of the page that capture `number` holds."""
    return f"Story {number}"


def url_of(number: int) -> str:
    """The URL of capture `number`."""
    return f"http://{_HOSTS[number % len(_HOSTS)]}.{DOMAIN}/story/{number}"


@contextmanager
def serving(captures: int, plan: FaultPlan) -> Iterator[WebArchive]:
    """An archive with so many captures, each of another page, which fails by the plan."""
    made: list[Made] = []
    replays: dict[tuple[str, str], Replayed] = {}
    for number in range(captures):
        body, timestamp = story(number), f"{_BEGIN + number * _APART:%Y%m%d%H%M%S}"
        made.append(Made(url_of(number), timestamp, digest=digest_of("sha1", body)))
        replays[timestamp, url_of(number)] = Replayed(body)
    with WebArchive(made, replays=replays, plan=plan).serving() as archive:
        yield archive


def variables(archive: WebArchive, per_minute: float, page_rows: int) -> dict[str, object]:
    """Settings by which the archive is asked as Wayback is, with that budget and pages of so many captures."""
    return {
        "CHRONOLAKE_WAYBACK_URL": f"{archive.base}/cdx",
        "CHRONOLAKE_WAYBACK_REPLAY_URL": f"{archive.base}/web",
        "CHRONOLAKE_ARCHIVE_PER_MINUTE": per_minute,
        "CHRONOLAKE_ARCHIVE_PAGE_ROWS": page_rows,
        # The archive's operator is here: it need not be spared for seconds after each fault.
        "CHRONOLAKE_ARCHIVE_BACKOFF_S": 0.02,
    }
