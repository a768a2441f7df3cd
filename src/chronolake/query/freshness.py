"""How fresh an answer is: one round trip to PostgreSQL, whose ledger knows what the lake lacks."""

from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import Connection

from chronolake.lake import Snapshot
from chronolake.oltp import ledger


@dataclass(frozen=True)
class Freshness:
    """What an answer covers. Null is unknown; `notes` say why."""

    as_of_lsn: str | None
    as_of: datetime | None
    lag_s: float | None
    notes: tuple[str, ...] = ()


def of_postgres(lsn: str | None) -> Freshness:
    """What PostgreSQL holds: everything up to now, which is `lsn` in its WAL."""
    return Freshness(lsn, datetime.now(UTC), 0.0)


def of_snapshot(snapshot: Snapshot) -> Freshness:
    """What the lake held in a snapshot of the past."""
    note = (
        f"as_of_lsn and lag_s are unknown: this is the lake as it was in its snapshot {snapshot.snapshot_id}"
    )
    return Freshness(None, snapshot.at, None, (note,))


def of_lake(conn: Connection) -> Freshness:
    """What the lake holds now; ask before the query, so that the answer holds at least as much."""
    backlog = ledger.backlog(conn)
    if backlog.covered_lsn is None:
        note = "as_of_lsn, as_of and lag_s are unknown: the lake has not followed PostgreSQL yet"
        return Freshness(None, None, None, (note,))
    return Freshness(backlog.covered_lsn, backlog.as_of, backlog.lag_s)
