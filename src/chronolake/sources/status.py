"""What the status of an answer means that holds nothing which was asked for, and the pause it asks for. Pure."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chronolake.capture.attempt import Outcome


def outcome_of(status: int, *, asks_for_pause: bool) -> Outcome:
    """How an attempt went whose answer holds nothing that was asked for."""
    if status == 429 or (status == 503 and asks_for_pause):
        return Outcome.THROTTLED
    if status in {401, 403, 451}:
        return Outcome.BLOCKED
    if status in {404, 410}:
        return Outcome.NOT_FOUND
    if status == 408:
        return Outcome.TIMEOUT
    if 400 <= status < 500:
        return Outcome.CLIENT_ERROR
    # None of these APIs redirects: where one does, it is another address than we think.
    return Outcome.SERVER_ERROR if status >= 500 else Outcome.MALFORMED


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3); null: none."""
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
