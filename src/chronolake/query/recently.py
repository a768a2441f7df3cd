"""How the lake stands, as it was seen a moment ago: for those who allow a lag, and come in crowds.

Each question that is not in the cache asks PostgreSQL how far the lake and its rollups are. Of fifty that come at once
one needs to: what is a fraction of a second old says so in each answer, and meets what all of them demand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Connection

from chronolake.clock import Clock, SystemClock
from chronolake.lake import RollupState, rollup_states
from chronolake.query import freshness
from chronolake.query.freshness import Demand, Freshness

#: Seconds for which it serves: under load a tenth of the time that an answer may take.
RECENT_S = 0.25


@dataclass(frozen=True)
class Seen:
    """How fresh the lake is, and its rollups."""

    fresh: Freshness
    rollups: Sequence[RollupState]


class Recently:
    """Remembers what was seen last. Thread-safe: whoever reads while another writes has the old or the new."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._last: tuple[float, Seen] | None = None

    def seen(self, demand: Demand) -> Seen | None:
        """What was seen a moment ago, where that is enough; null where somebody has to look."""
        last = self._last
        if demand.max_lag_s is None or last is None or self._clock.monotonic() - last[0] > RECENT_S:
            return None
        fresh = last[1].fresh.now()
        return None if demand.unmet(fresh) else Seen(fresh, last[1].rollups)

    def look(self, conn: Connection, fresh: Freshness) -> Seen:
        """Look at the rollups of a lake that was just found so `fresh`, and remember both.

        Where a rollup was refreshed meanwhile, its cells are in a later snapshot: then both are looked at once more.
        """
        began = self._clock.monotonic()
        seen = Seen(fresh, rollup_states(conn))
        if _is_ahead(seen):
            fresh = freshness.of_lake(conn)
            seen = Seen(fresh, rollup_states(conn))
        self._last = (began, seen)
        return seen


def _is_ahead(seen: Seen) -> bool:
    held_in = max((state.held_in or 0 for state in seen.rollups), default=0)
    return seen.fresh.snapshot_id is not None and held_in > seen.fresh.snapshot_id
