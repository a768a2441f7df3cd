"""What comes by the clock, once for each minute however many workers there are."""

from datetime import UTC, datetime

from chronolake.jobs.exporting import ExportTask
from chronolake.jobs.scheduling import Schedules

#: When a worker looks what is due. The finest that a schedule can say is a minute.
EACH_MINUTE = "* * * * *"


class Upkeep:
    """Does what is due."""

    def __init__(self, *, schedules: Schedules, exports: ExportTask) -> None:
        self._schedules = schedules
        self._exports = exports

    def run(self, timestamp: int) -> None:
        """Do what is due at the tick of `timestamp`, in Unix time; once more does nothing more."""
        self._schedules.tick()
        if datetime.fromtimestamp(timestamp, UTC).minute == 0:
            self._exports.tidy()
