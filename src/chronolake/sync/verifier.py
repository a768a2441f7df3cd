"""`Verifier`: now and then the lake is compared with PostgreSQL, while a door stays open."""

from chronolake.capture.columns import TABLES
from chronolake.lake import Lake
from chronolake.loop import Loop
from chronolake.sync.verify import Verdict, Verification


class Verifier(Loop):
    """Compares one table a step, so that a stop waits for one of them; the metrics say how each was found.

    It repairs nothing: a difference is an error of ours, and whoever looks into it wants to see it.
    """

    def __init__(self, verification: Verification, *, lake: Lake, interval_s: float) -> None:
        # The tables take turns, so each comes up once in `interval_s`.
        super().__init__(interval_s=max(1.0, interval_s / len(TABLES)))
        self._verification = verification
        self._lake = lake
        #: a process that has just begun has better things to do than to read everything
        self._turn = -1

    def step(self) -> Verdict | None:
        """Compare the table whose turn it is; null in the first step, and for a lake that never followed the stream.

        Raises:
            ChronolakeError: PostgreSQL or the lake failed; the next table comes at its time.
        """
        turn = self._turn
        self._turn += 1
        if turn < 0 or self._lake.stream_checkpoint() is None:
            return None
        table = list(TABLES.values())[turn % len(TABLES)]
        return self._verification.verify(table, repair=False)
