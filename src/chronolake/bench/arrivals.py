"""What a server's own record of its requests proves about the manners of whoever asked. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chronolake.testing.archive import Asked
from chronolake.testing.archive_faults import SHORT_PAUSE_S, Fault

MINUTE_S = 60.0
#: Seconds by which a request may be seen early: the one before it, from which the pause counts, took as long to come.
SEEN_EARLY_S = 0.005


@dataclass(frozen=True)
class Arrivals:
    """How requests came. `most_in_...`: in a second of the wall clock, and within any stretch of 1 and 60 seconds.

    `shortest_pause_s` is the least time from an answer that asked for a pause of `SHORT_PAUSE_S` to the next request;
    null where none did, or none came after it.
    """

    requests: int
    most_at_once: int
    most_in_a_clock_second: int
    most_in_any_second: int
    most_in_any_minute: int
    shortest_gap_ms: float
    pauses_asked_for: int
    shortest_pause_s: float | None


def arrivals_of(asked: Sequence[Asked], most_at_once: int) -> Arrivals:
    """What a record of requests, in the order in which they came, says; `most_at_once` were being answered."""
    times = [one.at for one in asked]
    pauses = [after.at - before.at for before, after in pairwise(asked) if before.fault is Fault.SHORT_PAUSE]
    gaps = [after - before for before, after in pairwise(times)]
    return Arrivals(
        requests=len(asked),
        most_at_once=most_at_once,
        most_in_a_clock_second=max(Counter(one.second for one in asked).values(), default=0),
        most_in_any_second=most_within(times, 1.0),
        most_in_any_minute=most_within(times, MINUTE_S),
        shortest_gap_ms=round(1000 * min(gaps, default=0.0), 2),
        pauses_asked_for=len(pauses),
        shortest_pause_s=round(min(pauses), 3) if pauses else None,
    )


def most_within(times: Sequence[float], window_s: float) -> int:
    """The most of `times`, in ascending order, that lie within any `window_s` seconds, its end left out."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def broken_manners(found: Arrivals, per_minute: float) -> list[str]:
    """Which manners were not kept, in words."""
    said: list[str] = []
    if found.most_at_once > 1:
        said.append(f"{found.most_at_once} requests were under way at once")
    if found.most_in_any_minute > per_minute:
        said.append(f"{found.most_in_any_minute} requests came within a minute, of {per_minute:.0f} allowed")
    per_second = per_minute / MINUTE_S
    # A second is a short time: of requests evenly spaced, the first and the last may both just lie in it.
    if found.most_in_any_second > per_second + 1:
        said.append(f"{found.most_in_any_second} requests came within a second, of {per_second:.0f} allowed")
    if found.shortest_pause_s is not None and found.shortest_pause_s < SHORT_PAUSE_S - SEEN_EARLY_S:
        said.append(f"after a pause of {SHORT_PAUSE_S} s was asked for, {found.shortest_pause_s} s were kept")
    return said
