"""The loop that lets the optimizer work by itself."""

from chronolake.loop import Loop
from chronolake.query.optimizer import QueryOptimizer, Tended

#: What is asked changes from day to day, and a look costs a scan of the tables.
INTERVAL_S = 3600.0


class OptimizerTending(Loop):
    """Makes the rollups and indexes that are proposed and drops those that nobody uses, once an hour."""

    def __init__(self, *, optimizer: QueryOptimizer) -> None:
        super().__init__(interval_s=INTERVAL_S)
        self._optimizer = optimizer

    def step(self) -> Tended | None:
        """Do what is worth it now.

        Raises:
            ChronolakeError: the lake or PostgreSQL was lost; the next step may do better.
        """
        return self._optimizer.tend()
