"""A pool of connections that keep no session state, so that PgBouncer in transaction mode can stand in between."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any, Generic, TypeVar

import asyncpg
from opentelemetry.trace import SpanKind

from taskbell.kit import trace
from taskbell.kit.postgres.errors import AWAY, StatementTooSlow, translating

Connection = asyncpg.pool.PoolConnectionProxy
"""A connection borrowed from the pool."""
_Lent = TypeVar("_Lent", bound="asyncpg.Connection | asyncpg.pool.PoolConnectionProxy")
_CANCEL_SECONDS = 0.5


class Connections(ABC, Generic[_Lent]):
    """Where statements run: a pool, or a session. Every failure to reach PostgreSQL becomes the caller's own error."""

    @abstractmethod
    def connection(self) -> AbstractAsyncContextManager[_Lent]:
        """Lend a connection for the length of a block; what fails in the block is translated."""

    async def fetchval(self, query: str, *arguments: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return the first column of its first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchval(query, *arguments, timeout=timeout)

    async def fetchrow(self, query: str, *arguments: Any, timeout: float | None = None) -> asyncpg.Record | None:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchrow(query, *arguments, timeout=timeout)

    async def fetch(self, query: str, *arguments: Any, timeout: float | None = None) -> list[asyncpg.Record]:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its rows."""
        async with self.connection() as connection:
            return await connection.fetch(query, *arguments, timeout=timeout)

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its command tag, such as `UPDATE 3`."""
        async with self.connection() as connection:
            return await connection.execute(query, *arguments, timeout=timeout)


class StatelessConnection(asyncpg.Connection):
    """A connection that needs no reset: every setting is local to a transaction.

    asyncpg's own reset costs a round trip at each release, and PgBouncer in transaction mode does not carry it.
    """

    def get_reset_query(self) -> str:
        """Nothing to reset."""
        return ""


class Pool(Connections[Connection]):
    """Lends connections; every failure to reach PostgreSQL becomes the caller's own error."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        away: translating,
        patience: float | None = None,
        within: float | None = None,
        span: str | None = None,
    ) -> None:
        """Take asyncpg's pool, which the caller closes.

        Args:
            pool: The pool that connects.
            away: Translates the errors that mean PostgreSQL is away.
            patience: Seconds to wait for a free connection; None waits without end.
            within: Seconds for waiting, connecting and all statements together; None sets no limit.
            span: Name of the span that each use of a connection is in a trace that is recorded; None records none.
        """
        self._pool = pool
        self._away = away
        self._patience = patience
        self._within = within
        self._span = span
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """How many callers use a connection, or wait for one."""
        return self._under_way

    @property
    def size(self) -> tuple[int, int]:
        """Open connections, and how many of them are idle."""
        return self._pool.get_size(), self._pool.get_idle_size()

    def terminate(self) -> None:
        """Cut all connections at once: statements under way fail, and no further one begins."""
        self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection; every statement on it commits by itself.

        Raises the error that `away` makes, of `StatementTooSlow` where a statement was cancelled for its time.
        """
        self._under_way += 1
        try:
            with self._away, trace.below(self._span, kind=SpanKind.CLIENT) if self._span else nullcontext():
                async with asyncio.timeout(self._within):
                    # A timer costs more than borrowing an idle connection, so it is set only when there is a queue.
                    patience = None if self._pool.get_idle_size() else self._patience
                    borrowed = await self._pool.acquire(timeout=patience)
                    try:
                        yield borrowed
                    except (TimeoutError, asyncpg.QueryCanceledError) as slow:
                        await self._give_back(borrowed)
                        raise StatementTooSlow from slow
                    except BaseException:
                        await self._give_back(borrowed)
                        raise
                    await self._pool.release(borrowed)
        finally:
            self._under_way -= 1

    async def _give_back(self, borrowed: Connection) -> None:
        """Return a connection after a failure.

        While a statement is being cancelled, asyncpg waits for the server as long as for a statement: a frozen
        server would hold up everybody's deadline. So the wait is short; then the connection is cut.
        """
        with suppress(*AWAY):
            await self._pool.release(borrowed, timeout=_CANCEL_SECONDS)


async def create_pool(
    url: str,
    *,
    most: int,
    least: int = 0,
    statement_seconds: float,
    connect_seconds: float = 5.0,
    application: str | None = None,
    check: Callable[[Connection], Coroutine[Any, Any, None]] | None = None,
) -> asyncpg.Pool:
    """Make a pool that also works behind PgBouncer (1.21+ with `max_prepared_statements`).

    Args:
        url: PostgreSQL under the program's role.
        most: Connections at most.
        least: Connections opened at once; with 0 a program starts while PostgreSQL is away.
        statement_seconds: How long one statement may take.
        connect_seconds: How long connecting may take.
        check: What is asked of each new connection; one for which it raises is closed.
        application: The name that PostgreSQL shows; none is sent by default, since PgBouncer refuses most settings.
    """
    return await asyncpg.create_pool(
        url,
        min_size=min(least, most),
        max_size=most,
        connection_class=StatelessConnection,
        max_inactive_connection_lifetime=0,
        command_timeout=statement_seconds,
        timeout=connect_seconds,
        init=check,  # type: ignore[arg-type]  # the stubs want a name of a parameter
        server_settings=None if application is None else {"application_name": application},
    )
