"""How fresh an answer is: one round trip to PostgreSQL, which knows how far the lake is and what it lacks."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from psycopg import Connection

from chronolake.errors import DecodeError, ParameterInvalid
from chronolake.lake import Snapshot
from chronolake.lsn import parse_lsn
from chronolake.oltp import ledger


@dataclass(frozen=True)
class Freshness:
    """What an answer covers. Null is unknown; `notes` say why. `snapshot_id` is the lake's, null for PostgreSQL.

    `is_exact` says of an answer that it is of that snapshot and of no later one, as it may be else.

    `schema_version`, `catalog` and `changed` tell which state a table is in: see `of_tables`. `laid_in` has by
    table the snapshot that changed its files last, null where nobody noted that: see `laid`.
    """

    as_of_lsn: str | None
    as_of: datetime | None
    lag_s: float | None
    notes: tuple[str, ...] = ()
    snapshot_id: int | None = None
    schema_version: int | None = None
    catalog: int | None = None
    changed: Mapping[str, int] = field(default_factory=dict)
    laid_in: Mapping[str, int | None] = field(default_factory=dict)
    is_exact: bool = False

    def now(self) -> "Freshness":
        """The same, told now: as far behind as it has become by then."""
        if self.as_of is None:
            return self
        lag_s = max(0.0, (datetime.now(UTC) - self.as_of).total_seconds())
        return replace(self, lag_s=round(lag_s, 3))

    def of_tables(self, names: Collection[str]) -> "State | None":
        """Which state these tables are in: while it stays the same, so does every answer from them. Null: unknown."""
        if self.snapshot_id is None or self.schema_version is None or self.catalog is None:
            return None
        newest = max((self.changed.get(name, 0) for name in names), default=0)
        return State(newest, self.schema_version, self.catalog)

    def laid(self, name: str) -> "State | None":
        """Which files a table has: while it stays the same, so do they, merges counted. Null: unknown."""
        laid_in = self.laid_in.get(name)
        if laid_in is None or self.schema_version is None or self.catalog is None:
            return None
        return State(laid_in, self.schema_version, self.catalog)


class State(NamedTuple):
    """The newest snapshot that changed rows of any of some tables, the version of all tables' columns, and the catalog.

    What else a lake takes in, and how it lays rows down, changes none of these. A lake that is made anew counts its
    snapshots from the first again, in a catalog of another number.
    """

    changed_in: int
    schema_version: int
    catalog: int


@dataclass(frozen=True)
class Demand:
    """How fresh an answer has to be. Null is no demand.

    `min_lsn`: it holds all that was committed before this LSN, as whoever wrote and wants to read it back asks.
    `max_lag_s`: it is at most so many seconds behind PostgreSQL.
    """

    min_lsn: int | None = None
    max_lag_s: float | None = None

    @classmethod
    def read(cls, min_lsn: object, max_lag_s: object) -> "Demand":
        """What a caller wrote; null is no demand.

        Raises:
            ParameterInvalid: it is no LSN, or no number of seconds.
        """
        return cls(
            None if min_lsn is None else _lsn(str(min_lsn)),
            None if max_lag_s is None else _seconds(str(max_lag_s)),
        )

    def unmet(self, fresh: Freshness) -> str | None:
        """What is not met, in words; None where all is."""
        if self.min_lsn is not None and (fresh.as_of_lsn is None or _lsn(fresh.as_of_lsn) < self.min_lsn):
            return f"the lake is at {fresh.as_of_lsn or 'no LSN'}, a later one was asked for"
        if self.max_lag_s is not None and (fresh.lag_s is None or fresh.lag_s > self.max_lag_s):
            behind = "an unknown time" if fresh.lag_s is None else f"{fresh.lag_s:g} s"
            return f"the lake is {behind} behind, {self.max_lag_s:g} s are allowed"
        return None


def _lsn(text: str) -> int:
    try:
        return parse_lsn(text)
    except DecodeError:
        raise ParameterInvalid(
            f"min_lsn={text[:200]!r} is no LSN",
            hint="Write it as PostgreSQL does: 0/1A2B3C8",
            parameter="min_lsn",
        ) from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ParameterInvalid(f"max_lag={text[:200]!r} is no number of seconds", parameter="max_lag")
    return seconds


def of_postgres(lsn: str | None) -> Freshness:
    """What PostgreSQL holds: everything up to now, which is `lsn` in its WAL."""
    return Freshness(lsn, datetime.now(UTC), 0.0)


def of_snapshot(snapshot: Snapshot) -> Freshness:
    """What the lake held in a snapshot of the past."""
    note = (
        f"as_of_lsn and lag_s are unknown: this is the lake as it was in its snapshot {snapshot.snapshot_id}"
    )
    return Freshness(None, snapshot.at, None, (note,), snapshot.snapshot_id)


def of_lake(conn: Connection) -> Freshness:
    """What the lake holds now; ask before the query, so that the answer holds at least as much."""
    backlog = ledger.backlog(conn)
    if backlog.covered_lsn is None:
        note = "as_of_lsn, as_of and lag_s are unknown: the lake has not followed PostgreSQL yet"
        return Freshness(None, None, None, (note,))
    return Freshness(
        backlog.covered_lsn,
        backlog.as_of,
        backlog.lag_s,
        snapshot_id=backlog.snapshot_id,
        schema_version=backlog.schema_version,
        catalog=backlog.catalog,
        changed=backlog.changed,
        laid_in=backlog.laid_in,
    )
