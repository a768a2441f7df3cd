import re

import pytest

from chronolake.capture import host


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://www.Example.COM/a", "www.example.com"),
        ("https://example.com:8443/a", "example.com"),
        ("http://user:secret@example.com:81/", "example.com"),
        ("http://example.com.:80", "example.com"),
        ("http://example.com?q=http://other.org/", "example.com"),
        ("http://https://example.com/a", "example.com"),
        ("http:////example.com/a", "example.com"),
        ("http://mailto:someone@example.com/", "example.com"),
        ("ftp://files.example.com/", "files.example.com"),
        ("http://192.0.2.7:8080/", "192.0.2.7"),
        ("http://[2001:DB8::1]:8080/", "2001:db8::1"),
        ("http://www.blåbærgrød.dk/", "www.xn--blbrgrd-fxak7p.dk"),
        ("http://www.bl%C3%A5b%C3%A6rgr%C3%B8d.dk/", "www.xn--blbrgrd-fxak7p.dk"),
        ("http://XN--BLBRGRD-FXAK7P.dk/", "xn--blbrgrd-fxak7p.dk"),
        ("http://a%04b.example.net/", "a%04b.example.net"),
        ("http://%FF.example.net/", "%ff.example.net"),
        ("http://localhost/", "localhost"),
        ("example.com:80/without/scheme.html", "example.com"),
        ("192.0.2.7/without/scheme", "192.0.2.7"),
    ],
)
def test_the_host_of_a_url(url, name):
    assert host.of_url(url).name == name


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-",
        "dns:www.example.com",
        "filedesc://crawl.arc.gz",
        "metadata://example.com/report.txt",
        "warcinfo:/x.warc.gz/",
        "urn:uuid:1b7c",
        "mailto:someone@example.com",
        "not/a/url/at/all",
        "readme.unknownsuffix/a",
        "http:///",
        "http://" + "a." * 127 + "com/",
        "http://" + "é" * 1_000_000 + ".com/",
    ],
)
def test_what_names_no_host_on_a_network_has_none_and_an_empty_domain(url):
    found = host.of_url(url)
    assert (found.name, found.registered_domain, found.private_domain, found.tld) == (None,) * 4
    assert found.domain == ""


def test_icann_and_private_domains_differ_where_the_list_says_so():
    found = host.of_url("http://blog.someone.github.io/")
    assert found.registered_domain == found.domain == "github.io"
    assert found.private_domain == "someone.github.io"
    assert found.tld == "io"


def test_suffixes_of_two_labels():
    assert host.of_name("www.shop.co.uk").registered_domain == "shop.co.uk"
    assert host.of_name("co.uk").registered_domain is None
    assert host.of_name("co.uk").domain == "co.uk"


def test_a_suffix_in_another_script_is_known_in_punycode():
    assert host.of_url("http://www.пример.рф/").registered_domain == "xn--e1afmkfd.xn--p1ai"


@pytest.mark.parametrize("name", ["192.0.2.7", "2001:db8::1", "localhost", "printer.unknownsuffix"])
def test_addresses_and_unknown_suffixes_have_no_domain_but_group_by_their_host(name):
    found = host.of_name(f"[{name}]" if ":" in name else name)
    assert (found.registered_domain, found.private_domain, found.tld) == (None, None, None)
    assert found.domain == name


def test_the_version_of_the_list_is_its_date_and_commit():
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_UTC [0-9a-f]{12}", host.psl_version())
