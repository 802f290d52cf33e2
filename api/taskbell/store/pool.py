"""Connections to PostgreSQL: one statement at a time where it can be, a transaction for an actor where it must."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.contract.problems import ProblemCode, Refused

Connection = asyncpg.pool.PoolConnectionProxy
"""A connection borrowed from the pool."""

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,  # a connection that broke in the middle of an answer
)
_CANCEL_SECONDS = 0.5
_ROLLBACK_SECONDS = 5.0


class DatabaseUnavailable(Refused):
    """The database cannot be reached for the moment; nothing is known to have been changed."""

    code = ProblemCode.UNAVAILABLE


class _StatelessConnection(asyncpg.Connection):
    """A connection that leaves nothing behind: all settings are local to a transaction, so no reset is needed.

    asyncpg's own reset would cost a round trip at each release, and PgBouncer in transaction mode would not carry it.
    """

    def get_reset_query(self) -> str:
        return ""


class Database:
    """The primary, as a service's role sees it.

    Statements set their actor themselves, in their first CTE (`set_config('taskbell.actor', $1, true)`); see
    docs/adr on row-level security.
    """

    def __init__(self, pool: asyncpg.Pool, *, acquire_timeout: float) -> None:
        """Take the pool; the caller closes it. `acquire_timeout` is in seconds."""
        self._pool = pool
        self._acquire_timeout = acquire_timeout

    @property
    def size(self) -> tuple[int, int]:
        """Open connections and how many of them are idle."""
        return self._pool.get_size(), self._pool.get_idle_size()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection; every statement on it commits by itself.

        Raises:
            DatabaseUnavailable: None is free in time, or the server went away.
        """
        try:
            # A timer costs more than borrowing an idle connection, so it is set only when there is a queue.
            timeout = None if self._pool.get_idle_size() else self._acquire_timeout
            borrowed = await self._pool.acquire(timeout=timeout)
            try:
                yield borrowed
            except BaseException:
                await self._give_back(borrowed)
                raise
            await self._pool.release(borrowed)
        except _AWAY as lost:
            raise DatabaseUnavailable from lost

    async def _give_back(self, borrowed: Connection) -> None:
        """Return a connection after a failure.

        If its statement is still being cancelled, asyncpg waits for the server as long as for a statement: a frozen
        server would hold up the deadlines of all who wait. So the wait is short; then the connection is cut.
        """
        with suppress(*_AWAY):
            await self._pool.release(borrowed, timeout=_CANCEL_SECONDS)

    async def value(self, statement: str, *arguments: Any) -> Any:
        """Run one statement and return the first column of its first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchval(statement, *arguments)

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """Run one statement and return its first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchrow(statement, *arguments)

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one statement and return its rows."""
        async with self.connection() as connection:
            return await connection.fetch(statement, *arguments)

    @asynccontextmanager
    async def acting(self, actor: UUID) -> AsyncIterator[Connection]:
        """A transaction on behalf of a user: committed at the block's end, rolled back when it raises.

        BEGIN and the actor travel in one round trip; a UUID's text needs no quoting.

        Raises:
            DatabaseUnavailable: No connection is free in time, or the server went away.
        """
        async with self.connection() as connection:
            await connection.execute(f"BEGIN; SELECT set_config('taskbell.actor', '{UUID(int=actor.int)}', true)")
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK", timeout=_ROLLBACK_SECONDS)
                raise
            await connection.execute("COMMIT")


async def open_pool(url: str, *, size: int) -> asyncpg.Pool:
    """Open a pool that also works behind PgBouncer in transaction mode (1.21+ with max_prepared_statements)."""
    return await asyncpg.create_pool(
        url,
        min_size=min(2, size),
        max_size=size,
        connection_class=_StatelessConnection,
        max_inactive_connection_lifetime=0,
        command_timeout=30,
        timeout=5,
    )
