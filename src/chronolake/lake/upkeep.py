"""The loop that keeps rollups true while their tables change."""

from collections.abc import Callable, Collection

from chronolake.lake.lake import Lake
from chronolake.lake.rollup import RollupState
from chronolake.lake.rollups import Refreshed
from chronolake.loop import Loop
from chronolake.settings import Settings
from chronolake.telemetry import metrics

#: Seconds between two looks while rows keep coming.
LEAST_INTERVAL_S = 2.0
#: A round is followed by a pause of so many times as long, and of so many seconds at most. It gives way to those who
#: ask, so that a longer one would take more from them than it gives: rollups that are too far behind do not answer.
REST, LONGEST_REST_S = 2.0, 5.0
#: One rollup rests so many times as long as it took: those that take long keep no cheap one from being fresh. Beside a
#: crowd most of that was giving way, so those that are read rest no longer than half of the lag that dashboards allow.
REST_OF_ONE, LONGEST_REST_OF_READ_S = 20.0, 30.0


class RollupUpkeep(Loop):
    """Computes anew the cells of rollups whose rows came or went.

    It looks again after LEAST_INTERVAL_S while there is work, and ever more seldom while there is none, up to
    DATA_SYNC_INTERVAL. `read` tells the names of those that answers were read from of late.
    """

    def __init__(self, *, lake: Lake, settings: Settings, read: Callable[[], Collection[str]]) -> None:
        super().__init__(interval_s=min(LEAST_INTERVAL_S, settings.sync.interval_s), gives_way=True)
        self._longest_s = settings.sync.interval_s
        self._rollups = lake.rollups(in_background=True)
        self._read = read

    def step(self) -> list[Refreshed]:
        """Refresh what is not true any more.

        Raises:
            LakeUnavailable: the catalog was lost.
            DatabaseError: nobody can tell what was read.
        """
        read = self._read()

        def rest_s(state: RollupState) -> float:
            longest_s = LONGEST_REST_OF_READ_S if state.rollup.name in read else self._longest_s
            return min(REST_OF_ONE * (state.seconds or 0.0), longest_s)

        done = self._rollups.refresh_all(rest_s)
        spent_s = sum(refreshed.seconds for refreshed in done)
        metrics.ROLLUP_CELLS.inc(sum(refreshed.cells for refreshed in done))
        metrics.ROLLUP_SECONDS.inc(spent_s)
        states = self._rollups.states()
        metrics.ROLLUPS.labels(state="current").set(sum(state.current for state in states))
        metrics.ROLLUPS.labels(state="behind").set(sum(not state.current for state in states))
        least_s = min(max(LEAST_INTERVAL_S, min(REST * spent_s, LONGEST_REST_S)), self._longest_s)
        self.interval_s = least_s if done else min(max(2 * self.interval_s, least_s), self._longest_s)
        return done
