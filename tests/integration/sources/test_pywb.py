"""A real pywb, where there is one: `PYWB` names its program `wayback`, which lives in an environment of its own.

PYWB=/path/to/wayback pytest tests/integration/sources/test_pywb.py
"""

import json
import os
import socket
import subprocess

import httpx
import pytest

from chronolake.ingest import CollectRequest
from chronolake.services import open_services
from chronolake.sources.catalogue import Kind
from chronolake.sources.catalogue import archive as archive_of
from chronolake.sources.query import Match, Query

pytestmark = pytest.mark.skipif("PYWB" not in os.environ, reason="PYWB names no pywb")


@pytest.fixture
def pywb(tmp_path, archive):
    """The address of a pywb that serves the same captures as `archive`."""
    indexes = tmp_path / "collections" / "made" / "indexes"
    indexes.mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("collections: {}\n")
    lines = []
    for number, made in enumerate(archive.captures):
        fields = {"url": made.url, "mime": made.mime, "digest": made.digest, "filename": "a.warc.gz"}
        fields |= {"offset": str(number), "length": "9"} | (
            {} if made.status == "-" else {"status": made.status}
        )
        lines.append(f"{made.key} {made.timestamp} {json.dumps(fields)}\n")
    (indexes / "index.cdxj").write_text("".join(sorted(lines)))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [os.environ["PYWB"], "-b", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        address = f"http://127.0.0.1:{port}/made/cdx"
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
                assert client.get(address, params={"url": "example.com"}).status_code == 200
            yield address
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
        asked = archive_of(Kind.CDX_SERVER, pywb, services.settings.archives)
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
        links = archive_of(Kind.TIMEMAP, pywb.replace("/cdx", "/timemap/link"), services.settings.archives)
        query = Query.parse(url, match=Match.EXACT)
        [report] = services.collector.collect(CollectRequest("links", query, archive=links))
        assert report.failure is None
        assert report.session.stored == len({made.timestamp for made in archive.captures if made.url == url})
