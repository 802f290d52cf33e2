"""What one user may have under way at once in a process; what is more waits for its turn."""

from __future__ import annotations

import asyncio
from collections import deque

from taskbell.api import metrics
from taskbell.contract.problems import ProblemCode, Refused

WAIT_SECONDS = 5.0
"""How long a request waits for its turn."""
MOST_WAITING = 64
"""Requests of one user that wait."""


class TooManyAtOnce(Refused):
    """You have too many requests under way. Wait for some of them."""

    code = ProblemCode.RATE_LIMITED


class Slots:
    """Weights under way by user (`UUID.int`). A user's heavy requests follow each other, in the order of coming."""

    def __init__(self, *, most: int) -> None:
        """Permit each user `most`, in weights of requests. A request never weighs more than that."""
        self._most = most
        self._used: dict[int, int] = {}
        self._waiting: dict[int, deque[tuple[int, asyncio.Future[None]]]] = {}

    def take(self, user: int, weight: int) -> bool:
        """Take slots if they are free and nobody waits for them; whoever gets them gives them back by `give`."""
        # `min` would cost as much as all the rest.
        used = self._used.get(user, 0) + (weight if weight < self._most else self._most)  # noqa: FURB136 -- see above
        if used > self._most or user in self._waiting:
            return False
        self._used[user] = used
        return True

    async def wait(self, user: int, weight: int) -> None:
        """Wait for slots, and take them.

        Raises:
            TooManyAtOnce: Too many wait already, or none became free in time.
        """
        queue = self._waiting.setdefault(user, deque())
        if len(queue) >= MOST_WAITING:
            raise self._refused()
        ours = min(weight, self._most), asyncio.get_running_loop().create_future()
        queue.append(ours)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await ours[1]
        except TimeoutError:
            self._leave(user, ours)
            raise self._refused() from None
        except asyncio.CancelledError:
            self._leave(user, ours)
            raise

    def give(self, user: int, weight: int) -> None:
        """Give slots back, and let those go on who wait for them."""
        left = self._used[user] - (weight if weight < self._most else self._most)  # noqa: FURB136 -- as in `take`
        if left:
            self._used[user] = left
        else:
            del self._used[user]
        if user in self._waiting:
            self._admit(user)

    def _admit(self, user: int) -> None:
        queue = self._waiting[user]
        used = self._used.get(user, 0)
        while queue:
            weight, turn = queue[0]
            if not turn.done():  # else nobody waits for it any more
                if used + weight > self._most:
                    break
                used += weight
                turn.set_result(None)
            queue.popleft()
        if used:
            self._used[user] = used
        if not queue:
            del self._waiting[user]

    def _leave(self, user: int, ours: tuple[int, asyncio.Future[None]]) -> None:
        """Stop waiting. The turn may have come in the same moment; then the slots go back."""
        weight, turn = ours
        if not turn.cancelled():
            self.give(user, weight)
        elif user in self._waiting:
            self._admit(user)

    def _refused(self) -> TooManyAtOnce:
        metrics.REQUESTS_LIMITED.labels(reason="at_once").inc()
        return TooManyAtOnce(headers={"Retry-After": "1"})
