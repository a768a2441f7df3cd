"""What an archive is asked for, in our words; each source writes it in its archive's own. Pure."""

import calendar
import re
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

from chronolake.capture import timestamp
from chronolake.errors import ArchiveQueryInvalid

_TIME = re.compile(r"[0-9]{4}(?:[0-9]{2}){0,5}")
_FILTER = re.compile(r"(!?)([a-z]+):(.+)", re.DOTALL)
#: What a filter can look at; the sources know what their archive calls it.
FILTER_FIELDS = ("url", "mime", "status", "digest")


class Match(StrEnum):
    """How much of the web a query is about. The words are those of every CDX server."""

    EXACT = "exact"  #: this URL
    PREFIX = "prefix"  #: every URL that begins so
    HOST = "host"  #: every URL of this host
    DOMAIN = "domain"  #: every URL of this host and of those below it


@dataclass(frozen=True)
class Filter:
    """Keeps captures whose `field` matches the regular expression as a whole; `negated`, the others."""

    field: str
    pattern: str
    negated: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `status:200` or `!mime:image/.*`.

        Raises:
            ArchiveQueryInvalid: it is no filter, or its field is unknown.
        """
        found = _FILTER.fullmatch(text)
        if found is None or found[2] not in FILTER_FIELDS:
            hint = f"Write it as status:200 or !mime:image/.*, with one of {', '.join(FILTER_FIELDS)}."
            raise ArchiveQueryInvalid(f"{text} is no filter", hint=hint)
        return cls(found[2], found[3], negated=bool(found[1]))

    def __str__(self) -> str:
        return f"{'!' if self.negated else ''}{self.field}:{self.pattern}"


@dataclass(frozen=True)
class Query:
    """Captures of `url`, by `match`, from `start` to `end`, both inclusive; made by `Query.parse`."""

    url: str
    match: Match
    #: 14 digits; null: open
    start: str | None = None
    end: str | None = None
    filters: tuple[Filter, ...] = ()
    #: `field` or `field:digits`: of adjacent captures that agree in it the archive gives the first
    collapse: str | None = None

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        match: Match = Match.DOMAIN,
        start: str | None = None,
        end: str | None = None,
        filters: tuple[str, ...] = (),
        collapse: str | None = None,
    ) -> Self:
        """Read what a person writes: `example.com`, `*.example.com`, `example.com/news/*`; times of 4 to 14 digits.

        Raises:
            ArchiveQueryInvalid: there is no host in it, or a time or filter cannot be read.
        """
        url = text.strip()
        if url.startswith("*."):
            url, match = url[2:], Match.DOMAIN
        elif url.endswith("*"):
            url, match = url[:-1], Match.PREFIX
        query = cls(
            url=url,
            match=match,
            start=_bound(start, last=False),
            end=_bound(end, last=True),
            filters=tuple(map(Filter.parse, filters)),
            collapse=collapse,
        )
        if not query.host or re.search(r"[\s\x00-\x1f]", url):
            raise ArchiveQueryInvalid(f"{text!r} names no host", hint="Write example.com, or a whole URL.")
        if query.start and query.end and query.start > query.end:
            raise ArchiveQueryInvalid(f"the range begins at {query.start}, after its end {query.end}")
        return query

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """The query that `document` was made of."""
        values = {field.name: document[field.name] for field in fields(cls)}
        filters = tuple(map(Filter.parse, values.pop("filters")))
        return cls(**values | {"match": Match(values["match"]), "filters": filters})

    def document(self) -> dict[str, Any]:
        """The query as JSON; equal queries give equal documents."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"match": self.match.value, "filters": list(map(str, self.filters))}

    @property
    def host(self) -> str:
        """The host it is about, lower case; empty where there is none."""
        try:
            return (urlsplit(self.url if "://" in self.url else f"//{self.url}").hostname or "").lower()
        except ValueError:
            return ""

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """First and last microsecond of the range since 1970, null where it is open.

        A capture's second is all that most indexes know, so the last second belongs to the range to its end.
        """
        return _micros(self.start, 0), _micros(self.end, 999_999)


def span(start: str | None, end: str | None) -> tuple[datetime | None, datetime | None]:
    """First and last instant that two times of 4 to 14 digits mean, UTC without a zone; null where one is open.

    Raises:
        ArchiveQueryInvalid: one is no time.
    """
    first, last = _micros(_bound(start, last=False), 0), _micros(_bound(end, last=True), 999_999)
    return _instant(first), _instant(last)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else datetime(1970, 1, 1) + timedelta(microseconds=micros)  # noqa: DTZ001  # UTC


def _micros(time: str | None, more: int) -> int | None:
    parsed = timestamp.parse(time) if time else None
    return None if parsed is None else parsed.micros + more


def _bound(text: str | None, *, last: bool) -> str | None:
    """A time of 4 to 14 digits as 14: its first second, or its last."""
    if text is None:
        return None
    digits = re.sub(r"[-:TZ ]", "", text)
    if not _TIME.fullmatch(digits):
        raise ArchiveQueryInvalid(
            f"{text} is no time", hint="Write 2014, 201405, 2014-05-31 or up to 14 digits."
        )
    if last:
        if len(digits) == 4:
            digits += "12"
        if len(digits) == 6 and 1 <= int(digits[4:]) <= 12:
            digits += f"{calendar.monthrange(int(digits[:4]) or 4, int(digits[4:]))[1]}"
        digits += "00000000235959"[len(digits) :]
    else:
        digits += "00000101000000"[len(digits) :]
    parsed = timestamp.parse(digits)
    if parsed is None or parsed.repaired:
        raise ArchiveQueryInvalid(f"{text} is no time", hint="Check its month, day and hour.")
    return digits
