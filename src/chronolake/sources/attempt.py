"""What is kept of each request to an archive: one attempt, whatever became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chronolake.capture.attempt import Outcome


@dataclass(frozen=True)
class Attempt:
    """One request; `bytes` of the body as they were sent, `rows` null where none were read."""

    archive_source: str
    outcome: Outcome
    url: str
    requested_at: datetime
    #: 0 for the first try of a request
    retry: int
    latency_ms: float | None = None
    bytes: int | None = None
    status_code: int | None = None
    rows: int | None = None


class Recorder(Protocol):
    """Who keeps attempts."""

    def record(self, attempt: Attempt) -> None:
        """Keep it, at once: what comes next may fail."""
        ...
