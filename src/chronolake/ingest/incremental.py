"""What a run that only wants what is new has to ask for. Pure.

First what earlier sessions were to bring and did not: each of those that did not come to their end goes on where it
stands, so that no gap is left between what one had brought and where the next one begins. Then what is newer than all
that has come, from a little before it, for archives index late, and not in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from chronolake.capture.session import Wanted
from chronolake.oltp.sessions import ScrapeSession
from chronolake.sources.query import Query


@dataclass(frozen=True)
class Plan:
    """Sessions to go on with, oldest first, and the query of a new one; null: another reaches as far."""

    resume: tuple[int, ...]
    begin: Query | None


def plan(query: Query, unended: Sequence[ScrapeSession], reach: datetime | None, overlap: timedelta) -> Plan:
    """What to ask for where `unended` sessions ask the same, and the latest capture of those that ended is `reach`.

    Those that go on bring their own ranges, so a new one begins after these, too. Each of them has an end of its own.
    """
    resumed = [session for session in unended if session.wanted == Wanted.RUN]
    resume = tuple(session.session_id for session in resumed)
    if any(session.query["end"] == query.end for session in unended):
        return Plan(resume, None)
    start = query.start
    reaches = [*([reach] if reach is not None else []), *map(_reach_of, resumed)]
    if reaches:
        since = f"{max(reaches) - overlap:%Y%m%d%H%M%S}".zfill(14)
        start = since if start is None else max(start, since)
    if start is not None and query.end is not None and start > query.end:
        return Plan(resume, None)
    return Plan(resume, replace(query, start=start))


def _reach_of(session: ScrapeSession) -> datetime:
    """The end of an unended session's range; nothing is newer than when it was asked for."""
    asked_at, end = session.created_at, session.query["end"]
    if end is not None:
        asked_at = min(asked_at, datetime.strptime(end, "%Y%m%d%H%M%S").replace(tzinfo=UTC))
    return asked_at.astimezone(UTC).replace(tzinfo=None)
