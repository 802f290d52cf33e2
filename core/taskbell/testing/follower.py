"""A listener that comes back with its cursor whatever happens to it, as a plain client would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.exceptions import WebSocketException

from taskbell.testing.listener import Listener, ListenerClosed, NothingCame, Received

_PAUSE = 0.1


class Follower:
    """Follows the events of its channels over any number of connections.

    Attributes:
        resumes: What each `welcome` said of the cursor.
        closes: The close code of each connection that ended by itself; 1006 for one that was cut.
        goodbyes: The frames other than events of connections that ended.
    """

    def __init__(self, url: str, *, token: str, channels: Sequence[str] = (), cursor: str | None = None) -> None:
        """Take the gateway's address and whose events to follow. Nothing is opened before `following`."""
        self.resumes: list[str] = []
        self.closes: list[int | None] = []
        self.goodbyes: list[dict[str, Any]] = []
        self._listener = Listener(url, token=token, channels=channels, cursor=cursor)
        self._connected = asyncio.Event()

    @property
    def events(self) -> list[Received]:
        """All events that came, in the order of their arrival."""
        return self._listener.events

    @property
    def cursor(self) -> str | None:
        """Where it stands."""
        return self._listener.cursor

    @property
    def frames(self) -> list[dict[str, Any]]:
        """All frames but events, of all connections."""
        return [*self.goodbyes, *self._listener.frames]

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        """Follow for the length of the block; it begins when the first `welcome` has come."""
        task = asyncio.create_task(self._follow(), name="follower")
        try:
            async with asyncio.timeout(30):
                await self._connected.wait()
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])
            await self._listener.close()

    async def until_events(self, number: int, *, within: float = 30.0) -> list[Received]:
        """Wait for so many events in all, over reconnects; return all.

        Raises:
            NothingCame: They do not come within so many seconds.
        """
        await self._until(lambda: len(self.events) >= number, f"{number} events", within=within)
        return self.events

    async def until_resumed(self, connections: int, *, within: float = 30.0) -> str:
        """Wait for the so-manieth `welcome`; return what it said of the cursor.

        Raises:
            NothingCame: It does not come within so many seconds.
        """
        await self._until(lambda: len(self.resumes) >= connections, f"{connections} welcomes", within=within)
        return self.resumes[-1]

    async def _until(self, come: Callable[[], bool], what: str, *, within: float) -> None:
        deadline = time.monotonic() + within
        while not come():
            if time.monotonic() > deadline:
                raise NothingCame(f"{what} within {within:g} s; {len(self.events)} events came, {self.resumes}")
            await asyncio.sleep(0.02)

    async def _follow(self) -> None:
        listener = self._listener
        while True:
            try:
                welcome = await listener.connect(first_frame=True)
            except (OSError, WebSocketException, NothingCame, ListenerClosed):
                await listener.kill()
                await asyncio.sleep(_PAUSE)
                continue
            self.resumes.append(welcome["resume"])
            self._connected.set()
            self.closes.append(await listener.until_closed(within=600))
            self.goodbyes += listener.frames
            await listener.kill()
