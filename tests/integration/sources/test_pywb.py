"""A real pywb, as a peer: our stand-in answers as it does, and what it serves of a WARC is what we read of the file.

It lives in an environment of its own, which `make test` makes from lock/pywb.txt; `PYWB` names another `wayback`.
"""

import gzip
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from chronolake.ingest import CollectRequest, ExtractRequest, IngestRequest
from chronolake.services import open_services
from chronolake.sources.catalogue import Kind
from chronolake.sources.catalogue import archive as archive_of
from chronolake.sources.payloads.kept import digest_of
from chronolake.sources.query import Match, Query
from chronolake.testing.warc import WarcFile, chunked, story

PROGRAM = Path(os.environ.get("PYWB") or Path(sys.prefix) / "pywb" / "bin" / "wayback")
# A program that was named and is not there is an error, not a reason to skip.
pytestmark = pytest.mark.skipif(
    "PYWB" not in os.environ and not PROGRAM.exists(), reason="there is no pywb: make .venv/pywb/.ready"
)
FIRST, SECOND = "20200102030405", "20210304050607"


def made_index(archive):
    """The captures of `archive` as pywb's index, of a WARC that nobody asks for."""
    for number, made in enumerate(archive.captures):
        fields = {"url": made.url, "mime": made.mime, "digest": made.digest, "filename": "a.warc.gz"}
        fields |= {"offset": str(number), "length": "9"} | (
            {} if made.status == "-" else {"status": made.status}
        )
        yield f"{made.key} {made.timestamp} {json.dumps(fields)}\n"


def made_warc():
    """Pages in each coding that a server may send, twice the same, an error, a redirect and a revisit."""
    file = WarcFile()
    html = "Content-Type: text/html; charset=utf-8"
    file.add("http://example.com/plain", FIRST, story(1))
    file.add("http://example.com/plain", SECOND, story(2))
    file.add(
        "http://example.com/packed",
        FIRST,
        gzip.compress(story(3), mtime=0),
        header=(html, "Content-Encoding: gzip"),
    )
    # Chunks are no part of a payload (ISO 28500, 5.9), nor of its digest.
    file.add(
        "http://example.com/chunked",
        FIRST,
        chunked(story(4)),
        header=(html, "Transfer-Encoding: chunked"),
        digest=digest_of("sha1", story(4)),
    )
    file.add("http://news.example.com/a?b=2&a=1", FIRST, story(5))
    file.add("http://news.example.com/gone", FIRST, b"<html>no</html>", status="404 Not Found")
    file.add(
        "http://news.example.com/moved",
        FIRST,
        b"",
        status="301 Moved",
        header=(html, "Location: http://example.com/plain"),
    )
    original = file.written[0]
    file.add("http://example.com/again", SECOND, b"", record_type="revisit", digest=original.digest,
        more=("WARC-Profile: http://netpreserve.org/warc/1.0/revisit/identical-payload-digest",
              f"WARC-Refers-To-Target-URI: {original.url}", "WARC-Refers-To-Date: 2020-01-02T03:04:05Z"))  # fmt: skip
    return file


@pytest.fixture(scope="module")
def warc(tmp_path_factory):
    path = tmp_path_factory.mktemp("warc") / "held.warc.gz"
    path.write_bytes(made_warc().data)
    return path


@pytest.fixture
def pywb(tmp_path, archive, warc):
    """The address of a pywb with two collections: `made`, an index alone, and `held`, which it indexed itself."""
    indexes = tmp_path / "collections" / "made" / "indexes"
    indexes.mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("collections: {}\nenable_memento: true\n")
    (indexes / "index.cdxj").write_text("".join(sorted(made_index(archive))))
    manager = PROGRAM.with_name("wb-manager")
    for command in (["init", "held"], ["add", "held", str(warc)]):
        subprocess.run([manager, *command], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PROGRAM, "-b", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        base = f"http://127.0.0.1:{port}"
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
                assert client.get(f"{base}/made/cdx", params={"url": "example.com"}).status_code == 200
            yield base
        finally:
            process.terminate()


def kept(archive, condition):
    return {
        (made.url, made.timestamp, made.status, made.digest) for made in archive.captures if condition(made)
    }


CASES = {
    "domain": ({"text": "example.com"}, lambda made: "example.com" in made.url),
    "host": ({"text": "news.example.com", "match": Match.HOST}, lambda made: "//news." in made.url),
    "prefix": ({"text": "www.example.com/p1*"}, lambda made: "//www.example.com/p1" in made.url),
    "range": (
        {"text": "example.com", "start": "2020", "end": "202105"},
        lambda made: "example.com" in made.url and "2020" <= made.timestamp < "202106",
    ),
    "filter": (
        {"text": "example.com", "filters": ("status:(200|301)", "!url:.*//news.*")},
        lambda made: "//www.example.com" in made.url and made.status in ("200", "301"),
    ),
    "nothing": ({"text": "example.net"}, lambda _: False),
}


def test_a_real_pywb_gives_what_our_stand_in_gives(database, fast, archive, pywb):
    with open_services(fast(ANALYTICS_ENABLED=False)) as services:
        asked = archive_of(Kind.CDX_SERVER, f"{pywb}/made/cdx", services.settings.archives)
        for name, (query, condition) in CASES.items():
            [report] = services.collector.collect(CollectRequest(name, Query.parse(**query), archive=asked))
            assert report.failure is None, name
            with database.connection() as conn:
                stored = {
                    (url, f"{at:%Y%m%d%H%M%S}", str(status or "-"), digest)
                    for url, at, status, digest in conn.execute(
                        "SELECT url, timestamp, status_code, digest FROM cdx_records WHERE project_id = %s",
                        [report.session.project_id],
                    )
                }
            assert stored == kept(archive, condition), name
            assert report.attempts == ({"empty": 1} if name == "nothing" else {"ok": 1})
        url = archive.captures[4].url
        links = archive_of(Kind.TIMEMAP, f"{pywb}/made/timemap/link", services.settings.archives)
        query = Query.parse(url, match=Match.EXACT)
        [report] = services.collector.collect(CollectRequest("links", query, archive=links))
        assert report.failure is None
        assert report.session.stored == len({made.timestamp for made in archive.captures if made.url == url})


def captures(database, project):
    """Of a revisit without status and media type: those of its record are not in pywb's index."""
    with database.connection() as conn:
        return conn.execute(
            "SELECT url, timestamp, record_type, digest, CASE WHEN record_type <> 'revisit' THEN (status_code, mime_type)::text END FROM cdx_records JOIN projects ON projects.id = project_id"
            " WHERE name = %s ORDER BY url, timestamp",
            [project],
        ).fetchall()


def pages(database, project):
    with database.connection() as conn:
        return conn.execute(
            "SELECT url, date_captured, payload_digest, content_hash, title, text, links FROM pages"
            " JOIN projects ON projects.id = project_id WHERE name = %s ORDER BY url, date_captured",
            [project],
        ).fetchall()


def test_what_pywb_serves_of_a_warc_is_what_we_read_of_the_file(database, fast, pywb, warc):
    with open_services(fast(ANALYTICS_ENABLED=False, CHRONOLAKE_EXTRACT_WORKERS=1)) as services:
        services.pipeline.ingest(IngestRequest(paths=(str(warc),), project="file"))
        asked = archive_of(Kind.CDX_SERVER, f"{pywb}/held/cdx", services.settings.archives)
        [report] = services.collector.collect(
            CollectRequest("pywb", Query.parse("example.com"), archive=asked)
        )
        assert report.failure is None
        assert captures(database, "pywb") == captures(database, "file")
        read = services.extraction.run(ExtractRequest(project="file", files=(str(warc),)))
        fetched = services.extraction.run(ExtractRequest(project="pywb", replay=f"{pywb}/held"))
        assert fetched.failures == ()
        assert fetched.counts == read.counts
        assert pages(database, "pywb") == pages(database, "file")
        assert read.counts.extracted == 5
