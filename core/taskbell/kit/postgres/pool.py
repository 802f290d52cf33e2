"""A pool of connections that keep no session state, so that PgBouncer in transaction mode can stand in between."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeVar

import asyncpg
from opentelemetry.trace import SpanKind

from taskbell.kit import trace
from taskbell.kit.postgres.errors import FAILED, StatementTooSlow, translating
from taskbell.kit.postgres.lender import Lender

Connection = asyncpg.Connection
"""A connection while it is lent."""
_T = TypeVar("_T")
_CANCEL_SECONDS = 0.5


class Connections(ABC):
    """Where statements run: a pool, or a session. Every failure to reach PostgreSQL becomes the caller's own error."""

    @abstractmethod
    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection for the length of a block; what fails in the block is translated."""

    async def fetchval(self, query: str, *arguments: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return the first column of its first row, or None."""
        return await self._run(Connection.fetchval, query, arguments, timeout)

    async def fetchrow(self, query: str, *arguments: Any, timeout: float | None = None) -> asyncpg.Record | None:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its first row, or None."""
        return await self._run(Connection.fetchrow, query, arguments, timeout)

    async def fetch(self, query: str, *arguments: Any, timeout: float | None = None) -> list[asyncpg.Record]:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its rows."""
        return await self._run(Connection.fetch, query, arguments, timeout)

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its command tag, such as `UPDATE 3`."""
        return await self._run(Connection.execute, query, arguments, timeout)

    async def _run(
        self, method: Callable[..., Awaitable[_T]], query: str, arguments: tuple[Any, ...], limit: float | None
    ) -> _T:
        async with self.connection() as connection:
            return await method(connection, query, *arguments, timeout=limit)


class Pool(Connections):
    """Lends connections; every failure to reach PostgreSQL becomes the caller's own error."""

    def __init__(
        self,
        lender: Lender,
        *,
        away: translating,
        patience: float | None = None,
        within: float | None = None,
        span: str | None = None,
    ) -> None:
        """Take the lender, which the caller closes.

        Args:
            lender: Connects, and keeps the connections.
            away: Translates the errors that mean PostgreSQL is away.
            patience: Seconds to wait for a free connection; None waits without end.
            within: Seconds for waiting, connecting and all statements together; None sets no limit.
            span: Name of the span that each use of a connection is in a trace that is recorded; None records none.
        """
        self._lender = lender
        self._away = away
        self._patience = patience
        self._within = within
        self._span = span
        self._under_way = 0
        self._settling: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """How many callers use a connection, or wait for one."""
        return self._under_way

    @property
    def size(self) -> tuple[int, int]:
        """Open connections, and how many of them are idle."""
        return self._lender.size

    def terminate(self) -> None:
        """Cut all connections at once: statements under way fail, and no further one begins."""
        self._lender.terminate()

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Borrow a connection; every statement on it commits by itself.

        Raises the error that `away` makes, of `StatementTooSlow` where a statement was cancelled for its time.
        """
        return self._borrowing()

    @asynccontextmanager
    async def _borrowing(self) -> AsyncIterator[Connection]:
        self._under_way += 1
        try:
            with self._away, trace.below(self._span, kind=SpanKind.CLIENT) if self._span else nullcontext():
                async with asyncio.timeout(self._within):
                    lent = await self._lender.lend(patience=self._patience)
                    try:
                        yield lent
                    except BaseException as failure:
                        self._take_back(lent, failure)
                        raise
                    self._lender.give_back(lent)
        finally:
            self._under_way -= 1

    async def _run(
        self, method: Callable[..., Awaitable[_T]], query: str, arguments: tuple[Any, ...], limit: float | None
    ) -> _T:
        """Run one statement as a block of `connection` does. What only some blocks need is left out: it costs more."""
        lent = None if self._within is not None or trace.records() else self._lender.lend_idle()
        if lent is None:
            return await super()._run(method, query, arguments, limit)
        self._under_way += 1
        try:
            with self._away:
                try:
                    found = await method(lent, query, *arguments, timeout=limit)
                except (TimeoutError, asyncpg.QueryCanceledError, asyncio.CancelledError) as failure:
                    settling = asyncio.create_task(self._settle(lent), name="settle-connection")
                    self._settling.add(settling)
                    settling.add_done_callback(self._settling.discard)
                    await asyncio.shield(settling)  # it goes on when the caller is cancelled meanwhile
                    if isinstance(failure, asyncio.CancelledError):
                        raise
                    raise StatementTooSlow from failure
                except BaseException:
                    self._lender.give_back(lent)
                    raise
                self._lender.give_back(lent)
                return found
        finally:
            self._under_way -= 1

    def _take_back(self, lent: Connection, failure: BaseException) -> None:
        """Take a connection back from a block that failed. Raises `StatementTooSlow` for what took too long.

        A connection whose last statement was cancelled is cut: it may have begun a transaction that nobody knows of.
        """
        is_late = isinstance(failure, TimeoutError | asyncpg.QueryCanceledError)
        if is_late or not isinstance(failure, Exception) or (not lent.is_closed() and lent.is_in_transaction()):
            lent.terminate()
        self._lender.give_back(lent)
        if is_late:
            raise StatementTooSlow from failure

    async def _settle(self, lent: Connection) -> None:
        """Wait until a cancelled statement has ended, or cut the connection.

        The server has a short time for it: a frozen one would hold up everybody's deadline.
        """
        try:
            await lent.execute("SELECT", timeout=_CANCEL_SECONDS)
        except BaseException as failure:
            lent.terminate()
            if not isinstance(failure, FAILED):
                raise
        finally:
            self._lender.give_back(lent)


async def open_lender(
    url: str,
    *,
    most: int,
    least: int = 0,
    statement_seconds: float,
    connect_seconds: float = 5.0,
    application: str | None = None,
    check: Callable[[Connection], Awaitable[None]] | None = None,
) -> Lender:
    """Make a lender that also works behind PgBouncer (1.21+ with `max_prepared_statements`).

    Args:
        url: PostgreSQL under the program's role.
        most: Connections at most.
        least: Connections opened at once; with 0 a program starts while PostgreSQL is away.
        statement_seconds: How long one statement may take.
        connect_seconds: How long connecting may take.
        check: What is asked of each new connection; one for which it raises is closed.
        application: The name that PostgreSQL shows; none is sent by default, since PgBouncer refuses most settings.
    """

    async def connect() -> Connection:
        connection = await asyncpg.connect(
            url,
            command_timeout=statement_seconds,
            timeout=connect_seconds,
            server_settings=None if application is None else {"application_name": application},
        )
        try:
            if check is not None:
                await check(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    lender = Lender(connect, most=most)
    for connection in [await lender.lend() for _ in range(min(least, most))]:
        lender.give_back(connection)
    return lender
