"""The loop that brings to the lake what an ingest left in the ledger when it died."""

from chronolake.ingest.committer import Carried, Committer
from chronolake.loop import Loop


class LedgerCarrier(Loop):
    """Carries pending ledger batches every DATA_SYNC_INTERVAL seconds, while `serve` runs."""

    def __init__(self, *, committer: Committer, interval_s: float) -> None:
        super().__init__(interval_s=interval_s)
        self._committer = committer

    def step(self) -> Carried:
        """Carry what is pending; nothing pending is nothing done."""
        return self._committer.carry()
