import socket

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chronolake.capture import surt

# The package itself, imported where its compiler warnings are silenced.
package = surt._package()

label = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_", min_size=1, max_size=8)
name = st.one_of(
    st.lists(label, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["www", "www2", "www-a", "WWW3", "wwwx"]).flatmap(
        lambda w: label.map(f"{w}.{{}}.com".format)
    ),
    st.tuples(*[st.integers(0, 255)] * 4).map(lambda ip: ".".join(map(str, ip))),
)
# A host of numbers that is no address would send the package to a name server.
host = name.filter(lambda text: surt._unresolvable(f"http://{text}/") is None)
port = st.sampled_from(["", "", "", ":80", ":443", ":8080", ":0", ":"])
path_part = st.text("abcXYZ019-._~!$&'*+,;=:@()%/ é#", max_size=10)
word = st.sampled_from(["sid", "PHPSESSID", "jsessionid", "ASPSESSIONIDabcdefgh", "cfid", "id", "q", "b"])
value = st.one_of(
    st.text("abcXYZ019-._~!*+,;:@()/?[]|", max_size=8),
    st.integers(0, 255).map("x%{:02X}".format),
    st.just("0123456789abcdef0123456789ABCDEF"),
    st.just("abcdefghijklmnopqrstuvwx"),
)
argument = st.one_of(st.tuples(word, value).map("=".join), word, st.just(""), st.just("cfid=1&cftoken=2"))
query = st.one_of(st.just(""), st.lists(argument, max_size=5).map(lambda args: "?" + "&".join(args)))
piece = st.one_of(
    st.text("abcXYZ019-._~()", max_size=6),
    st.integers(0, 255).map("%{:02x}".format),
    st.integers(0, 255).map("a%{:02X}B".format),
    st.just("(abcdefghijklmnopqrstuvwx)"),
    st.just("(S(abcdefghijklmnopqrstuvwx))"),
    st.just("Page.aspx"),
)
plain_path = st.lists(st.one_of(piece, st.tuples(piece, piece).map("".join)), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
urls = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "https", "HTTP", "ftp"]),
    host,
    port,
    st.one_of(plain_path, path_part.map("/{}".format), st.just("")),
    query,
)


def expected(url: str) -> str | None:
    try:
        return package(url)
    except ValueError:
        return None


@settings(deadline=None, max_examples=400)
@given(st.lists(urls, min_size=1, max_size=8))
@example(["http://www.example.com/b/?b=2&a=1&a", "http://www.example.com:80/", "https://www.example.com:80/"])
@example(["http://example.com/?", "http://example.com/a/?", "http://example.com/a/?&", "http://example.com"])
@example(
    ["http://example.com/?a=1&a-b=1&a", "http://example.com/?PHPSESSID=0123456789abcdef0123456789abcdef"]
)
@example(["http://a.com/(abcdefghijklmnopqrstuvwx)/a.aspx", "http://a.com/b(c)/d", "http://a.com/b)/"])
@example(
    ["http://a.com/%C3%A9/%2541", "http://a.com/?q=%e9%20%23%25", "http://a.com/%2e%2E/", "http://a.com/%"]
)
@example(["http://a.com/./b/../c/..", "http://a.com/.b/", "http://a.com/a//b", "http://a.com/b/."])
@example([f"http://a.com/?a&{name}=0123456789abcdef0123456789ABCDEF&b" for name in ("SID", "jsessionid")])
@example(["http://a.com/?ASPSESSIONIDabcdefgh=abcdefghijklmnopqrstuvwx&b", "http://a.com/?cfid=1&cftoken=2"])
def test_keys_of_a_column_are_those_of_the_package(values):
    assert surt.keys(pa.array(values)).key.to_pylist() == [expected(url) for url in values]


def test_ordinary_urls_take_the_fast_path():
    # If the shape were too narrow, everything would still be right, and ten times slower.
    ordinary = [
        "http://www.example.com/",
        "https://example.com:8080/a/B.html",
        "https://shop.example.co.uk/list/?page=2&sort=price",
        "http://192.0.2.7/cgi-bin/view.pl?id=1",
        "https://example.org/wiki/Caf%C3%A9_(bar)?q=a%20b",
    ]
    assert pc.match_substring_regex(pa.array(ordinary), surt.PLAIN).to_pylist() == [True] * 5


def test_the_host_of_each_row_is_named():
    found = surt.keys(pa.array(["http://a.example/1", "dns:b.example", "http://a.example/2"]))
    named = [found.host_texts[code] for code in found.host_codes.to_pylist()]
    assert named == ["http://a.example/", "dns:b.example", "http://a.example/"]


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("dns:www.example.com", "dns:www.example.com"),
        ("filedesc://crawl.arc.gz", "filedesc://crawl.arc.gz"),
        ("http://user@www.Example.com:80/B/../A/?b&a#top", "com,example)/a?a&b"),
        ("http://www2.example.com/", "com,example)/"),
        ("http://192.0.2.7/", "7,2,0,192)/"),
        ("http://www.blåbærgrød.dk/", "dk,xn--blbrgrd-fxak7p)/"),
    ],
)
def test_known_keys(url, key):
    assert surt.key(url) == key


@pytest.mark.parametrize("url", ["", "http://example.com:99999/", "http://example.com:port/"])
def test_what_the_package_cannot_read_has_no_key(url):
    assert surt.key(url) is None


@pytest.mark.parametrize("url", ["http://a.com/%" + "25" * 400_000, "http://é.com/?" + "é&" * 300_000])
def test_a_hostile_url_holds_nothing_up(url):
    assert surt.keys(pa.array([url])).key.to_pylist() == [None]


def test_a_long_plain_url_has_its_key():
    made = surt.keys(pa.array(["http://a.com/?" + "b&" * 100_000 + "a"])).key.to_pylist()
    assert made == ["com,a)/?a" + "&b" * 100_000]


@pytest.mark.parametrize(
    "url", ["some/not/even/url", "mailto:a@example.com", "urn:x:y", "://", "http://", "%"]
)
def test_strange_texts_do_not_raise(url):
    surt.key(url)
    assert len(surt.keys(pa.array([url])).key) == 1


def test_no_name_server_is_asked_for_numbers_that_are_no_address(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "gethostbyname_ex", refuse)
    assert surt.key("http://999.300.1.1:81/A?b&a") == "1,1,300,999:81)/a?a&b"
    assert surt.key("http://\uff19\uff19\uff19.300.1.1/") == "1,1,300,999)/"
    assert surt.key("http://999.300.1.1@300.300.300.300/") == "300,300,300,300)/"


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("com,example)/a?b=1", "http://example.com/a?b=1"),
        ("com,example,www)/", "http://www.example.com/"),
        ("com,example:8080)/a", "http://example.com:8080/a"),
        ("(com,example,)/robots.txt", "http://example.com/robots.txt"),
        ("http://(com,example,)/a", "http://example.com/a"),
        ("com,example)", "http://example.com/"),
        ("7,2,0,192)/", "http://192.0.2.7/"),
        ("example.com/images/a.gif", "http://example.com/images/a.gif"),
        ("dns:www.example.com", "dns:www.example.com"),
        ("filedesc:crawl.arc", "filedesc:crawl.arc"),
        ("metadata://example.com/a", "metadata://example.com/a"),
    ],
)
def test_a_url_is_rebuilt_from_its_key(key, url):
    assert surt.url_of(key) == url


@pytest.mark.parametrize("key", ["", "-", "d41d8cd98f00b204e9800998ecf8427e", "01_03_03).pdf", "a b)/"])
def test_nothing_is_rebuilt_from_what_is_no_key(key):
    assert surt.url_of(key) is None


@settings(deadline=None)
@given(st.lists(label, min_size=1, max_size=3).map(lambda labels: ",".join(["com", *labels]).lower()))
def test_a_rebuilt_url_has_the_key_it_came_from(reversed_host):
    key = f"{reversed_host})/a?b=1&c"
    rebuilt = surt.url_of(key)
    assert rebuilt is not None
    # The package drops one leading `www.`, which a key that still has it cannot give back.
    if not reversed_host.rpartition(",")[2].startswith("www"):
        assert surt.key(rebuilt) == key
