"""The measure of extraction: it reads what it is given and tells what came of it."""

import gzip

import pytest

from chronolake.bench.extracting import html_of, run
from chronolake.errors import InputUnreadable
from chronolake.settings import load


def record(number, mime, body):
    answer = f"HTTP/1.1 200 OK\r\nContent-Type: {mime}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    header = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.com/{number}\r\n"
        f"WARC-Date: 2020-05-17T12:00:00Z\r\nWARC-Record-ID: <urn:uuid:{number:032}>\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(answer)}\r\n\r\n"
    )
    return gzip.compress(header.encode() + answer + b"\r\n\r\n")


@pytest.fixture
def warc(tmp_path):
    file = tmp_path / "crawl.warc.gz"
    file.write_bytes(
        record(1, "text/html; charset=iso-8859-1", "<p>Über die Brücke</p>".encode("latin-1"))
        + record(2, "image/png", b"\x89PNG\r\n\x1a\n")
        + record(3, "text/html", b"<p>The tide came in.</p>")
        + b"\x1f\x8b broken"
    )
    return file


def test_the_html_of_a_warc_file_is_read_and_its_damaged_end_is_not(warc):
    first, second = html_of(warc)
    assert (first.url, first.mime_sent, first.charset_sent) == (
        "http://example.com/1",
        "text/html",
        "iso-8859-1",
    )
    assert first.body == "<p>Über die Brücke</p>".encode("latin-1")
    assert str(first.captured_at) == "2020-05-17 12:00:00"
    assert second.body == b"<p>The tide came in.</p>"


def test_pages_are_counted_over_and_over_and_what_they_cost_is_told(warc):
    found = run(warcs=[warc], count=7, workers=1, settings=load({}).extract, told=lambda _: None)
    assert (found.pages, found.failures, found.workers) == (7, {}, 1)
    assert found.text_characters == 4 * len("Über die Brücke") + 3 * len("The tide came in.")
    assert found.pages_per_s == pytest.approx(7 / found.seconds, rel=0.1)
    assert found.cpu_ms_per_page > 0


def test_files_that_cannot_be_read_or_have_no_page_are_an_error(tmp_path):
    for name, content in {"missing": None, "empty": b""}.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputUnreadable):
            run(warcs=[tmp_path / name], count=1, workers=1, settings=load({}).extract, told=print)
