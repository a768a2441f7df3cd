"""How many requests the event loop begins before it looks after what is waiting to be sent.

The loop serves in the order of arrival, and each answer from the cache takes a part of a millisecond. A crowd that asks
again at once fills each round of the loop with such, and an answer that a thread has computed needs two more rounds to
be sent: behind fifty others it waited longer than it was computed. So rounds are kept short: what waits to begin
waits here, and what is ready goes past it.
"""

import asyncio
from collections import deque

#: Requests that are begun in one round: some of them share its cost, and it is over within about a millisecond.
PER_ROUND = 4


class Rounds:
    """Lets `per_round` through in each round of the event loop, in the order in which they came. For one loop."""

    def __init__(self, per_round: int = PER_ROUND) -> None:
        self._per_round = per_round
        self._left = per_round
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_due = False

    async def turn(self) -> None:
        """Return when it is this one's turn, at once where this round has room."""
        loop = asyncio.get_running_loop()
        if not self._is_due:
            self._is_due = True
            self._left = self._per_round
            loop.call_soon(self._next_round, loop)
        if self._left and not self._waiting:
            self._left -= 1
            return
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _next_round(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._per_round
        while self._left and self._waiting:
            waiting = self._waiting.popleft()
            # Who was cancelled meanwhile needs no turn.
            if not waiting.done():
                waiting.set_result(None)
                self._left -= 1
        self._is_due = bool(self._waiting)
        if self._is_due:
            loop.call_soon(self._next_round, loop)
