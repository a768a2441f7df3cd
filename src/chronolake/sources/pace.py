"""How often an archive may be asked: a least time between two requests, and the pauses that it asks for. Pure.

One request at a time, evenly spaced, is what an archive's operators see least of. Seconds are those of the wall
clock, since 1970: what one process was told holds for the next one, too.
"""

#: Seconds to wait where an archive says "too many" without saying for how long. Wayback's operators: going on
#: sooner leads to connections refused.
THROTTLED_S = 60.0
#: Longest pause that we sit out; where an archive asks for more, the work is put off instead.
LONGEST_PAUSE_S = 600.0
#: Longest pause that is believed: an hour, as a Retry-After of days is a mistake more often than a wish.
LONGEST_KEPT_S = 3600.0


def wait_s(next_at: float, now: float, interval_s: float) -> float:
    """Seconds until the next request may be sent, which is at `next_at`.

    A clock that was set back must not hold us up: beyond what any pause can ask for, the time counts as past.
    """
    wait = next_at - now
    return 0.0 if wait > LONGEST_KEPT_S + interval_s else max(0.0, wait)


def after_request(sent_at: float, interval_s: float) -> float:
    """When the next request may be sent after one that was sent at `sent_at`."""
    return sent_at + interval_s


def after_throttling(now: float, next_at: float, retry_after_s: float | None) -> float:
    """When the next request may be sent after the archive has asked for a pause."""
    pause = THROTTLED_S if retry_after_s is None else min(max(retry_after_s, 0.0), LONGEST_KEPT_S)
    return max(next_at, now + pause)
