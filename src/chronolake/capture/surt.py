"""URL keys: the SURT of a URL as the `surt` package makes it, and back again.

An index's own key is not trusted: keys of different tools differ, and only one spelling lets prefix queries
and joins work. The package is the law, and it takes some 25 microseconds a URL; so `keys` computes the key of
plainly shaped URLs on whole columns, proved equal to the package by a property test, and hands the package
each distinct other URL and each distinct host once.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from socket import inet_aton
from typing import cast
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Escapes of bytes that the package escapes again, whatever it does between: controls, space, `#`, DEL and
# everything that is not ASCII. `%25` is not among them, since unescaping goes on until nothing changes.
_ESCAPE = r"%(?:[01][0-9A-Fa-f]|2[03]|7[Ff]|[89A-Fa-f][0-9A-Fa-f])"
_CHARACTERS = r"A-Za-z0-9_~!$&'*+,;=:@\-"
#: A part of a path: it begins with no dot, so it is neither `.` nor `..`.
_HEAD = rf"(?:[{_CHARACTERS}()]|{_ESCAPE})"
_ANY = rf"(?:[{_CHARACTERS}().]|{_ESCAPE})"
#: Before a slash stands no `)`: such parts may be session ids of ASP.NET, which the package takes out.
_LAST = rf"(?:[{_CHARACTERS}(.]|{_ESCAPE})"
_FOLDER = rf"(?:{_HEAD}{_ANY}*{_LAST}|[{_CHARACTERS}(]|{_ESCAPE})/"
#: URLs whose key is the SURT of their host and their own lower-cased text: no escapes that change, no empty
#: or dotted parts in the path, no fragment and no user; a path, if only `/`.
PLAIN = (
    rf"^https?://[A-Za-z0-9][A-Za-z0-9_.\-]*(?::[0-9]{{1,5}})?/(?:{_FOLDER})*(?:{_HEAD}{_ANY}*)?"
    rf"(?:\?(?:[{_CHARACTERS}./?()|\[\]]|{_ESCAPE})+)?$"
)
#: Words of the session ids that the package takes out of queries, lower case.
_SESSION_WORDS = "sid=|sessid=|sessionid|cfid="
#: An origin of plain labels, the last of which has a letter, without the `www.` that the package takes off.
_NAME = re.compile(
    r"https?://(?:www[0-9]*\.)?((?:[a-z0-9][a-z0-9_\-]*\.)*[a-z0-9_\-]*[a-z][a-z0-9_\-]*)/", re.ASCII
)
_SURT = re.compile(
    r"(?:[a-z][a-z0-9+.\-]*://)?\(?([^()/?#\s]+?),?(?::([0-9]+))?,?\)((?:[/?#].*)?)", re.DOTALL
)
_SCHEME = re.compile(
    r"(?:[a-z][a-z0-9+.\-]*://|(?:dns|filedesc|warcinfo|urn|mailto|metadata|screenshot):)", re.IGNORECASE
)
_HOST_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]*(?:\.[A-Za-z0-9\-]+)+(?::[0-9]+)?(?:[/?].*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:)?/*(?:https?:/+)*(?:[^/?#@]*@)?([^/?#:]*)")
_DOTTED_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+){1,3}")
#: Characters of a URL that is worth remembering; memory must stay bounded whatever the input.
_LONGEST_CACHED = 1024
#: Characters of the longest URL that the package sees: it unescapes again and again and joins arguments one
#: by one, so a hostile URL of a megabyte would hold up an import for minutes.
_LONGEST_UNPLAIN = 16_384
#: Stands in for a host while the package works.
_PLACEHOLDER = "placeholder"
#: Part of the key that pywb gives to a request other than GET; its body is not in the URL.
REQUEST_BODY_KEY = "__wb_method="


@dataclass(frozen=True)
class Keys:
    """Keys of a column of URLs, and the text that names each URL's host.

    `key` is null where the package has no key for the URL. `host_texts` are distinct URLs; row `i` has the
    host of `host_texts[host_codes[i]]`.
    """

    key: pa.StringArray
    host_texts: list[str]
    host_codes: pa.Int32Array


def key(url: str) -> str | None:
    """The SURT of a URL by the package, None where it makes none.

    That is a URL with an impossible port, an empty one, and one longer than 16 384 characters.
    """
    if len(url) > _LONGEST_UNPLAIN:
        return None
    return _cached_key(url) if len(url) <= _LONGEST_CACHED else _key(url)


@cache
def _package() -> Callable[[str], str]:
    """The package's own function. It brings an HTTP client along, so whoever makes no key need not wait for it."""
    with warnings.catch_warnings():
        # The package has escapes in its patterns that newer compilers warn of.
        warnings.simplefilter("ignore")
        from surt import surt  # noqa: PLC0415
    return cast("Callable[[str], str]", surt)


def _key(url: str) -> str | None:
    unresolvable = _unresolvable(url)
    if unresolvable is not None:
        host, numbers = unresolvable
        replaced = key(url.replace(host, _PLACEHOLDER, 1))
        return replaced and replaced.replace(_PLACEHOLDER, ",".join(reversed(numbers.split("."))), 1)
    try:
        found = _package()(url)
    except (ValueError, AssertionError, AttributeError, IndexError, TypeError, OSError):
        # Not every text is a URL: the package fails in many ways, none of which should end an import.
        return None
    return found if found and found != "-" else None


_cached_key = lru_cache(maxsize=65536)(_key)


def _unresolvable(url: str) -> tuple[str, str] | None:
    """A host of numbers that is no address, as given and in plain digits; None for any other.

    The package would ask the network's name server for it.
    """
    match = _AUTHORITY.match(url.strip())
    host = match[1] if match else ""
    decoded = unquote(host)
    if not decoded.isascii():
        try:
            # Digits and dots of other scripts become plain ones in a host name, as in the package.
            decoded = decoded.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    decoded = decoded.replace("..", ".").strip(".")
    if not _DOTTED_NUMBERS.fullmatch(decoded):
        return None
    try:
        inet_aton(decoded)
    except OSError:
        return host, decoded
    return None


def url_of(given_key: str) -> str | None:
    """The URL that a key stands for, None where it stands for none (a hash, a text without host).

    The scheme of a SURT is lost, `www.` may be, and so is the case: `http://` is what most were.
    """
    match = _SURT.fullmatch(given_key)
    if match:
        reversed_host, port, rest = match.groups()
        labels = [label for label in reversed_host.split(",") if label]
        host = ".".join(reversed(labels))
        return f"http://{host}{f':{port}' if port else ''}{rest or '/'}" if host else None
    if _SCHEME.match(given_key):
        return given_key
    if _HOST_PATH.fullmatch(given_key):
        return f"http://{given_key}"
    return None


def keys(urls: pa.StringArray) -> Keys:
    """The keys of a column of URLs, none of them null."""
    plain = pc.match_substring_regex(urls, PLAIN)
    rows = plain.to_numpy(zero_copy_only=False)
    made, texts, codes = _plain_keys(urls if rows.all() else urls.filter(plain))
    if rows.all() and made.null_count == 0:
        return Keys(made, texts, codes)
    key_column = pc.replace_with_mask(pa.nulls(len(urls), pa.string()), plain, made)
    code_column = np.zeros(len(urls), dtype=np.int32)
    code_column[rows] = codes.to_numpy()
    # The package also has to look at plain URLs whose query or host is not.
    odd = pc.is_null(key_column)
    encoded = urls.filter(odd).dictionary_encode()
    odd_urls = encoded.dictionary.to_pylist()
    odd_keys = pa.array([key(url) for url in odd_urls], pa.string())
    code_column[odd.to_numpy(zero_copy_only=False)] = encoded.indices.to_numpy() + len(texts)
    key_column = pc.replace_with_mask(key_column, odd, odd_keys.take(encoded.indices))
    return Keys(key_column, texts + odd_urls, pa.array(code_column))


def _plain_keys(urls: pa.StringArray) -> tuple[pa.StringArray, list[str], pa.Int32Array]:
    """Keys of PLAIN URLs, null where the package must decide; distinct origins, and each row's."""
    # Every plain URL has exactly four parts: scheme, nothing, host, rest.
    parts = pc.split_pattern(urls, "/", max_splits=3).flatten()
    first = np.arange(0, 4 * len(urls), 4)
    hosts = parts.take(pa.array(first + 2)).dictionary_encode()
    # A default port depends on the scheme, so the two are looked up together.
    secure = pc.starts_with(urls, "https").cast(pa.int32())
    pairs = pc.add(pc.multiply(hosts.indices, 2), secure).dictionary_encode()
    names = hosts.dictionary.to_pylist()
    origins = [
        f"http{'s' if pair % 2 else ''}://{names[pair // 2]}/" for pair in pairs.dictionary.to_pylist()
    ]
    origin_keys = pa.array([_origin_key(origin) for origin in origins], pa.string()).take(pairs.indices)
    rests, certain = _plain_rests(pc.ascii_lower(parts.take(pa.array(first + 3))))
    made = pc.binary_join_element_wise(origin_keys, rests, "")
    return pc.if_else(certain, made, pa.scalar(None, pa.string())), origins, pairs.indices


def _origin_key(origin: str) -> str | None:
    """The key of `scheme://host/`: by the package, unless the host is a name of plain labels."""
    match = _NAME.fullmatch(origin.lower())
    return f"{','.join(reversed(match[1].split('.')))})/" if match else key(origin)


def _plain_rests(rests: pa.StringArray) -> tuple[pa.StringArray, pa.BooleanArray]:
    """What follows host and slash in the key; false where a session id may have to be taken out."""
    asking = pc.match_substring(rests, "?")
    if not pc.any(asking).as_py():
        return pc.ascii_rtrim(rests, "/"), pa.scalar(value=True)
    halves = pc.split_pattern(rests.filter(asking), "?", max_splits=1).flatten()
    evens = np.arange(0, len(halves), 2)
    paths = pc.ascii_rtrim(halves.take(pa.array(evens)), "/")
    queries = halves.take(pa.array(evens + 1))
    sessions = pc.match_substring_regex(queries, _SESSION_WORDS)
    many = pc.match_substring(queries, "&")
    if pc.any(many).as_py():
        encoded = queries.filter(many).dictionary_encode()
        ordered = pa.array([_ordered(query) for query in encoded.dictionary.to_pylist()], pa.string())
        queries = pc.replace_with_mask(queries, many, ordered.take(encoded.indices))
    joined = pc.binary_join_element_wise(paths, queries, "?")
    # A trailing slash belongs to the path, so only rows without a query lose it here.
    whole = pc.replace_with_mask(pc.ascii_rtrim(rests, "/"), asking, joined)
    certain = pc.replace_with_mask(pa.array(np.ones(len(rests), dtype=bool)), asking, pc.invert(sessions))
    return whole, certain


def _ordered(query: str) -> str:
    """The arguments in order of name, then of value; a name alone comes before the same name with a value."""
    if len(query) <= 1:
        return query
    return "&".join("=".join(pair) for pair in sorted(tuple(part.split("=", 1)) for part in query.split("&")))
