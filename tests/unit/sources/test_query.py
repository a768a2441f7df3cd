"""What a person may write as a query, and what it means."""

import pytest

from chronolake.errors import ArchiveQueryInvalid
from chronolake.sources.query import Filter, Match, Query


@pytest.mark.parametrize(
    ("text", "url", "match", "host"),
    [
        ("example.com", "example.com", Match.DOMAIN, "example.com"),
        ("*.Example.com", "Example.com", Match.DOMAIN, "example.com"),
        ("example.com/news/*", "example.com/news/", Match.PREFIX, "example.com"),
        ("http://example.com:8080/a?b=c", "http://example.com:8080/a?b=c", Match.DOMAIN, "example.com"),
    ],
)
def test_urls(text, url, match, host):
    query = Query.parse(text)
    assert (query.url, query.match, query.host) == (url, match, host)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2014", "2014", "20140101000000", "20141231235959"),
        ("201402", "201402", "20140201000000", "20140228235959"),
        ("2016-02", "2016-02", "20160201000000", "20160229235959"),
        ("2014-05-31", "2014-05-31", "20140531000000", "20140531235959"),
        ("2014053112", "201405311230", "20140531120000", "20140531123059"),
        ("2014-05-31T12:30:15Z", "20140531123015", "20140531123015", "20140531123015"),
        (None, None, None, None),
    ],
)
def test_a_range_is_inclusive_at_both_ends(start, end, first, last):
    query = Query.parse("example.com", start=start, end=end)
    assert (query.start, query.end) == (first, last)


@pytest.mark.parametrize(
    "time", ["201", "20141", "20141301", "20140230", "2014022", "yesterday", "2014063124"]
)
def test_what_is_no_time_is_refused(time):
    with pytest.raises(ArchiveQueryInvalid):
        Query.parse("example.com", start=time)
    with pytest.raises(ArchiveQueryInvalid):
        Query.parse("example.com", end=time)


@pytest.mark.parametrize(
    "text", ["", "  ", "http://", "two words.com", "*", "example.com/\x00", "http://[bad"]
)
def test_what_names_no_host_is_refused(text):
    with pytest.raises(ArchiveQueryInvalid):
        Query.parse(text)


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(ArchiveQueryInvalid):
        Query.parse("example.com", start="2015", end="2014")


def test_filters():
    assert Filter.parse("!mime:image/.*") == Filter("mime", "image/.*", negated=True)
    assert str(Filter.parse("status:200")) == "status:200"
    for text in ("statuscode:200", "status", "status:", ":200"):
        with pytest.raises(ArchiveQueryInvalid):
            Filter.parse(text)


def test_a_query_comes_back_from_its_document():
    query = Query.parse(
        "example.com", match=Match.HOST, start="2014", filters=("!status:404",), collapse="digest"
    )
    assert Query.of(query.document()) == query
    assert Query.of(query.document()).document() == query.document()
