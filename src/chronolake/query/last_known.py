"""What was known before PostgreSQL was out of reach: how fresh the lake was, and which project is which.

Without it the lake's files could not be asked for, though they are there: which snapshot is the newest, and whose id a
name is, only PostgreSQL knows.
"""

from collections.abc import Sequence

from chronolake.lake import Lake, Wanted
from chronolake.query.freshness import Demand, Freshness

#: Snapshots of the lake that are remembered: as many as have lists of files.
KEPT_SNAPSHOTS = 4
#: Projects that are.
_MOST_PROJECTS = 10_000


class LastKnown:
    """Remembers what is read anyhow. Thread-safe: whoever reads while another writes has the old or the new."""

    def __init__(self) -> None:
        self._fresh: dict[int, Freshness] = {}
        self._project_ids: dict[str, int | None] = {}

    def remember(self, fresh: Freshness) -> None:
        """The lake is so fresh now."""
        if fresh.snapshot_id is None or fresh.as_of_lsn is None:
            return
        self._fresh.pop(fresh.snapshot_id, None)
        self._fresh[fresh.snapshot_id] = fresh
        for old in list(self._fresh)[:-KEPT_SNAPSHOTS]:
            self._fresh.pop(old, None)

    def remember_projects(self, names: Sequence[str], ids: Sequence[int | None]) -> None:
        """These projects, by name or id, have these ids."""
        if len(self._project_ids) > _MOST_PROJECTS:
            self._project_ids.clear()
        self._project_ids.update(zip(names, ids, strict=True))

    def projects(self, names: Sequence[str]) -> list[int | None] | None:
        """Their ids; null where one of them was not asked about before."""
        known = self._project_ids.copy()
        return [known[name] for name in names] if all(name in known for name in names) else None

    def answerable(self, lake: Lake, wanted: Sequence[Wanted], demand: Demand) -> Freshness | None:
        """How fresh the newest snapshot is that is as fresh as demanded and can be read without the catalog."""
        for snapshot_id, known in reversed(list(self._fresh.items())):
            fresh = known.now()
            if demand.unmet(fresh) is None and lake.holds_lists(wanted, snapshot_id, fresh.laid):
                return fresh
        return None
