"""The loop that keeps rollups true while their tables change."""

from chronolake.lake.lake import Lake
from chronolake.lake.rollups import Refreshed
from chronolake.loop import Loop
from chronolake.settings import Settings
from chronolake.telemetry import metrics

#: Seconds between two looks while rows keep coming.
LEAST_INTERVAL_S = 2.0
#: A round is followed by a pause of so many times as long: most of the engine's time is for those who ask.
REST = 5.0
#: One rollup rests so many times as long as it took: those that take long keep no cheap one from being fresh.
REST_OF_ONE = 20.0


class RollupUpkeep(Loop):
    """Computes anew the cells of rollups whose rows came or went.

    It looks again after LEAST_INTERVAL_S while there is work, and ever more seldom while there is none, up to
    DATA_SYNC_INTERVAL.
    """

    def __init__(self, *, lake: Lake, settings: Settings) -> None:
        super().__init__(interval_s=min(LEAST_INTERVAL_S, settings.sync.interval_s))
        self._longest_s = settings.sync.interval_s
        self._rollups = lake.rollups()

    def step(self) -> list[Refreshed]:
        """Refresh what is not true any more.

        Raises:
            LakeUnavailable: the catalog was lost.
        """
        done = self._rollups.refresh_all(rest=REST_OF_ONE)
        spent_s = sum(refreshed.seconds for refreshed in done)
        metrics.ROLLUP_CELLS.inc(sum(refreshed.cells for refreshed in done))
        metrics.ROLLUP_SECONDS.inc(spent_s)
        states = self._rollups.states()
        metrics.ROLLUPS.labels(state="current").set(sum(state.current for state in states))
        metrics.ROLLUPS.labels(state="behind").set(sum(not state.current for state in states))
        least_s = min(max(LEAST_INTERVAL_S, REST * spent_s), self._longest_s)
        self.interval_s = least_s if done else min(max(2 * self.interval_s, least_s), self._longest_s)
        return done
