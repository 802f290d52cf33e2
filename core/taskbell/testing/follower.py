"""A client for tests that comes back with its cursor whatever happens to its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from taskbell.client.connection import Connection
from taskbell.client.following import Ended, follow
from taskbell.contract.frames import ServerFrame
from taskbell.testing.listener import Collector
from taskbell.testing.waiting import DEADLINE


class Follower(Collector):
    """Follows the events of its channels over any number of connections.

    Attributes:
        resumes: How each `welcome` answered the cursor.
        closes: The close code of each connection that had its `welcome`; 1006 for one that was cut.
    """

    def __init__(self, url: str, *, token: str, channels: Sequence[str] = ()) -> None:
        """Take the gateway's address and whose events to follow. Nothing is opened before `following`."""
        super().__init__()
        self.resumes: list[str] = []
        self.closes: list[int | None] = []
        self._url = url
        self._token = token
        self._channels = list(channels)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        """Follow for the length of the block; it begins when the first `welcome` has come."""
        task = asyncio.create_task(self._follow(), name="follower")
        try:
            await self.until_resumed(1)
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until_resumed(self, connections: int, *, within: float = DEADLINE) -> str:
        """Wait for the `welcome` of this many connections; return how the newest answered the cursor.

        Raises:
            NotInTime: They do not come within this many seconds.
        """
        await self.until(lambda: len(self.resumes) >= connections, f"{connections} welcomes", within=within)
        return self.resumes[-1]

    async def _follow(self) -> None:
        async with aclosing(follow(self._connect, longest_pause=0.25)) as found:
            async for one in found:
                if isinstance(one, Ended):
                    if len(self.closes) < len(self.resumes):
                        self.closes.append(one.code)
                    continue
                if one.kind == ServerFrame.WELCOME:
                    self.resumes.append(one.fields["resume"])
                self._take(one)

    async def _connect(self, cursor: str | None) -> Connection:
        connection = await Connection.open(self._url, cursor=cursor, ping_interval=None, proxy=None)
        await connection.hello(token=self._token, channels=self._channels, coalesce=False)
        return connection
