"""Take hosts out of URLs and find the domains they belong to.

The Public Suffix List comes with the `publicsuffixlist` package; its version is recorded with every import,
since the list decides what a domain is. Nothing is looked up on a network.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import unquote

import publicsuffixlist

#: Longest host name there is (RFC 1035, in text). Longer is no host, and fits no database index either.
LONGEST_HOST = 253
# Escaped (`%C3%A5`) or in another script a host takes more characters than in punycode, but not so many.
_LONGEST_HOST_TEXT = 2048
#: Schemes whose authority is a host on a network. `metadata://`, `screenshot:` and the like name no host.
_NETWORK_SCHEMES = frozenset(
    {"http", "https", "ftp", "ftps", "sftp", "gopher", "ws", "wss", "rtsp", "rtmp", "mms"}
)
_AUTHORITY = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://+([^/?#\\]*)")
_SCHEMELESS = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-.]*\.[A-Za-z0-9\-]+)\.?(?::[0-9]*)?(?:[/?#]|$)")
_PORT = re.compile(r":[0-9]*$")
_NUMBERS = re.compile(r"[0-9.]+")
_HEADER_LINES = 20
_COMMIT_CHARACTERS = 12


@dataclass(frozen=True)
class Host:
    """A host and its domains.

    `registered_domain` follows the ICANN section of the Public Suffix List, `private_domain` the whole list.
    Both, and `tld`, are None for IP addresses, for hosts under no listed suffix and without a host.
    """

    name: str | None
    registered_domain: str | None = None
    private_domain: str | None = None
    tld: str | None = None

    @property
    def domain(self) -> str:
        """What captures are grouped by: the registered domain, else the host, else empty."""
        return self.registered_domain or self.name or ""


_NOWHERE = Host(None)


@cache
def psl_version() -> str:
    """The Public Suffix List in use: its date and the commit, as its header gives them."""
    facts: dict[str, str] = {}
    with Path(publicsuffixlist.PSLFILE).open(encoding="utf-8") as lines:
        for _, line in zip(range(_HEADER_LINES), lines, strict=False):
            name, _, value = line.removeprefix("//").strip().partition(":")
            facts[name] = value.strip()
    date = facts.get("VERSION") or str(publicsuffixlist.__version__)
    commit = facts.get("COMMIT", "")[:_COMMIT_CHARACTERS]
    return f"{date} {commit}".strip()


@cache
def _lists() -> tuple[publicsuffixlist.PublicSuffixList, publicsuffixlist.PublicSuffixList]:
    icann = publicsuffixlist.PublicSuffixList(accept_unknown=False, only_icann=True)
    return icann, publicsuffixlist.PublicSuffixList(accept_unknown=False)


def of_url(url: str) -> Host:
    """The host of a URL: lower case, IDN in punycode, without user, password and port.

    A URL without scheme, as old indexes write it, has a host where its first part ends in a listed suffix or
    is an IP address. A host longer than 253 characters is none.
    """
    return of_name(_host_text(url.strip()))


def _host_text(url: str) -> str:
    match = _AUTHORITY.match(url)
    if match:
        # A URL can stand in front of another (`http://https://example.com/`): the last scheme counts.
        while (scheme := match[1].lower()) in {"http", "https"} and match[2].lower() in {"http:", "https:"}:
            inner = _AUTHORITY.match(url, match.start(2))
            if inner is None:
                break
            match = inner
        return match[2] if scheme in _NETWORK_SCHEMES else ""
    bare = _SCHEMELESS.match(url)
    if bare and (is_ip(bare[1]) or _lists()[0].publicsuffix(bare[1].lower()) is not None):
        return bare[1]
    return ""


def of_name(authority: str) -> Host:
    """The host that `authority` (`user:password@host:port`) names, with its domains."""
    name = _clean(authority)
    return _of_clean(name) if 0 < len(name) <= LONGEST_HOST else _NOWHERE


@lru_cache(maxsize=262144)
def _of_clean(name: str) -> Host:
    if is_ip(name):
        return Host(name)
    icann, whole = _lists()
    registered = icann.privatesuffix(name)
    # A name that is itself a suffix has no registered domain, but it has a top-level domain.
    known = registered is not None or icann.publicsuffix(name) is not None
    return Host(name, registered, whole.privatesuffix(name), name.rpartition(".")[2] if known else None)


def _clean(authority: str) -> str:
    host = authority.rpartition("@")[2]
    if len(host) > _LONGEST_HOST_TEXT:
        return ""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    host = _PORT.sub("", host)
    if "%" in host:
        decoded = unquote(host, errors="strict") if _decodes(host) else host
        # What is no printable name after decoding stays escaped, as the index gave it.
        host = decoded if decoded.isprintable() and " " not in decoded else host
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            # No IDN (a label too long, an unassigned character): the text itself is all there is.
            host = host.lower()
    return ".".join(label for label in host.lower().split(".") if label)


def _decodes(text: str) -> bool:
    try:
        unquote(text, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def is_ip(host: str) -> bool:
    """Whether `host` is an IP address; a host of digits and dots alone counts as one, as no name ends so."""
    if _NUMBERS.fullmatch(host):
        return True
    if ":" not in host and not host[-1:].isdigit():
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
