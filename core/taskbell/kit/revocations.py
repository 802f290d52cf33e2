"""Sessions that have ended before their access tokens expire: each process knows them within a second.

A process reads what is new twice a second, so that no request costs a statement more, and nothing can be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

EVERY = 0.5
"""Seconds between two reads."""
MOST = 200_000
"""Sessions that a process remembers; past that it forgets those that ended first."""
_OVERLAP = timedelta(seconds=30)
"""What is read again each time: a transaction that ends a session may commit so much later than it says."""
_AT_ONCE = 1_000

Read = Callable[[datetime | None, timedelta, UUID, int], Awaitable[Sequence[tuple[UUID, datetime]]]]
"""Reads ids of sessions and when each ended, the first first: those after a time (None: within the last timedelta) and
an id of that time, and at most so many.
"""


class Revocations:
    """The sessions that have ended. `run` is a role for `kit.looper`; while PostgreSQL is away, what is known holds."""

    def __init__(
        self,
        read: Read,
        *,
        keep: timedelta,
        away: tuple[type[Exception], ...],
    ) -> None:
        """Take what reads, and how long an ended session matters: as long as its access tokens may live.

        `away` are the errors that `read` raises when there is no answer, or none in time.
        """
        self._read = read
        self._keep = max(keep, 2 * _OVERLAP)  # what is read again must still be known
        self._away = away
        self._heard: list[Callable[[UUID], None]] = []
        self._ended: dict[UUID, datetime] = {}
        self._newest: datetime | None = None

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._ended

    def __len__(self) -> int:
        return len(self._ended)

    def listen(self, heard: Callable[[UUID], None]) -> None:
        """Call `heard` for each session that ends from now on, once."""
        self._heard.append(heard)

    async def run(self) -> None:
        """Read regularly, until cancelled."""
        while True:
            await self.begin()
            await asyncio.sleep(EVERY)

    async def begin(self) -> None:
        """Read once, so that a process knows what has ended before it serves; nothing if PostgreSQL does not answer."""
        with contextlib.suppress(*self._away):  # the readiness probe reports it
            await self.read()

    async def read(self) -> None:
        """Read what is new. Raises what the reader raises when there is no answer."""
        after, past = None if self._newest is None else self._newest - _OVERLAP, UUID(int=0)
        while True:
            rows = await self._read(after, self._keep, past, _AT_ONCE)
            for session_id, at in rows:
                self._add(session_id, at)
            if len(rows) < _AT_ONCE:
                break
            past, after = rows[-1]
        self._forget()

    def _add(self, session_id: UUID, at: datetime) -> None:
        self._newest = at if self._newest is None else max(at, self._newest)
        if session_id not in self._ended:
            self._ended[session_id] = at
            for heard in self._heard:
                heard(session_id)

    def _forget(self) -> None:
        """Forget what no access token can be of any more. What was read first is, about, what ended first."""
        if self._newest is None:
            return
        oldest = self._newest - self._keep
        while self._ended:
            session_id, at = next(iter(self._ended.items()))
            if at >= oldest and len(self._ended) <= MOST:
                break
            del self._ended[session_id]
