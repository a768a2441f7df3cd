"""Payloads over real sockets and from disk: the same whichever way, and every fault told."""

import gzip
import zipfile
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest

from chronolake.capture import surt
from chronolake.capture.candidate import Candidate
from chronolake.clock import SystemClock
from chronolake.errors import CollectStopped
from chronolake.settings import load
from chronolake.sources.payloads import NotFetched, Unfetched, WarcFiles, fetcher_of
from chronolake.sources.payloads.kept import digest_of
from chronolake.testing.archive import Fault, Replayed, WebArchive
from chronolake.testing.warc import WarcFile, chunked

TIME = "20200102030405"
BODY = "<html><body><p>Füchse jagen nachts.</p></body></html>".encode() * 30
HTML = "Content-Type: text/html; charset=utf-8"
NAME = "crawl-data/made/a.warc.gz"
#: URL: body as it was sent, header fields beyond the type, body as it was meant.
RECORDS = {
    "http://example.com/plain": (BODY, (), BODY),
    "http://example.com/packed?q=1": (gzip.compress(BODY), ("Content-Encoding: gzip",), BODY),
    "http://example.com/chunked": (chunked(BODY), ("Transfer-Encoding: chunked",), BODY),
    "http://example.com/empty": (b"", (), b""),
    "http://example.com/%C3%A4#part": (BODY + b"!", (), BODY + b"!"),
}


@pytest.fixture
def warc():
    file = WarcFile()
    for url, (sent, header, meant) in RECORDS.items():
        # Chunks are no part of a payload (ISO 28500, 5.9).
        digest = digest_of("sha1", meant) if "Transfer-Encoding: chunked" in header else None
        file.add(url, TIME, sent, header=(HTML, *header), digest=digest)
    return file


@pytest.fixture
def archive(warc):
    replays = {}
    for url, (sent, header, meant) in RECORDS.items():
        fields = tuple(tuple(line.split(": ")) for line in (HTML, *header) if "Transfer" not in line)
        body = meant if "Transfer-Encoding: chunked" in header else sent
        replays[TIME, url.replace("#", "%23")] = Replayed(body, header=fields)
    with WebArchive([], files={NAME: warc.data}, replays=replays).serving() as serving:
        yield serving


class Kept:
    """Keeps attempts in memory."""

    def __init__(self):
        self.outcomes = []

    def record(self, attempt):
        self.outcomes.append((attempt.archive_source, attempt.outcome.value, attempt.retry))


@pytest.fixture
def attempts():
    return Kept()


@pytest.fixture
def fetcher(archive, attempts, tmp_path):
    def make(files=None, **variables):
        settings = load(
            {"CHRONOLAKE_HOME": str(tmp_path / "home")},
            CHRONOLAKE_ARCHIVE_PER_MINUTE=60_000,
            CHRONOLAKE_ARCHIVE_BACKOFF_S=0.01,
            CHRONOLAKE_COMMONCRAWL_DATA_URL=f"{archive.base}/warcs",
            CHRONOLAKE_WAYBACK_REPLAY_URL=f"{archive.base}/web",
            **variables,
        )
        held = None if files is None else WarcFiles(files, most_bytes=settings.extract.max_bytes)
        return fetcher_of(
            settings,
            files=held,
            replay_base=f"{archive.base}/web",
            recorder=attempts,
            clock=SystemClock(),
        )

    return make


def candidates(warc, source):
    for number, written in enumerate(warc.written):
        yield Candidate(
            id=UUID(int=number),
            project_id=1,
            archive_source=source,
            url=written.url,
            url_key=surt.key(written.url),
            domain="example.com",
            timestamp=datetime(2020, 1, 2, 3, 4, 5),
            status_code=200,
            content_length=written.length,
            digest=written.digest,
            digest_algorithm="sha1",
            warc_filename=NAME,
            warc_record_offset=written.offset,
        )


def test_every_way_gives_the_same_payload(fetcher, warc, archive, attempts, tmp_path):
    (tmp_path / "warcs" / "deep").mkdir(parents=True)
    (tmp_path / "warcs" / "deep" / "a.warc.gz").write_bytes(warc.data)
    for name, packing in (("a", zipfile.ZIP_STORED), ("packed", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(tmp_path / f"{name}.wacz", "w", packing) as bundle:
            bundle.writestr("pages/pages.jsonl", "{}")
            bundle.writestr("archive/a.warc.gz", warc.data)
    ways = {
        "range": (fetcher(), "commoncrawl"),
        "wayback": (fetcher(), "wayback"),
        "any replay": (fetcher(), "archive.example"),
        "folder": (fetcher([str(tmp_path / "warcs")]), "local"),
        "wacz": (fetcher([str(tmp_path / "a.wacz")]), "local"),
        "packed wacz": (fetcher([str(tmp_path / "packed.wacz")]), "local"),
    }
    got = {}
    for name, (fetching, source) in ways.items():
        found = [fetching.fetch(candidate) for candidate in candidates(warc, source)]
        assert [one.differs for one in found] == [None] * len(RECORDS), name
        assert not any(one.cut for one in found)
        got[name] = [one.payload for one in found]
    assert [payload.body for payload in got["range"]] == [meant for *_, meant in RECORDS.values()]
    assert [payload.charset_sent for payload in got["range"]] == ["utf-8"] * len(RECORDS)
    assert all(payloads == got["range"] for payloads in got.values()), got
    # Files on this machine cost the archive nothing, and each request is an attempt.
    assert len(archive.asked) == len(attempts.outcomes) == 3 * len(RECORDS)
    assert {outcome for _, outcome, _ in attempts.outcomes} == {"ok"}
    assert {source for source, *_ in attempts.outcomes} == {"commoncrawl", "wayback", "127.0.0.1"}


def reason(fetching, candidate):
    with pytest.raises(NotFetched) as raised:
        fetching.fetch(candidate)
    assert raised.value.why
    return raised.value.reason


PASSING = {
    Fault.THROTTLED: "throttled",
    Fault.UNAVAILABLE: "server_error",
    Fault.RESET: "unreachable",
    Fault.CUT: "truncated",
    Fault.HTML: "malformed",
    Fault.NOTHING: "malformed",
}


@pytest.mark.parametrize("source", ["commoncrawl", "wayback"])
def test_what_passes_is_tried_again(fetcher, warc, archive, attempts, source):
    first = next(candidates(warc, source))
    for fault, outcome in PASSING.items():
        attempts.outcomes.clear()
        archive.fail(fault)
        assert fetcher().fetch(first).payload.body == BODY, fault
        assert attempts.outcomes == [(source, outcome, 0), (source, "ok", 1)], fault


def test_a_length_that_is_too_short_is_told_by_the_range_or_the_digest(fetcher, warc, archive, attempts):
    archive.fail(Fault.SHORT_LENGTH)
    assert fetcher().fetch(next(candidates(warc, "commoncrawl"))).payload.body == BODY
    assert [outcome for _, outcome, _ in attempts.outcomes] == ["truncated", "ok"]
    replayed = next(candidates(warc, "wayback"))
    attempts.outcomes.clear()
    archive.fail(Fault.SHORT_LENGTH, Fault.SHORT_LENGTH, Fault.GZIP_CUT)
    assert fetcher().fetch(replayed).payload.body == BODY
    assert [outcome for _, outcome, _ in attempts.outcomes] == ["malformed"] * 3 + ["ok"]


def test_a_digest_that_stays_another_is_what_the_archive_has(fetcher, warc, archive, attempts):
    other = replace(next(candidates(warc, "wayback")), digest="A" * 32)
    assert fetcher().fetch(other).differs
    assert [outcome for _, outcome, _ in attempts.outcomes] == ["malformed", "malformed", "ok"]
    # With fewer tries the last is believed: whoever takes none after it must not be told of an outage.
    attempts.outcomes.clear()
    assert fetcher(CHRONOLAKE_ARCHIVE_TRIES=2).fetch(other).differs
    assert [outcome for _, outcome, _ in attempts.outcomes] == ["malformed", "ok"]
    # What is another each time is believed before the archive would be left alone.
    attempts.outcomes.clear()
    replayed = archive.replays[TIME, other.url]

    class Changing(dict):
        def get(self, key, default=None):
            return replace(replayed, body=b"%d " % len(attempts.outcomes) + replayed.body)

    archive.replays = Changing()
    assert fetcher().fetch(other).differs
    assert [outcome for _, outcome, _ in attempts.outcomes] == ["malformed"] * 4 + ["ok"]


def test_a_no_is_final_and_told(fetcher, warc, archive, attempts):
    ranged, replayed = next(candidates(warc, "commoncrawl")), next(candidates(warc, "wayback"))
    fetching = fetcher()
    assert reason(fetching, replace(ranged, warc_filename="other.warc.gz")) is Unfetched.NOT_HELD
    assert reason(fetching, replace(ranged, warc_record_offset=1 << 40)) is Unfetched.REFUSED
    assert reason(fetching, replace(replayed, url="http://example.com/unknown")) is Unfetched.NOT_HELD
    # The archive leads on to the nearest one, which is another capture.
    elsewhere = replace(replayed, timestamp=datetime(2020, 1, 2, 3, 4, 6))
    assert reason(fetching, elsewhere) is Unfetched.NOT_HELD
    archive.fail(Fault.BLOCKED)
    assert reason(fetching, replayed) is Unfetched.BLOCKED
    assert [outcome for _, outcome, _ in attempts.outcomes] == [
        "not_found", "client_error", "not_found", "not_found", "blocked",
    ]  # fmt: skip
    assert fetching.failures == []


def test_bytes_that_are_no_whole_record_or_another_ones_are_told(fetcher, warc, archive):
    first, second = list(candidates(warc, "commoncrawl"))[:2]
    fetching = fetcher()
    archive.fail(Fault.GZIP_CUT)
    # The record is whole; what is cut is the checksum behind it.
    assert fetching.fetch(first).payload.body == BODY
    assert reason(fetching, replace(first, content_length=first.content_length // 2)) is Unfetched.UNREADABLE
    assert reason(fetching, replace(first, warc_record_offset=3)) is Unfetched.UNREADABLE
    assert reason(fetching, replace(second, url=first.url, url_key=first.url_key)) is Unfetched.OTHER_RECORD
    assert fetching.fetch(replace(first, digest="A" * 32)).differs


def test_a_large_body_is_cut_off_and_not_read_to_its_end(fetcher, warc, archive, tmp_path):
    url, big = "http://example.com/big", b"x" * (3 << 20)
    archive.replays[TIME, url] = Replayed(big)
    first = next(candidates(warc, "wayback"))
    got = fetcher(CHRONOLAKE_EXTRACT_MAX_BYTES=1 << 20).fetch(replace(first, url=url))
    assert (got.cut, len(got.payload.body), got.differs) == (True, 1 << 20, None)
    file = WarcFile()
    written = file.add(url, TIME, big)
    archive.files["big.warc.gz"] = file.data
    (tmp_path / "big.warc.gz").write_bytes(file.data)
    placed = replace(
        first, url=url, url_key=surt.key(url), archive_source="commoncrawl", warc_filename="big.warc.gz",
        warc_record_offset=0, content_length=written.length,
    )  # fmt: skip
    for files in (None, [str(tmp_path / "big.warc.gz")]):
        got = fetcher(files, CHRONOLAKE_EXTRACT_MAX_BYTES=1 << 20).fetch(placed)
        assert (got.cut, len(got.payload.body)) == (True, 1 << 20)


def test_an_archive_in_trouble_is_left_alone_and_the_others_go_on(fetcher, warc, archive, tmp_path):
    (tmp_path / "a.warc.gz").write_bytes(warc.data)
    wayback = list(candidates(warc, "wayback"))
    ranged = next(candidates(warc, "archive.example"))
    fetching = fetcher()
    archive.fail(*[Fault.UNAVAILABLE] * 6)
    assert reason(fetching, wayback[0]) is Unfetched.UNAVAILABLE
    assert reason(fetching, wayback[1]) is Unfetched.HELD_BACK
    asked = len(archive.asked)
    assert reason(fetching, wayback[2]) is Unfetched.HELD_BACK
    assert len(archive.asked) == asked
    assert len(fetching.failures) == 1
    assert (
        reason(fetching, replace(ranged, warc_filename=None, archive_source="local")) is Unfetched.HELD_BACK
    )
    files = fetcher([str(tmp_path)])
    assert files.fetch(wayback[0]).payload.body == BODY


def test_an_archive_that_always_says_no_means_us(fetcher, warc, archive):
    first = next(candidates(warc, "wayback"))
    fetching = fetcher()
    archive.fail(*[Fault.BLOCKED] * 6)
    assert [reason(fetching, first) for _ in range(7)] == [Unfetched.BLOCKED] * 6 + [Unfetched.HELD_BACK]


def test_a_capture_that_nobody_can_lead_to_and_a_stop(fetcher, warc):
    first = next(candidates(warc, "commoncrawl"))
    fetching = fetcher()
    assert reason(fetching, replace(first, content_length=None)) is Unfetched.NO_WAY
    fetching.stop()
    with pytest.raises(CollectStopped):
        fetching.fetch(first)
