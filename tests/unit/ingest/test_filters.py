"""Each rule by what it takes out and what it leaves."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest

from chronolake.capture.candidate import Candidate
from chronolake.capture.digest import EMPTY_BODY_SHA1
from chronolake.ingest.filters import RULES, FilterReason, Known, decide

PAGE = Candidate(
    id=UUID(int=1),
    project_id=1,
    archive_source="wayback",
    url="http://example.com/2020/05/a-story.html?id=7",
    url_key="com,example)/2020/05/a-story.html?id=7",
    domain="example.com",
    timestamp=datetime(2020, 1, 2),
    status_code=200,
    mime_type="text/html",
    content_length=4000,
    digest="A" * 32,
    digest_algorithm="sha1",
)
OTHER = UUID(int=2)
KNOWN = Known(most_bytes=1 << 20)


def of(**facts):
    return replace(PAGE, **facts)


def at(url, mime_type="text/html"):
    return of(url=url, mime_type=mime_type)


R = FilterReason
CASES = [
    (None, PAGE, KNOWN),
    (None, of(status_code=None, mime_type=None, content_length=None, digest=None, digest_algorithm=None), KNOWN),
    (R.ALREADY, PAGE, Known(pages={PAGE.id})),
    (None, PAGE, Known(pages={OTHER})),
    *((R.RECORD_TYPE, of(record_type=kind), KNOWN) for kind in ("request", "metadata", "dns", "warcinfo", "conversion")),
    (None, of(record_type="resource", status_code=None), KNOWN),
    (R.REVISIT, of(record_type="revisit"), KNOWN),
    (R.REVISIT, of(record_type="revisit", digest=None), KNOWN),
    (None, of(record_type="revisit"), Known(originals={PAGE.digest: of(id=OTHER)})),
    (R.EMPTY, of(digest=EMPTY_BODY_SHA1), KNOWN),
    *((R.STATUS, of(status_code=code), KNOWN) for code in (-1, 0, 100, 204, 205, 301, 304, 404, 503, 999)),
    *((None, of(status_code=code), KNOWN) for code in (200, 203, 206, 226)),
    *(
        (R.STATIC_ASSET, of(mime_type=kind), KNOWN)
        for kind in ("image/png", "IMAGE/JPEG", "text/css; charset=utf-8", "font/woff2", "video/mp4", "application/javascript")
    ),
    (R.STATIC_ASSET, at("http://example.com/a/logo.PNG?v=3", "unk"), KNOWN),
    (R.STATIC_ASSET, at("http://example.com/app.min.js", None), KNOWN),
    # A page of a picture, as wikis have them.
    (None, at("http://example.com/wiki/File:Logo.png"), KNOWN),
    (R.STATIC_ASSET, of(mime_type="text/html", mime_detected="image/gif"), KNOWN),
    *((R.MIME, of(mime_type=kind), KNOWN) for kind in ("application/zip", "application/x-rpm", "html>", "application/http;msgtype=response")),
    *(
        (None, of(mime_type=kind), KNOWN)
        for kind in ("text/plain", "application/pdf", "application/xhtml+xml; charset=x", "application/octet-stream", "-", "unk")
    ),
    *(
        (R.LIST_PAGE, at(f"http://example.com{path}"), KNOWN)
        for path in ("/tag/foxes/", "/category/news", "/blog/page/3/", "/author/ann", "/search?q=fox", "/?s=fox", "/2020/05/", "/2019/",
                     "/news?page=2", "/feed/", "/index.php?feed=rss2", "/Archives/")
    ),
    *(
        (None, at(f"http://example.com{path}"), KNOWN)
        for path in ("/", "/about", "/2020/05/07/a-story", "/2020/05/a-story", "/tagged", "/pages/3", "/story?id=3", "/vintage/", "/searching-for-it")
    ),
    (None, at("http://[broken/x"), KNOWN),
    (R.SIZE, of(content_length=(1 << 20) + 1), KNOWN),
    (None, of(content_length=1 << 20), KNOWN),
    (R.DUPLICATE, PAGE, Known(extracted={PAGE.digest: OTHER})),
    # Its own page is no reason: whoever asks for it again means that.
    (None, PAGE, Known(extracted={PAGE.digest: PAGE.id})),
    (None, of(digest=None), Known(extracted={PAGE.digest: OTHER})),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "candidate", "known"), CASES)
def test_what_a_rule_takes_out_and_what_it_leaves(reason, candidate, known):
    filtered, overridden = decide(candidate, known, frozenset())
    assert (filtered and filtered.reason) == reason
    assert overridden is None
    if filtered is not None:
        assert filtered.detail
        # Included, its reason counts no more, and it is told what it would have been.
        again, passed = decide(candidate, known, {reason.value})
        assert passed == filtered
        assert again is None or again.reason is not reason


def test_including_one_reason_leaves_the_others():
    both = of(status_code=404, mime_type="image/png")
    assert decide(both, KNOWN, {"status"})[0].reason is R.STATIC_ASSET
    assert decide(both, KNOWN, {"status", "static_asset", "mime"}) == (None, decide(both, KNOWN, set())[0])


def test_every_reason_has_its_rule_but_the_one_that_needs_the_text():
    assert [reason for reason, _ in RULES] == [reason for reason in FilterReason if reason is not R.SAME_TEXT]
    assert {reason for reason, *_ in CASES} == {None, *(reason for reason, _ in RULES)}
