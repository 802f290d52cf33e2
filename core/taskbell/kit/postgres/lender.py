"""Connections to one server, each lent to one caller at a time.

asyncpg's own pool makes a task, a timer and a proxy each time it lends, which costs three times what a short statement
costs the client. Nothing here happens between two callers unless the one before failed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import asyncpg

_CLOSE_SECONDS = 5.0


class Lender:
    """Lends the connection that was used last, so that those above the need stay unused; waiting callers take turns."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], *, most: int) -> None:
        """Take what makes a connection, and how many there may be at once, at least one."""
        self._connect = connect
        self._most = most
        self._unmade = most
        self._idle: list[asyncpg.Connection] = []
        self._made: set[asyncpg.Connection] = set()
        self._waiting: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._is_closed = False
        self._back = asyncio.Event()

    @property
    def size(self) -> tuple[int, int]:
        """Open connections, and how many of them are idle."""
        idle = sum(not connection.is_closed() for connection in self._idle)
        return sum(not connection.is_closed() for connection in self._made), idle

    def lend_idle(self) -> asyncpg.Connection | None:
        """Lend an open connection at once; None when there is no idle one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._made.discard(connection)
            self._unmade += 1
        return None

    async def lend(self, *, patience: float | None = None) -> asyncpg.Connection:
        """Lend an idle connection, else a new one, else the next that comes back.

        Args:
            patience: Seconds for waiting and connecting together; None waits without end.

        Raises:
            TimeoutError: The patience is over.
            asyncpg.InterfaceError: The lender is closed.
            Exception: What connecting raises.
        """
        if self._is_closed:
            raise asyncpg.InterfaceError("the connections are closed")
        connection = self.lend_idle()
        if connection is not None:
            return connection
        async with asyncio.timeout(patience):
            if self._unmade:
                self._unmade -= 1
                return await self._make()
            connection = await self._turn()
            return await self._make() if connection is None else connection

    def give_back(self, connection: asyncpg.Connection) -> None:
        """Take a connection back, at the end of a transaction or closed; who waits longest gets it."""
        if connection.is_closed():
            self._made.discard(connection)
            self._pass_on(None)
        else:
            self._pass_on(connection)

    async def close(self) -> None:
        """Lend no more, and close each connection once it is back."""
        self._is_closed = True
        self._refuse_the_waiting()
        while self._made:
            while self._idle:
                connection = self._idle.pop()
                self._made.discard(connection)
                await connection.close(timeout=_CLOSE_SECONDS)
            self._back.clear()
            if self._made:
                await self._back.wait()

    def terminate(self) -> None:
        """Cut all connections at once, lent ones too."""
        self._is_closed = True
        self._refuse_the_waiting()
        self._idle.clear()
        for connection in self._made:
            connection.terminate()

    async def _make(self) -> asyncpg.Connection:
        """Connect; a failure passes the right to do so on."""
        try:
            connection = await self._connect()
        except BaseException:
            self._pass_on(None)
            raise
        self._made.add(connection)
        if self._is_closed:
            connection.terminate()
        return connection

    async def _turn(self) -> asyncpg.Connection | None:
        """Wait for a connection, or for the right to make one (None)."""
        waiter: asyncio.Future[asyncpg.Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())  # it came when nobody waited any more
            raise

    def _pass_on(self, connection: asyncpg.Connection | None) -> None:
        self._back.set()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._unmade += 1
        else:
            self._idle.append(connection)

    def _refuse_the_waiting(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(asyncpg.InterfaceError("the connections are closed"))
