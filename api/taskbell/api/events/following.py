"""When a process reads the stream into memory: while clients poll the change feed, since each event read costs time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from taskbell.api.events.recent import RecentEvents
from taskbell.kit.nats_reader import StreamReader


class Following:
    """Fills `recent` while polls come close together. `run` is a role for `kit.looper`."""

    def __init__(self, recent: RecentEvents, reader: Callable[[], StreamReader], *, pause: float = 15.0) -> None:
        """Take the memory and what makes its reader. The second poll within `pause` seconds starts it.

        As many seconds without a poll end it, and the memory is empty again.
        """
        self._recent = recent
        self._make_reader = reader
        self._pause = pause
        self._polled_at: float | None = None
        self._wanted = asyncio.Event()
        self._until: asyncio.Timeout | None = None

    def polled(self) -> None:
        """Note that a client polls the change feed."""
        now = asyncio.get_running_loop().time()
        if self._polled_at is not None and now - self._polled_at < self._pause:
            self._wanted.set()
            if self._until is not None and not self._until.expired():
                self._until.reschedule(now + self._pause)
        self._polled_at = now

    async def run(self) -> None:
        """Read whenever it is worth it, until cancelled."""
        while True:
            await self._wanted.wait()
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause) as self._until:
                        await self._make_reader().run()
            finally:
                self._until = None
                self._wanted.clear()
                self._recent.forget()
