"""What both stores and the ledger say after `bench collect`, beside what the archive holds and how it answered."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import LiteralString

from chronolake.bench.faulty_archive import title_of, url_of
from chronolake.capture.attempt import Outcome
from chronolake.oltp import Database
from chronolake.testing.archive import WebArchive
from chronolake.testing.archive_faults import told_as

#: A stored thing, by all that tells it apart.
Thing = tuple[str, ...]
_CAPTURES = "SELECT url, to_char(timestamp, 'YYYYMMDDHH24MISS'), digest FROM cdx_records"
_PAGES = "SELECT url, title, payload_digest FROM pages WHERE NOT truncated"
_ATTEMPTS = "SELECT url, outcome FROM archive_request_attempts ORDER BY id"
#: Milliseconds from each request to the next, as whoever asked kept them.
_GAPS = """
SELECT min(1000 * extract(epoch FROM gap))::double precision FROM (
    SELECT requested_at - lag(requested_at) OVER (ORDER BY id) AS gap
    FROM archive_request_attempts WHERE outcome <> 'not_sent'
) AS gaps
"""


@dataclass(frozen=True)
class Request:
    """One request by path and query, and how it went."""

    target: str
    outcome: Outcome

    @property
    def payload(self) -> bool:
        """Whether it was for a payload, not for a page of the index."""
        return _is_payload(self.target)


@dataclass(frozen=True)
class Count:
    """Of so many expected things so many rows are `stored`, `missing` things have none, `doubled` rows are second ones.

    What is stored and was not expected counts as missing, too: it stands where something else should.
    """

    expected: int
    stored: int
    missing: int
    doubled: int


def answered(archive: WebArchive) -> list[Request]:
    """The requests as the archive took and answered them."""
    return [
        Request(asked.target, told_as(asked.fault, payload=_is_payload(asked.target)))
        for asked in archive.asked
    ]


def ledger(database: Database, base: str) -> list[Request]:
    """The requests as they were kept, those that were not sent among them."""
    with database.connection() as conn:
        rows = conn.execute(_ATTEMPTS).fetchall()
    return [Request(url.removeprefix(base), Outcome(outcome)) for url, outcome in rows]


def told_otherwise(sent: Sequence[Request], came: Sequence[Request]) -> int:
    """At how many places, one request after the other, the two lists differ."""
    return sum(one != other for one, other in zip(sent, came, strict=False)) + abs(len(sent) - len(came))


def shortest_gap_ms(database: Database) -> float | None:
    """The least time from one request to the next, by the ledger; null of fewer than two."""
    with database.connection() as conn:
        row = conn.execute(_GAPS).fetchone()
    return None if row is None or row[0] is None else round(row[0], 2)


def captures_of(archive: WebArchive, database: Database) -> Count:
    """The captures in PostgreSQL beside those that the archive has."""
    return _counted(
        ((made.url, made.timestamp, made.digest) for made in archive.captures), database, _CAPTURES
    )


def pages_of(archive: WebArchive, database: Database) -> Count:
    """The pages in PostgreSQL beside those that the archive's payloads hold, each with its own title."""
    expected = (
        (url_of(number), title_of(number), made.digest) for number, made in enumerate(archive.captures)
    )
    return _counted(expected, database, _PAGES)


def _counted(expected: Iterable[Thing], database: Database, statement: LiteralString) -> Count:
    wanted = set(expected)
    with database.connection() as conn:
        held = Counter(conn.execute(statement).fetchall())
    return Count(
        expected=len(wanted),
        stored=held.total(),
        missing=len(wanted - held.keys()) + len(held.keys() - wanted),
        doubled=held.total() - len(held),
    )


def _is_payload(target: str) -> bool:
    return target.startswith("/web/")
