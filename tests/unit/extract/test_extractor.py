"""From payload to page: each kind of content, and each way in which there is no page."""

import hashlib
from datetime import date, datetime
from uuid import UUID

import pytest

from chronolake.bench.web_pages import pages
from chronolake.capture.payload import Payload
from chronolake.extract import wire
from chronolake.extract.extractor import Extractor
from chronolake.extract.page import Failure, FailureKind
from chronolake.settings import load
from chronolake.testing.pdf import lines, pdf

ARTICLE = """<!DOCTYPE html><html><head><title>Tides &amp; boats | Harbour News</title>
<meta property="og:title" content="Tides &amp; boats"><meta name="author" content="Anna Lindqvist">
<meta property="article:published_time" content="2019-03-12T08:00:00Z"></head>
<body><nav><a href="/">Home</a> <a href="/about">About</a></nav>
<article><h1>Tides &amp; boats</h1><p>{text}</p>
<p><a href="../more.html#part">more</a> <a href="more.html">again</a> <a href="http://Other.example/x y">other</a>
<a href="mailto:a@b.org">mail</a> <a href="javascript:void(0)">nothing</a> <a href="/news/../news/1">one</a></p></article>
<footer>Imprint</footer></body></html>"""
TEXT = (
    "The ferry left an hour late because the harbour was full of ice, and nobody on board seemed to mind. "
    "An old man shared his coffee with strangers while two children counted the gulls on the pier. "
    "By the time we reached the island, the shops were closed and the only light came from the church. "
)


@pytest.fixture(scope="module")
def extractor():
    return Extractor(load({}).extract)


def payload(body, **more):
    told = {"url": "http://example.com/news/today/", "captured_at": datetime(2020, 1, 1)} | more
    return Payload(capture_id=UUID(int=1), body=body, **told)


def test_an_article_is_read(extractor):
    page = extractor.extract(payload(ARTICLE.format(text=TEXT).encode(), mime_sent="text/html"))
    assert TEXT.strip() in page.text
    assert "Imprint" not in page.text
    assert (page.title, page.author, page.published) == ("Tides & boats", "Anna Lindqvist", date(2019, 3, 12))
    assert (page.mime_detected, page.charset, page.language) == ("text/html", "utf-8", "en")
    assert page.content_hash == hashlib.sha256(page.text.encode()).hexdigest()
    assert page.word_count > 50
    assert page.method.startswith("resiliparse ")
    assert page.links == (
        "http://example.com/",
        "http://example.com/about",
        "http://example.com/news/more.html",
        "http://example.com/news/today/more.html",
        "http://Other.example/x%20y",
        "http://example.com/news/1",
    )


def test_a_base_moves_the_links(extractor):
    page = extractor.extract(
        payload(b"<base href='http://a.org/b/'><p>" + TEXT.encode() + b"<a href=c>c</a>")
    )
    assert page.links == ("http://a.org/b/c",)


@pytest.mark.parametrize(
    ("head", "url", "published"),
    [
        ("<meta name=date content='12 Mar 2019 08:00:00 GMT'>", "http://x.org/", date(2019, 3, 12)),
        ('<script type="application/ld+json">{"@graph":[{"datePublished":"2019-03-12"}]}</script>', "http://x.org/", date(2019, 3, 12)),
        ("", "http://x.org/2019/03/12/tides/", date(2019, 3, 12)),
        ("<meta name=date content='2031-01-01'>", "http://x.org/", None),
        ("<meta name=date content='2019-02-31'>", "http://x.org/", None),
        ("<meta name=date content='3/4/2019'>", "http://x.org/", None),
    ],
)  # fmt: skip
def test_the_date_of_publication_is_what_the_page_declares(extractor, head, url, published):
    body = f"<html><head>{head}</head><body><p>{TEXT}</body></html>".encode()
    assert extractor.extract(payload(body, url=url)).published == published


def test_a_pdf_is_read(extractor):
    info = "/Title (Tide tables) /Author (Harbour Office) /CreationDate (D:20190312080000Z)"
    page = extractor.extract(payload(pdf(lines("High water at noon", "Low water at six"), info=info)))
    assert page.text == "High water at noon\nLow water at six"
    assert (page.title, page.author, page.published) == ("Tide tables", "Harbour Office", date(2019, 3, 12))
    assert (page.mime_detected, page.charset) == ("application/pdf", None)
    assert page.language is None


def test_plain_text_is_read_as_it_is(extractor):
    page = extractor.extract(payload("Ebbe & Flut <i>\nsind da.".encode("latin-1"), mime_sent="text/plain"))
    assert (page.text, page.mime_detected, page.method) == (
        "Ebbe & Flut <i>\nsind da.",
        "text/plain",
        "plain text",
    )


@pytest.mark.parametrize(
    ("body", "mime", "kind"),
    [
        (b"", None, FailureKind.EMPTY),
        (b" \r\n ", "text/html", FailureKind.EMPTY),
        (b"<html><body><img src=x></body></html>", "text/html", FailureKind.NO_TEXT),
        (b"\x89PNG\r\n\x1a\n\0", "image/png", FailureKind.UNSUPPORTED),
        (b"body { color: red }", "text/css", FailureKind.UNSUPPORTED),
        (b"<div>" * 2000 + b"deep", "text/html", FailureKind.TOO_DEEP),
        (b"%PDF-1.7\nnothing", "application/pdf", FailureKind.MALFORMED),
        (pdf(b"BT ET"), "application/pdf", FailureKind.NO_TEXT),
        (
            pdf(b"BT ET", trailer="/Encrypt << /Filter /Standard /V 1 /R 2 /P -4"
                f" /O <{'61' * 32}> /U <{'62' * 32}> >> /ID [<00> <00>]"),
            "application/pdf",
            FailureKind.ENCRYPTED,
        ),
    ],
)  # fmt: skip
def test_where_there_is_no_page_the_failure_says_why(extractor, body, mime, kind):
    failure = extractor.extract(payload(body, mime_sent=mime))
    assert isinstance(failure, Failure)
    assert failure.kind is kind
    assert failure.detail


def test_a_page_goes_over_the_wire_unchanged(extractor):
    page = extractor.extract(next(pages(1)))
    assert page.entities
    assert page.links
    told, last = wire.decode(wire.encode(page, last=True), page.capture_id)
    assert told == page
    assert last
    failure = Failure(page.capture_id, FailureKind.EMPTY, "nothing")
    assert wire.decode(wire.encode(failure, last=False), page.capture_id) == (failure, False)


@pytest.mark.parametrize(
    "message",
    [b"", b"{}", b"[]", b'{"last": 1, "result": {}}', b'{"last": 1, "result": {"kind": "x"}}', b"\xff"],
)
def test_a_message_that_is_no_result_is_refused(message):
    with pytest.raises(ValueError):
        wire.decode(message, UUID(int=1))


def test_generated_pages_are_the_same_for_the_same_seed_and_say_what_they_should(extractor):
    assert list(pages(3)) == list(pages(3))
    found = [extractor.extract(payload) for payload in pages(3)]
    assert [page.language for page in found] == ["en", "de", "fr"]
    assert all(page.published and page.author for page in found)
    assert all("window.data" not in page.text for page in found)
    kinds = {entity.kind for page in found for entity in page.entities}
    assert kinds >= {"person", "place", "money", "date", "email", "phone", "hashtag"}
