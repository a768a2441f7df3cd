"""Who brings to the lake what ingest stores in PostgreSQL, and waiting for it."""

from contextlib import AbstractContextManager
from typing import Protocol

from chronolake.errors import LakeBusy
from chronolake.oltp import Database, current_lsn
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)


class Follower(Protocol):
    """Who brings to the lake what PostgreSQL holds: the sync."""

    def following(self) -> AbstractContextManager[None]:
        """Within the block, what is stored is brought along, by this process where no other does it."""
        ...

    def reach(self, lsn: str) -> None:
        """Return once the lake has everything that was committed before `lsn`.

        Raises:
            LakeBusy: whoever brings it takes too long.
        """
        ...

    def sweep(self) -> int:
        """Remove staged files that nobody will ask for; how many."""
        ...


def reached(database: Database, follower: Follower | None) -> tuple[str, bool]:
    """Where the WAL is now that all is stored, and whether the lake has come as far."""
    with database.connection() as conn:
        lsn = current_lsn(conn)
    if follower is None:
        return lsn, False
    try:
        follower.reach(lsn)
    except LakeBusy as error:
        # Nothing is lost: whoever leads, or the next run, brings what the ledger and the slot hold.
        _log.warning("ingest.lake_behind", reason=error.message)
        return lsn, False
    return lsn, True
