"""Whose turn it is: tenants that wait are served by weighted round-robin, each within bounds of its own. Pure.

Every tenant has a queue. The next place goes to the tenant that has had the least so far, measured by its weight; one
that comes anew begins where the others are, so that nobody saves up turns by asking nothing. No clock and no lock:
`workers` has both.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Full(StrEnum):
    """Why there is no room; labels the metric."""

    QUEUE = "queue"  #: as many wait as may, whosever they are
    TENANT = "tenant"  #: as many of this tenant wait as may


@dataclass(frozen=True)
class Bounds:
    """How many may run and wait, in all and of one tenant."""

    running: int
    waiting: int
    running_of_one: int
    waiting_of_one: int


@dataclass
class _Tenant(Generic[T]):
    waiting: deque[T] = field(default_factory=deque)
    running: int = 0
    #: what it has had, in turns by its weight
    had: float = 0.0


class Turns(Generic[T]):
    """What waits, by tenant, and how much of each runs."""

    def __init__(self, bounds: Bounds, weight: Callable[[Hashable], float] = lambda _: 1.0) -> None:
        self._bounds = bounds
        self._weight = weight
        self._tenants: dict[Hashable, _Tenant[T]] = {}
        #: what the tenant that was served last had had by then
        self._now = 0.0
        self.waiting = 0
        self.running = 0

    def full(self, tenant: Hashable) -> Full | None:
        """Why one more of this tenant finds no room; null where it does.

        What could begin at once takes no room of the queue.
        """
        held = self._tenants.get(tenant, _Tenant[T]())
        # Of what waits, as much as there are free places is about to run.
        free = min(
            max(0, self._bounds.running - self.running), max(0, self._bounds.running_of_one - held.running)
        )
        if len(held.waiting) >= self._bounds.waiting_of_one + free:
            return Full.TENANT
        if self.waiting >= self._bounds.waiting + free:
            return Full.QUEUE
        return None

    def put(self, tenant: Hashable, item: T) -> None:
        """Let it wait, behind whatever of its tenant waits."""
        held = self._tenants.setdefault(tenant, _Tenant[T]())
        if not held.waiting:
            held.had = max(held.had, self._now)
        held.waiting.append(item)
        self.waiting += 1

    def take(self) -> tuple[Hashable, T] | None:
        """What runs next, and whose it is: from now on it counts as running. Null where nothing may run."""
        if self.running >= self._bounds.running:
            return None
        ready = [
            (held.had, held.running, number, name)
            for number, (name, held) in enumerate(self._tenants.items())
            if held.waiting and held.running < self._bounds.running_of_one
        ]
        if not ready:
            return None
        had, _, _, name = min(ready, key=lambda found: found[:3])
        held = self._tenants[name]
        self._now = had
        held.had = had + 1 / self._weight(name)
        held.running += 1
        self.waiting -= 1
        self.running += 1
        return name, held.waiting.popleft()

    def done(self, tenant: Hashable) -> None:
        """What ran of that tenant has ended."""
        held = self._tenants[tenant]
        held.running -= 1
        self.running -= 1
        self._forget()

    def drop(self, tenant: Hashable, item: T) -> bool:
        """Let go of what waits; whether it still did."""
        held = self._tenants.get(tenant)
        if held is None or item not in held.waiting:
            return False
        held.waiting.remove(item)
        self.waiting -= 1
        self._forget()
        return True

    def clear(self) -> list[T]:
        """Let go of all that waits, and return it."""
        dropped = [item for held in self._tenants.values() for item in held.waiting]
        for held in self._tenants.values():
            held.waiting.clear()
        self.waiting = 0
        self._forget()
        return dropped

    def _forget(self) -> None:
        # What a tenant had counts on while others wait: else one that asks for one thing at a time were always next.
        # Where nobody waits it is forgotten, or it would be held against it that nobody else was there.
        for name, held in list(self._tenants.items()):
            if not held.waiting and not held.running and (held.had <= self._now or not self.waiting):
                del self._tenants[name]
