"""What a query wants of the columnar index: a range of URL keys, a range of times, and filters. Pure.

Keys are what index servers look things up by, so the same keys belong to a query here as there. The key of a host
is `com,example)`; of hosts below it, `com,example,www)`. As `)` sorts before `,` and nothing of a host's name does,
a domain is one range of keys.
"""

from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from chronolake.capture import surt
from chronolake.errors import ArchiveQueryInvalid
from chronolake.sources.query import Filter, Match, Query

KEY, URL, TIME = "url_surtkey", "url", "fetch_time"
#: What the index calls the fields of a filter.
_FILTERED = {"url": URL, "mime": "content_mime_type", "status": "fetch_status", "digest": "content_digest"}


@dataclass(frozen=True)
class _Kept:
    """A filter over a column of the index."""

    column: str
    pattern: str
    negated: bool

    def matches(self, values: pa.Array) -> pa.BooleanArray:
        """Which values it keeps; one that is missing is an empty text, as index servers have it."""
        encoded = pc.fill_null(pc.cast(values, pa.string()), "").dictionary_encode()
        fits = pc.match_substring_regex(encoded.dictionary, self.pattern)
        return (pc.invert(fits) if self.negated else fits).take(encoded.indices)


@dataclass(frozen=True)
class Wanted:
    """Keys from `first` to before `beyond`, null: open; times in microseconds since 1970, both inclusive."""

    first: str
    beyond: str | None
    times: tuple[int | None, int | None]
    filters: tuple[_Kept, ...]

    @classmethod
    def of(cls, query: Query) -> Self:
        """What the query wants.

        Raises:
            ArchiveQueryInvalid: its URL has no key, a filter is no regular expression, or it is to be collapsed.
        """
        if query.collapse is not None:
            raise ArchiveQueryInvalid(
                "only the Wayback CDX API collapses captures", hint="Leave --collapse out."
            )
        first, beyond = _keys(query)
        return cls(first, beyond, query.bounds, tuple(map(_kept, query.filters)))

    @property
    def filtered(self) -> list[str]:
        """The columns that the filters look at, each once."""
        return list(dict.fromkeys(kept.column for kept in self.filters))

    def may_hold_keys(self, least: bytes, most: bytes) -> bool:
        """Whether a wanted key may lie between two keys, or between what is less and more than them."""
        return most >= self.first.encode() and (self.beyond is None or least < self.beyond.encode())

    def may_hold_times(self, least: int, most: int) -> bool:
        """Whether a wanted time may lie between two times in microseconds since 1970."""
        first, last = self.times
        return (first is None or most >= first) and (last is None or least <= last)

    def matches_key(self, keys: pa.Array) -> pa.BooleanArray:
        """Which keys are wanted."""
        keys = pc.cast(keys, pa.string())
        found = pc.greater_equal(keys, self.first)
        if self.beyond is not None:
            found = pc.and_(found, pc.less(keys, self.beyond))
        return pc.fill_null(found, fill_value=False)


def _keys(query: Query) -> tuple[str, str | None]:
    """The first key that the query wants, and the first one beyond them."""
    key = surt.key(query.url)
    if key is None:
        raise ArchiveQueryInvalid(f"{query.url} has no URL key", hint="Write example.com, or a whole URL.")
    host = key.partition(")")[0]
    match query.match:
        case Match.EXACT:
            return key, f"{key}\0"
        case Match.PREFIX:
            # The key leaves out a slash at the end, which whoever wrote it meant.
            key += "/" if query.url.endswith("/") and not key.endswith("/") else ""
            return key, _beyond(key)
        case Match.HOST:
            return f"{host})", _beyond(f"{host})")
        case Match.DOMAIN:
            return f"{host})", _beyond(f"{host},")


def _beyond(prefix: str) -> str | None:
    """The first text after all that begin with `prefix`; null where its last character has none after it."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix[-1] < "\x7f" else None


def _kept(filter_: Filter) -> _Kept:
    # Those of RE2 take a time that grows with the text alone; Python's would let a pattern of a stranger run for ever.
    pattern = rf"\A(?s:{filter_.pattern})\z"
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        hint = "RE2 is what they are written in: no references back, and no looking around."
        raise ArchiveQueryInvalid(f"{filter_} is no regular expression: {error}", hint=hint) from None
    return _Kept(_FILTERED[filter_.field], pattern, filter_.negated)
