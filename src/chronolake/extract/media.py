"""What kind of content a body is, by its own bytes; what a server says of it is often wrong."""

import re

from resiliparse.parse.encoding import detect_mime

#: Bytes at the beginning that tell; browsers look at as many.
_HEAD_BYTES = 1445
#: Beginnings that only one kind of content has, as the WHATWG's MIME Sniffing standard lists them.
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"GIF8", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"RIFF", "application/octet-stream"),
    (b"BM", "image/bmp"),
    (b"\0\0\1\0", "image/x-icon"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"Rar!", "application/vnd.rar"),
    (b"OggS", "application/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"{\\rtf", "application/rtf"),
    (b"\xd0\xcf\x11\xe0", "application/x-ole-storage"),
)
#: A beginning as short as `BM` may be a text's as well,
_SURE_BYTES = 3
#: but a text has none of these bytes.
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
#: Comments are atomic: a match that fails must not try all the ways in which many of them can be read as fewer.
_HTML = re.compile(
    rb"(?>(?:(?><!--.*?-->)|<\?xml[^>]*>|\s)*)<(?:!doctype\s+html|html|head|body|title|meta|link|script|style|h1|div|p|a|br|b"
    rb"|font|table|center|iframe|frameset|noscript|ul|form|span|img|base)\b",
    re.IGNORECASE | re.DOTALL,
)
_XML = re.compile(rb"\s*<(?:\?xml|rss|feed|svg|[a-z]+:[a-z]+ )", re.IGNORECASE)
_XHTML = re.compile(rb"<html[\s>]", re.IGNORECASE)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def detect(body: bytes, mime_sent: str | None) -> str:
    """The media type of the body.

    Bytes cannot tell text from CSS, JSON or JavaScript: among texts, what the server said decides.
    """
    head = body[:_HEAD_BYTES]
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    # In UTF-16 every other byte of a tag is empty.
    head = head[len(mark) :].replace(b"\0", b"") if len(mark) == 2 else head[len(mark) :]
    binary = _BINARY.search(head) is not None
    for magic, mime in _MAGIC:
        if head.startswith(magic) and (binary or len(magic) > _SURE_BYTES):
            return mime
    if _HTML.match(head):
        return "text/html"
    if _XML.match(head):
        return "application/xhtml+xml" if _XHTML.search(head) else "application/xml"
    if binary:
        found = detect_mime(body)
        return found if found != "text/plain" else "application/octet-stream"
    return _of_text((mime_sent or "").partition(";")[0].strip().lower())


def _of_text(sent: str) -> str:
    if sent == "application/xhtml+xml":
        # It is none, as its beginning shows; browsers go on reading it as HTML.
        return "text/html"
    if sent.startswith("text/") or sent.endswith(("json", "javascript", "ecmascript", "+xml")):
        return sent
    return "text/plain"
