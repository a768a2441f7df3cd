"""Content that means harm: bounded time, bounded memory, a typed answer, and the next payload is read."""

import time
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from chronolake.capture.payload import Payload
from chronolake.extract.page import ExtractedPage, Failure, FailureKind
from chronolake.extract.pool import ExtractorPool
from chronolake.settings import load
from chronolake.testing.pdf import pdf

PROSE = b"The tide came in again over the sand. "
#: Bytes that every case may take beside what the libraries do.
MEMORY = 512 * 2**20
TIMEOUT_S = 20


def payload(body, mime="text/html", charset=None):
    return Payload(
        capture_id=uuid4(),
        url="http://example.com/",
        captured_at=datetime(2024, 5, 6),
        body=body,
        mime_sent=mime,
        charset_sent=charset,
    )


def read_one(pool, body, **more):
    (result,) = pool.extract([payload(body, **more)])
    return result


def peak_bytes(pid):
    """The most memory that the process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture(scope="module")
def pool():
    settings = load({}, CHRONOLAKE_EXTRACT_MEMORY=MEMORY, CHRONOLAKE_EXTRACT_TIMEOUT_S=TIMEOUT_S).extract
    with ExtractorPool(settings, workers=1) as pool:
        assert isinstance(read_one(pool, b"<p>" + PROSE), ExtractedPage)
        yield pool


#: What is read although it means harm, and a text that the page must then have.
READ = {
    "900 tables in each other": (b"<table><tr><td>" * 900 + PROSE, "The tide came in"),
    "100 000 paragraphs that nobody closes": (b"<p>" * 100_000 + PROSE, "The tide came in"),
    "50 000 links that nobody closes": (b"<a href=x>" * 50_000 + PROSE, "The tide came in"),
    "formatting that each paragraph opens again": (b"<b>" * 900 + b"<p>x" * 5000, "x"),
    "an attribute of 5 MB": (b"<p a='" + b"x" * 5_000_000 + b"'>" + PROSE, "The tide came in"),
    "5000 attributes": (b"<p " + b" ".join(b"a%d=b" % n for n in range(5000)) + b">" + PROSE, "The tide"),
    "NUL bytes": (b"<p>" + b"\0 tide \0" * 1000 + PROSE, "The tide came in"),
    "a comment that ends at once, 50 000 times": (b"<!-->-->" * 50_000 + b"<p>" + PROSE, "The tide came in"),
    "a word of 500 000 letters": (b"<p>" + b"a" * 500_000 + b"@", "aaaa"),
    "half an address, 20 000 times": (b"<p>" + b"a.a@a.a@" * 20_000, "a.a@a.a@"),
    "names without end": (b"<p>" + b"John de la Universite de Aa " * 5_000, "John"),
    "brackets after an address": (b"<p>" + b"http://a.bc/((())))) " * 5_000, "http://a.bc/"),
    "currencies without sums": (b"<p>" + b"$ 1 EUR $" * 10_000, "EUR"),
    "years without days": (b"<p>" + b"12 March, 12.2020 " * 10_000, "March"),
    "a telephone number that goes on": (b"<p>tel: " + b"+1 415 " * 20_000, "415"),
    "a title of 1 MB": (b"<title>" + b"a" * 1_000_000 + b"</title><p>" + PROSE, "The tide came in"),
    "a script that writes 2000 tags": (b"<script>'" + b"<br>" * 2000 + b"'</script><p>" + PROSE, "The tide"),
    "an XML entity that names a file": (
        b'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><p>&x; ' + PROSE,
        "The tide came in",
    ),
    "JSON-LD of 10 000 arrays in each other": (
        b'<script type="application/ld+json">' + b"[" * 10_000 + b"</script><p>" + PROSE,
        "The tide came in",
    ),
}


@pytest.mark.parametrize(("body", "wanted"), READ.values(), ids=READ)
def test_it_is_read_with_bounds_by_the_same_worker(pool, body, wanted):
    pids, began = pool.pids, time.monotonic()
    page = read_one(pool, body)
    assert isinstance(page, ExtractedPage), page
    assert wanted in page.text
    assert "root:" not in page.text
    assert "\0" not in page.text
    assert time.monotonic() - began < TIMEOUT_S
    assert pool.pids == pids
    assert peak_bytes(pids[0]) < MEMORY


REFUSED = {
    "50 MB of HTML": (b"<p>" + b"x" * 50_000_000, FailureKind.TOO_LARGE),
    "10 000 elements in each other": (b"<div>" * 10_000 + PROSE, FailureKind.TOO_DEEP),
    "1 000 000 elements in each other": (b"<i>" * 1_000_000 + PROSE, FailureKind.TOO_DEEP),
    "text of 6 MB": (b"<p>" + b"on and on " * 600_000, FailureKind.TOO_LARGE),
    "bytes that are no letters anywhere": (bytes(range(128, 256)) * 100, FailureKind.MALFORMED),
    "a picture that calls itself HTML": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, FailureKind.UNSUPPORTED),
    "HTML whose bytes are no letters anywhere": (
        b"<p>" + bytes(range(128, 160)) * 100,
        FailureKind.MALFORMED,
    ),
    "a PDF that is none": (b"%PDF-1.7\n" + b"\xff" * 1000, FailureKind.MALFORMED),
    "half a PDF": (pdf(b"BT ET")[:200], FailureKind.MALFORMED),
}


@pytest.mark.parametrize(("body", "kind"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_and_the_worker_lives(pool, body, kind):
    pids, began = pool.pids, time.monotonic()
    failure = read_one(pool, body)
    assert isinstance(failure, Failure), failure
    assert failure.kind is kind
    assert time.monotonic() - began < TIMEOUT_S
    assert pool.pids == pids


def test_what_needs_more_memory_than_there_is_costs_a_worker_and_no_other_payload():
    bomb = pdf(b"BT /F1 12 Tf (AAAAAAAAAA) Tj " * 2_000_000, compress=True)
    assert len(bomb) < 300_000
    settings = load({}, CHRONOLAKE_EXTRACT_MEMORY=64 * 2**20, CHRONOLAKE_EXTRACT_MAX_BYTES="100MB").extract
    with ExtractorPool(settings, workers=1) as pool:
        unpacks = payload(bomb, "application/pdf")
        prose = [payload(b"<p>" + PROSE) for _ in range(3)]
        fills = payload(b"x" * 90_000_000, "text/plain")
        results = {result.capture_id: result for result in pool.extract([unpacks, *prose, fills])}
    assert len(results) == 5
    assert all(isinstance(results[payload.capture_id], ExtractedPage) for payload in prose)
    assert results[unpacks.capture_id].kind is FailureKind.MEMORY
    assert results[fills.capture_id].kind is FailureKind.MEMORY
    assert results[fills.capture_id].detail == "the memory limit was met"


def test_what_takes_too_long_is_ended_where_it_stands_and_the_next_is_read():
    slow = b"<p " + b" ".join(b"a%d=b" % n for n in range(400_000)) + b">" + PROSE
    settings = load({}, CHRONOLAKE_EXTRACT_TIMEOUT_S=2).extract
    with ExtractorPool(settings, workers=1) as pool:
        assert isinstance(read_one(pool, b"<p>" + PROSE), ExtractedPage)
        pids, began = pool.pids, time.monotonic()
        failure = read_one(pool, slow)
        assert failure.kind is FailureKind.TIMEOUT
        assert failure.detail == "not read within 2 seconds"
        assert time.monotonic() - began < TIMEOUT_S
        assert pool.pids != pids
