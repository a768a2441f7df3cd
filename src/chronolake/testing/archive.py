"""A web archive for tests: a real HTTP server with made-up captures, which answers as archives do and fails on demand.

It speaks several dialects over the same captures: the Wayback CDX API (`/cdx`), a CDX server of pywb's kind
(`/index`), Common Crawl's index API (`/collinfo.json`) and TimeMaps of single URLs, in JSON (`/timemap`) and as
links in pages (`/links`). Payloads it serves by raw replay (`/web/<timestamp>id_/<URL>`) and by ranges of files
(`/warcs/`), and so the columnar index of the same crawls (`/cc-index/`). It stands in for archives alone: whoever
asks it is the real thing, over real sockets.
"""

import gzip
import json
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from chronolake.testing import columnar
from chronolake.testing.archive_captures import Listed, Made, cdxj, object_line, resume_key
from chronolake.testing.archive_faults import REFUSALS, Fault, FaultPlan, harmed

_COLUMNS = ["urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length"]
#: Two crawls, and the year in which the newer one begins: each capture is in one of them.
_CRAWLS = ("CC-MAIN-2021-31", "CC-MAIN-2019-2020")
_NEWER_FROM = "2021"
_REPLAY = re.compile(r"/web/([0-9]{14})id_/(.+)")
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)")


@dataclass(frozen=True)
class Replayed:
    """A captured answer: its body as it was sent, and its header."""

    body: bytes
    status: int = 200
    header: tuple[tuple[str, str], ...] = (("Content-Type", "text/html; charset=utf-8"),)


@dataclass(frozen=True)
class Asked:
    """One request as it came: path and query undecoded, when, and the headers that tell who asks.

    `at` are seconds of a clock that is never set, `second` the second of the wall clock; `fault` is how it went.
    """

    target: str
    at: float
    user_agent: str
    second: int
    fault: Fault | None


@dataclass(frozen=True)
class Payload:
    """An answer as it is sent, with the header fields that go beside its length."""

    status: int
    body: bytes
    header: tuple[tuple[str, str], ...] = ()


@dataclass
class _UnderWay:
    """A request that is being answered: how it goes, and that whoever asked has not got the whole answer."""

    fault: Fault | None
    tell: Callable[[], None]
    ended: bool = False

    def ends(self) -> None:
        """The answer's last byte is about to go; said again, it says nothing."""
        if not self.ended:
            self.ended = True
            self.tell()


@dataclass
class WebArchive:
    """The archive's captures, what it was asked, and how the next requests go; `base` is its address."""

    captures: list[Made]
    base: str = ""
    faults: deque[Fault | None] = field(default_factory=deque)
    #: how requests go that no fault was named for; null: as they should
    plan: FaultPlan | None = None
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    #: whether it takes ranges loosely, and gives what is older and newer, too
    loose: bool = False
    #: rows of a page of the Common Crawl API
    page_rows: int = 100
    #: files that ranges are served of, by name
    files: dict[str, bytes] = field(default_factory=dict)
    #: answers that are replayed, by timestamp and URL
    replays: dict[tuple[str, str], Replayed] = field(default_factory=dict)
    _now: int = 0
    _listed: tuple[tuple[object, ...], Listed] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)

    def fail(self, *faults: Fault | None) -> None:
        """Let the next requests go so; null: as it should be."""
        self.faults.extend(faults)

    @contextmanager
    def serving(self) -> Iterator["WebArchive"]:
        """Serve within the block, on a free port of this machine."""
        archive = self

        class Handler(_Handler):
            web_archive = archive

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.base = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                self._closed.set()
                server.shutdown()
                thread.join()

    @contextmanager
    def noted(self, target: str, user_agent: str) -> Iterator["_UnderWay"]:
        """Note a request while it is answered, and how it goes."""
        with self._lock:
            fault = self.faults.popleft() if self.faults else self.plan.draw() if self.plan else None
            self.asked.append(Asked(target, time.monotonic(), user_agent, int(time.time()), fault))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        under_way = _UnderWay(fault, self._ended)
        try:
            yield under_way
        finally:
            under_way.ends()

    def _ended(self) -> None:
        with self._lock:
            self._now -= 1

    def wait_until_closed(self) -> None:
        """Return when the server stops."""
        self._closed.wait()

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        """Status and body for a request."""
        if path == "/cdx":
            return self._wayback(query)
        if path == "/index":
            return _lines_or_404(self._found(query), query, cdxj)
        if path == "/collinfo.json":
            listed = [{"id": name, "cdx-api": "https://elsewhere.example/"} for name in _CRAWLS]
            return 200, json.dumps(listed).encode()
        if path.startswith(("/timemap/", "/links/")):
            _, form, url = path.split("/", 2)
            return self._timemap(url) if form == "timemap" else self._links(url)
        for newer, name in zip((True, False), _CRAWLS, strict=True):
            if path == f"/{name}-index":
                found = [made for made in self._found(query) if (made.timestamp >= _NEWER_FROM) == newer]
                return self._commoncrawl(found, query)
        return 404, b"<html>no such page</html>"

    def payload(self, path: str, asked_range: str | None, accepted: str) -> Payload | None:
        """What is answered to a request for a payload, or a file of the columnar index; null where it is neither.

        `accepted` are the codings that whoever asks can undo.
        """
        if path.startswith(columnar.FOLDERS):
            return self._of_columnar(path, asked_range)
        if path.startswith("/warcs/"):
            data = self.files.get(path.removeprefix("/warcs/"))
            return Payload(404, b"no such file") if data is None else _ranged(data, asked_range)
        captured = _REPLAY.fullmatch(path)
        if captured is None:
            return None
        timestamp, url = captured[1], captured[2]
        if (found := self.replays.get((timestamp, url))) is not None:
            memento = ("Memento-Datetime", _http_date(timestamp))
            body, header = _acceptable(found, accepted)
            return Payload(found.status, body, (*header, memento))
        others = [when for when, of in self.replays if of == url]
        if others:
            nearest = min(others, key=lambda when: abs(int(when) - int(timestamp)))
            return Payload(302, b"", (("Location", f"{self.base}/web/{nearest}id_/{url}"),))
        return Payload(404, b"not in the archive")

    def _of_columnar(self, path: str, asked_range: str | None) -> Payload:
        made = columnar.files_of(tuple(self.captures), _CRAWLS, _NEWER_FROM)
        data = self.files.get(path, made.get(path))
        if data is None:
            return Payload(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return _ranged(data, columnar.from_start(asked_range, len(data)))

    def _found(self, query: dict[str, str]) -> list[Made]:
        return self._list(query).found

    def _list(self, query: dict[str, str]) -> Listed:
        """What the query finds; kept until another is asked, as one is asked page after page."""
        first, last = ("", "9") if self.loose else (query.get("from", ""), query.get("to", "9"))
        about = (len(self.captures), query["url"], query["matchType"], first, last)
        if self._listed is None or self._listed[0] != about:
            within = (made for made in self.captures if first <= made.timestamp <= last)
            self._listed = about, Listed.of(within, query["url"], query["matchType"])
        return self._listed[1]

    def _wayback(self, query: dict[str, str]) -> tuple[int, bytes]:
        listed = self._list(query)
        found = listed.found
        place = listed.places.get(query["resumeKey"]) if "resumeKey" in query else 0
        if place is None:
            return 400, b"the resume key leads nowhere"
        end = place + int(query["limit"])
        # The last capture of the page before comes again at the seam, as it does at the archive now and then.
        start = max(0, place - 1)
        rows: list[list[str]] = [made.row for made in found[start:end]]
        if not rows:
            return 200, b"[]\n"
        if end < len(found):
            rows += [[], [resume_key(found[end])]]
        return 200, ("[" + ",\n".join(json.dumps(row) for row in [_COLUMNS, *rows]) + "]\n").encode()

    def _commoncrawl(self, found: list[Made], query: dict[str, str]) -> tuple[int, bytes]:
        pages = -(-len(found) // self.page_rows)
        if "showNumPages" in query:
            counted = {"pages": pages, "pageSize": 5, "blocks": pages}
            return 200, json.dumps(counted).encode()
        number = int(query.get("page", "0"))
        if number >= max(pages, 1):
            said = f"Page {number} invalid: First Page is 0, Last Page is {pages - 1}"
            return 400, json.dumps({"message": said}).encode()
        return _lines_or_404(
            found[number * self.page_rows : (number + 1) * self.page_rows], query, object_line
        )

    def _timemap(self, url: str) -> tuple[int, bytes]:
        listed = [
            {"datetime": re.sub(r"(....)(..)(..)(..)(..)(..)", r"\1-\2-\3T\4:\5:\6Z", made.timestamp),
             "uri": f"{self.base}/web/{made.timestamp}/{made.url}"}
            for made in self.captures if made.url == url
        ]  # fmt: skip
        if not listed:
            return 404, b""
        return 200, json.dumps({"original_uri": url, "mementos": {"list": listed}}).encode()

    def _links(self, text: str) -> tuple[int, bytes]:
        """The TimeMap of a URL lists pages of two mementos each, whose address ends in `#` and a number."""
        url, page, number = text.partition("%23")
        found = [made for made in self.captures if made.url == url]
        if not found:
            return 404, b""
        own = f"{self.base}/links/{text}"
        lines = [f'<{url}>; rel="original"', f'<{own}>; rel="self"; type="application/link-format"']
        if not page:
            since = _http_date("20180101000000")
            pages = range(-(-len(found) // 2))
            lines += [f'<{own}%23{at}>; rel="timemap"; from="{since}"' for at in pages]
        else:
            start = int(number) * 2
            lines += [
                f'<{self.base}/web/{made.timestamp}/{url}>; rel="memento"; datetime="{_http_date(made.timestamp)}"'
                for made in found[start : start + 2]
            ]
        return 200, (",\n".join(lines) + "\n").encode()


def _acceptable(found: Replayed, accepted: str) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Body and header, with the coding undone that is not accepted, as pywb does it."""
    if ("Content-Encoding", "gzip") not in found.header or "gzip" in accepted:
        return found.body, found.header
    return gzip.decompress(found.body), tuple(item for item in found.header if item[0] != "Content-Encoding")


def _ranged(data: bytes, asked_range: str | None) -> Payload:
    """A range of a file, as RFC 9110, 14 has it; the whole file where none was asked for."""
    match = _RANGE.fullmatch(asked_range or "")
    if match is None:
        return Payload(200, data)
    first, last = int(match[1]), min(int(match[2]), len(data) - 1)
    if first >= len(data):
        return Payload(416, b"", (("Content-Range", f"bytes */{len(data)}"),))
    told = ("Content-Range", f"bytes {first}-{last}/{len(data)}")
    return Payload(206, data[first : last + 1], (told,))


def _http_date(timestamp: str) -> str:
    at = datetime.strptime(timestamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return format_datetime(at, usegmt=True)


def _lines_or_404(found: Sequence[Made], query: dict[str, str], line: object) -> tuple[int, bytes]:
    assert callable(line)  # noqa: S101
    if not found:
        return 404, json.dumps({"message": f"No Captures found for: {query['url']}"}).encode()
    return 200, "".join(line(made) + "\n" for made in found).encode()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request of a `WebArchive`."""

    web_archive: WebArchive
    under_way: _UnderWay
    protocol_version = "HTTP/1.1"
    # An answer goes in pieces, and none shall wait until the one before is acknowledged.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer, or fail as told."""
        with self.web_archive.noted(self.path, self.headers.get("User-Agent", "")) as self.under_way:
            self._answer(self.under_way.fault)

    def _answer(self, fault: Fault | None) -> None:
        if fault in REFUSALS:
            status, said, retry_after = REFUSALS[fault]
            self._send(status, said, retry_after=retry_after)
        elif fault is Fault.RESET:
            # Lingering for no seconds makes the closing a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.under_way.ends()
            self.connection.close()
        elif fault is Fault.STALL:
            self.close_connection = True
            self.web_archive.wait_until_closed()
        else:
            self._answer_whole_or_cut(fault)

    def _answer_whole_or_cut(self, fault: Fault | None) -> None:
        payload = self.web_archive.payload(
            self.path, self.headers.get("Range"), self.headers.get("Accept-Encoding", "")
        )
        if payload is not None:
            self._send_payload(payload, fault)
            return
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        # A TimeMap's address ends in the URL that it is about, question mark and all.
        path = self.path if split.path.startswith(("/timemap/", "/links/")) else split.path
        status, body = self.web_archive.answer(path, query)
        packed = gzip.compress(body)
        if fault is Fault.GZIP_CUT:
            # Of its last eight bytes, checksum and length, so that all that it holds comes out.
            packed = packed[:-4]
        packed, length = harmed(packed, fault)
        self._send(status, packed, length=length, header=(("Content-Encoding", "gzip"),))

    def _send_payload(self, payload: Payload, fault: Fault | None) -> None:
        body = payload.body[:-4] if fault is Fault.GZIP_CUT else payload.body
        body, length = harmed(body, fault)
        self._send(payload.status, body, length=length, header=payload.header)

    def _send(
        self,
        status: int,
        body: bytes,
        *,
        length: int | None = None,
        header: Sequence[tuple[str, str]] = (),
        retry_after: str | None = None,
    ) -> None:
        length = len(body) if length is None else length
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in header:
            self.send_header(name, value)
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        # One request a connection, so that a cut body ends in a closed connection.
        self.send_header("Connection", "close")
        # Whoever asked may go on once the last byte has come that the length promises, and so before we know of it.
        last = max(0, length - 1)
        if length == 0:
            self.under_way.ends()
        self.end_headers()
        self.wfile.write(body[:last])
        if length <= len(body):
            self.under_way.ends()
        self.wfile.write(body[last:])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Say nothing: the archive keeps what it was asked."""
