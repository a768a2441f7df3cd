"""WARC files and pages for tests, written by plain means: each record is a gzip member, as crawlers write them."""

import base64
import gzip
import hashlib
from dataclasses import dataclass, field

_TYPES = {"response": "application/http; msgtype=response", "resource": "text/html"}


@dataclass(frozen=True)
class Written:
    """Where a record lies in its file."""

    url: str
    timestamp: str
    offset: int
    length: int
    digest: str


@dataclass
class WarcFile:
    """A WARC file as it grows; `data` are its bytes."""

    packed: bool = True
    data: bytes = b""
    written: list[Written] = field(default_factory=list)

    def add(
        self,
        url: str,
        timestamp: str,
        body: bytes,
        *,
        record_type: str = "response",
        status: str = "200 OK",
        header: tuple[str, ...] = ("Content-Type: text/html; charset=utf-8",),
        digest: str | None = None,
        more: tuple[str, ...] = (),
    ) -> Written:
        """Add a record of the answer; `timestamp` has 14 digits, `body` is as it was sent."""
        sha1 = base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
        digest = digest or sha1
        block = body
        if record_type != "resource":
            block = "\r\n".join([f"HTTP/1.1 {status}", *header, "", ""]).encode() + body
        fields = [
            "WARC/1.0",
            f"WARC-Type: {record_type}",
            f"WARC-Target-URI: {url}",
            f"WARC-Date: {warc_date(timestamp)}",
            f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{len(self.written):012d}>",
            f"WARC-Payload-Digest: sha1:{digest}",
            f"Content-Type: {_TYPES.get(record_type, _TYPES['response'])}",
            f"Content-Length: {len(block)}",
            *more,
        ]
        record = "\r\n".join([*fields, "", ""]).encode() + block + b"\r\n\r\n"
        stored = gzip.compress(record, mtime=0) if self.packed else record
        written = Written(url, timestamp, len(self.data), len(stored), digest)
        self.data += stored
        self.written.append(written)
        return written


def warc_date(timestamp: str) -> str:
    """14 digits as WARC writes an instant."""
    year, month, day = timestamp[:4], timestamp[4:6], timestamp[6:8]
    return f"{year}-{month}-{day}T{timestamp[8:10]}:{timestamp[10:12]}:{timestamp[12:14]}Z"


def chunked(body: bytes, size: int = 97) -> bytes:
    """The body in chunks, as HTTP/1.1 sends one whose length is not known."""
    pieces = [body[place : place + size] for place in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


_SENTENCE = (
    "The fox number {n} crossed the quiet river near Berlin on 12 May 2019 and paid $ {n}5.50 to fox{n}@example.com. "
    "Nobody in the village had seen such an animal before, and the people there talked about it for many days. "
    "It was a bright morning, the water was low, and the stones lay dry in the sun. "
)


def story(number: int) -> bytes:
    """A page in English, as no other number gives it, with a mail address, a date, a sum of money and a link."""
    text = "".join(f"<p>{_SENTENCE.format(n=number)}Part {part} ends here.</p>" for part in range(3))
    return (
        f"<html><head><title>Story {number}</title></head><body><h1>Story {number}</h1>{text}"
        f'<a href="http://example.org/{number}">more</a></body></html>'
    ).encode()
