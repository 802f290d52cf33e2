"""Memberships, as PostgreSQL has them: the gateway's only query."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import asyncpg

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a session that broke in the middle of an answer
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
)
_OF_USER = "SELECT workspace_id::text FROM memberships WHERE user_id = $1"
_TIMEOUT = 5.0
_CANCEL_SECONDS = 0.5


class MembershipsUnavailable(Exception):
    """PostgreSQL does not answer, so that nothing is known."""


class _StatelessConnection(asyncpg.Connection):
    """Leaves no session state behind, so that no reset is needed and PgBouncer in transaction mode serves."""

    def get_reset_query(self) -> str:
        return ""


class Memberships:
    """Who belongs to which workspace. Nothing is cached: removals arrive as events."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Take a pool under role `taskbell_gateway`; the caller closes it."""
        self._pool = pool

    async def workspaces_of(self, user_id: str) -> frozenset[str]:
        """The workspaces a user belongs to.

        Raises:
            MembershipsUnavailable: There is no answer.
        """
        try:
            async with asyncio.timeout(_TIMEOUT), self._borrowed() as connection:
                rows = await connection.fetch(_OF_USER, UUID(user_id))
        except _AWAY as lost:
            raise MembershipsUnavailable(type(lost).__name__) from lost
        return frozenset(row[0] for row in rows)

    async def check(self) -> None:
        """Health check: the query works.

        Raises:
            MembershipsUnavailable: There is no answer.
        """
        await self.workspaces_of(str(UUID(int=0)))

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """A connection. After a failure it is soon cut: a frozen server never confirms that a query is cancelled."""
        connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException:
            with suppress(*_AWAY):
                await self._pool.release(connection, timeout=_CANCEL_SECONDS)
            raise
        await self._pool.release(connection)


@asynccontextmanager
async def open_memberships(url: str, *, pool_size: int) -> AsyncIterator[Memberships]:
    """Connect lazily: a gateway starts, unready, while PostgreSQL is away."""
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=pool_size,
        connection_class=_StatelessConnection,
        max_inactive_connection_lifetime=0,
        command_timeout=_TIMEOUT,
        timeout=_TIMEOUT,
    )
    try:
        yield Memberships(pool)
    finally:
        pool.terminate()  # its queries are short and read only: nothing is worth waiting for
