"""Whether a job that failed is tried again, and when. Pure; the error knows whether it helps."""

from chronolake.errors import ChronolakeError, Retry
from chronolake.settings import JobSettings

#: The longest pause between two tries, in seconds. An archive that is down for a night is asked again in the morning.
LONGEST_PAUSE_S = 3600.0


def pause_before(error: ChronolakeError, failures: int, settings: JobSettings) -> float | None:
    """The seconds after which a job that failed for the `failures`-th time in a row is tried again; null: it is not.

    They double from failure to failure. Where the error says how long it takes (`wait_s`), no try comes before.
    """
    if error.retry is not Retry.LATER or failures >= settings.tries:
        return None
    pause_s: float = min(LONGEST_PAUSE_S, settings.backoff_s * 2.0 ** (failures - 1))
    told_s = error.facts.get("wait_s")
    return max(pause_s, float(told_s)) if isinstance(told_s, float | int) else pause_s


class TryAgain(Exception):
    """The job is to be run again after `pause_s` seconds; `cause` is why, null where nothing failed."""

    def __init__(self, pause_s: float, cause: ChronolakeError | None = None) -> None:
        super().__init__(f"again in {pause_s:g} s")
        self.pause_s = pause_s
        self.cause = cause


class GivenUp(Exception):
    """The job has failed for good, as the task that knows its work decided; `cause` is why."""

    def __init__(self, cause: ChronolakeError) -> None:
        super().__init__(cause.message)
        self.cause = cause
