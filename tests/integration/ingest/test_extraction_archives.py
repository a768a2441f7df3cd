"""Pages whose payloads archives hold: each request accounted for, an outage is put off, and a stop keeps what has come."""

import threading

import pytest

from chronolake.ingest import ExtractRequest, IngestRequest
from chronolake.services import open_services
from chronolake.testing.archive import Fault, Replayed, WebArchive
from chronolake.testing.warc import WarcFile, story

COUNT = 6
NAME = "crawl-data/CC-MAIN-2021-31/a.warc.gz"


def url(number):
    return f"http://example.com/story/{number}"


def time(number):
    return f"202001{number + 1:02d}030405"


@pytest.fixture
def archive():
    file = WarcFile()
    for number in range(COUNT):
        file.add(url(number), time(number), story(number))
    replays = {(time(number), url(number)): Replayed(story(number)) for number in range(COUNT)}
    with WebArchive([], files={NAME: file.data}, replays=replays).serving() as serving:
        serving.warc = file
        yield serving


@pytest.fixture
def services(database, make_settings, archive, tmp_path):
    settings = make_settings(
        ANALYTICS_ENABLED=False,
        CHRONOLAKE_ARCHIVE_PER_MINUTE=60_000,
        CHRONOLAKE_ARCHIVE_BACKOFF_S=0.01,
        CHRONOLAKE_ARCHIVE_TRIES=3,
        CHRONOLAKE_EXTRACT_WORKERS=1,
        CHRONOLAKE_COMMONCRAWL_DATA_URL=f"{archive.base}/warcs",
        CHRONOLAKE_WAYBACK_REPLAY_URL=f"{archive.base}/web",
    )
    with open_services(settings) as opened:
        lines = [
            f"com,example)/story/{number} {written.timestamp} {written.url} text/html 200 {written.digest} - -"
            f" {written.length} {written.offset} {NAME}\n"
            for number, written in enumerate(archive.warc.written)
        ]
        (tmp_path / "a.cdx").write_text(" CDX N b a m s k r M S V g\n" + "".join(lines))
        for source in ("wayback", "commoncrawl"):
            request = IngestRequest(paths=(str(tmp_path / "a.cdx"),), project=source, archive_source=source)
            opened.pipeline.ingest(request)
        yield opened


def run(services, project, **more):
    report = services.extraction.run(ExtractRequest(project=project, **more))
    counts = report.counts
    assert counts.considered == (
        counts.extracted + counts.failed.total() + counts.filtered.total() + counts.not_fetched.total()
    )
    return report


def rows(services, statement):
    with services.database.connection() as conn:
        return conn.execute(statement).fetchall()


def test_the_same_pages_whichever_archive_and_every_request_is_an_attempt(services, archive):
    archive.fail(None, Fault.UNAVAILABLE, None, Fault.CUT)
    for project in ("wayback", "commoncrawl"):
        assert run(services, project).counts.extracted == COUNT
    pages = rows(
        services, "SELECT project_id, url, content_hash, payload_digest, text FROM pages ORDER BY 1, 2"
    )
    assert [page[1:] for page in pages[:COUNT]] == [page[1:] for page in pages[COUNT:]]
    attempts = rows(
        services,
        "SELECT p.name, outcome, archive_source, count(*) FROM archive_request_attempts a"
        " JOIN projects p ON p.id = a.project_id GROUP BY 1, 2, 3 ORDER BY 1, 2",
    )
    assert attempts == [
        ("commoncrawl", "ok", "commoncrawl", COUNT),
        ("wayback", "ok", "wayback", COUNT),
        ("wayback", "server_error", "wayback", 1),
        ("wayback", "truncated", "wayback", 1),
    ]


def test_an_outage_is_put_off_and_a_no_is_kept(services, archive):
    archive.fail(None, Fault.BLOCKED, *[Fault.UNAVAILABLE] * 6)
    report = run(services, "wayback")
    assert (report.counts.extracted, report.stopped) == (1, False)
    assert report.counts.not_fetched == {"blocked": 1, "unavailable": 2, "held_back": 2}
    assert [type(failure).__name__ for failure in report.failures] == ["SourceHeldBack"]
    assert rows(services, "SELECT reason FROM extraction_decisions") == [("blocked",)]
    # What was put off is looked at again; what was refused is not, unless somebody asks for it.
    (services.settings.home.root / "archives").rename(services.settings.home.root / "forgotten")
    assert run(services, "wayback").counts.extracted == COUNT - 2
    report = run(services, "wayback", included=frozenset({"blocked"}))
    assert (report.counts.considered, report.counts.extracted) == (1, 1)
    assert rows(services, "SELECT reason, overridden FROM extraction_decisions") == [("blocked", True)]


def test_a_stop_keeps_what_has_come(services, archive):
    archive.fail(None, None, Fault.STALL)

    def stop():
        while len(archive.asked) < 3:
            thread_waits.wait(0.02)
        services.extraction.stop()

    thread_waits = threading.Event()
    stopper = threading.Thread(target=stop)
    stopper.start()
    report = run(services, "wayback")
    stopper.join()
    assert report.stopped
    assert (report.counts.considered, report.counts.extracted) == (2, 2)
    assert rows(services, "SELECT count(*) FROM pages") == [(2,)]
    assert rows(services, "SELECT outcome FROM archive_request_attempts ORDER BY id DESC LIMIT 1") == [
        ("cancelled",)
    ]
