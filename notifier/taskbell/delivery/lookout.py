"""Finds the queues with something due, in bounded work, however much waits for one receiver."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from taskbell.delivery.shares import Queue, QueueKey

_OLDEST = 500
_STEPS = 100
_START: QueueKey = ("", UUID(int=0))


class Queues(Protocol):
    """The part of the ledger that tells what is due."""

    async def oldest_due(self, *, limit: int) -> list[Queue]:
        """Queues of the deliveries that have been due for the longest time."""

    async def walk(
        self, *, past: QueueKey, limit: int, passed_over: Collection[str]
    ) -> tuple[list[Queue], QueueKey | None]:
        """Some queues after a key, and the key to continue after."""


class Lookout:
    """Looks for queues.

    Mostly few deliveries are due, and the oldest 500 are all of them. If they are not, one receiver may have them all.
    So a look then also goes on from queue to queue for some steps; the next look continues there.
    """

    def __init__(self, ledger: Queues) -> None:
        """Begin with the first queue."""
        self._ledger = ledger
        self._past = _START

    async def look(self, *, passed_over: Collection[str] = ()) -> tuple[list[Queue], bool]:
        """Return the queues found, the longest waiting first, and whether there may be more of them.

        Queues of channels that are `passed_over` are left out.
        """
        queues = await self._ledger.oldest_due(limit=_OLDEST)
        if sum(queue.waiting for queue in queues) < _OLDEST:
            self._past = _START
            return [queue for queue in queues if queue.channel not in passed_over], False
        found, past = await self._ledger.walk(past=self._past, limit=_STEPS, passed_over=passed_over)
        self._past = past or _START
        walked = {queue.key: queue for queue in found}
        # Of a queue that the walk has not met, more may wait than was counted.
        every = [walked.pop(queue.key, queue) for queue in queues] + list(walked.values())
        return [queue for queue in every if queue.channel not in passed_over], past is not None
