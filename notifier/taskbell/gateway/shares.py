"""Fair shares of the replays that a gateway serves at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NoShare(Exception):
    """No replay ended in time: the user, or the gateway, has too many under way."""


class ReplayShares:
    """Admits replays: a bounded number in all and for each user. Who comes first is first, except past their share."""

    def __init__(self, *, at_most: int, per_user: int, patience: float) -> None:
        """Take how many may be under way in all and for a user, and for how many seconds one waits for its turn."""
        self._at_most = at_most
        self._per_user = per_user
        self._patience = patience
        self._serving: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @property
    def under_way(self) -> int:
        """How many replays have a share."""
        return self._serving.total()

    @asynccontextmanager
    async def held(self, user_id: str) -> AsyncIterator[None]:
        """Hold a share of a user's for the length of the block.

        Raises:
            NoShare: None was free in time.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((user_id, turn))
        self._admit()
        try:
            try:
                async with asyncio.timeout(self._patience):
                    await turn
            except TimeoutError:
                raise NoShare from None
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._serving[user_id] -= 1
                if not self._serving[user_id]:
                    del self._serving[user_id]
                self._admit()
            else:
                self._waiting.remove((user_id, turn))

    def _admit(self) -> None:
        """Give free shares to those who wait, in their order."""
        if self.under_way >= self._at_most:
            return
        for user_id, turn in list(self._waiting):
            if self.under_way >= self._at_most:
                return
            if self._serving[user_id] < self._per_user and not turn.done():
                self._waiting.remove((user_id, turn))
                self._serving[user_id] += 1
                turn.set_result(None)
