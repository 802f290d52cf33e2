"""The primary as a program's role sees it: one statement at a time, or a transaction on behalf of a user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from taskbell.contract.problems import ProblemCode, Refused
from taskbell.kit.postgres.errors import AWAY, StatementTooSlow, translating
from taskbell.kit.postgres.lender import Lender
from taskbell.kit.postgres.pool import Connection, Pool

__all__ = ["AccountDeleted", "Connection", "Database", "DatabaseUnavailable", "RequestTooSlow", "shared"]

_ROLLBACK_SECONDS = 5.0
_T = TypeVar("_T")


class DatabaseUnavailable(Refused):
    """The database cannot be reached for the moment; nothing is known to have been changed."""

    code = ProblemCode.UNAVAILABLE


class RequestTooSlow(Refused):
    """The request took longer than it may. Ask for less: a smaller page, or other filters."""

    code = ProblemCode.TOO_SLOW


class AccountDeleted(Refused):
    """The account of the access token was deleted."""

    code = ProblemCode.UNAUTHENTICATED


def _refusal(lost: BaseException) -> Refused:
    if isinstance(lost, asyncpg.RestrictViolationError):  # raised by taskbell.refuse_deleted_account alone
        return AccountDeleted()
    return RequestTooSlow() if isinstance(lost, StatementTooSlow) else DatabaseUnavailable()


class Shared:
    """One transaction that all statements of a task belong to, see `Database.sharing`.

    Attributes:
        connection: Where it runs.
        afterwards: What is called once it has committed; nothing of it is, if it is rolled back.
    """

    __slots__ = ("_task", "afterwards", "connection")

    def __init__(self, connection: Connection) -> None:
        """Share a connection between all that the current task does."""
        self.connection = connection
        self.afterwards: list[Callable[[], Awaitable[Any]]] = []
        self._task = asyncio.current_task()

    @property
    def is_ours(self) -> bool:
        """Whether the current task shares it. A task that was started in the block works for itself."""
        return self._task is asyncio.current_task()


_shared: ContextVar[Shared | None] = ContextVar("taskbell_shared_transaction", default=None)


def shared() -> Shared | None:
    """The transaction that the current task shares; None, nearly always, if each statement commits by itself."""
    found = _shared.get()
    return found if found is not None and found.is_ours else None


class Database(Pool):
    """The primary. Every call raises `DatabaseUnavailable` when no connection is free in time or PostgreSQL is away.

    It raises `RequestTooSlow` for a statement that was cancelled because it took longer than it may, and
    `AccountDeleted` for one that would add to an account that is deleted.

    Statements set their actor themselves, in their first CTE (`set_config('taskbell.actor', ...)`), see
    docs/adr/0006-actor-in-the-statement.md.
    """

    def __init__(self, lender: Lender, *, acquire_timeout: float) -> None:
        """Take the lender, which the caller closes, and the seconds to wait for a free connection."""
        away = translating(_refusal, errors=(*AWAY, asyncpg.RestrictViolationError))
        super().__init__(lender, away=away, patience=acquire_timeout, span="transaction")

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Borrow a connection; every statement on it commits by itself, or with the transaction that is shared."""
        sharing = shared()
        return super().connection() if sharing is None else self._savepoint(sharing)

    def _run(
        self, method: Callable[..., Awaitable[_T]], query: str, arguments: tuple[Any, ...], limit: float | None
    ) -> Coroutine[Any, Any, _T]:
        run = super()._run if shared() is None else super(Pool, self)._run
        return run(method, query, arguments, limit)

    @asynccontextmanager
    async def _savepoint(self, sharing: Shared, setting: str = "") -> AsyncIterator[Connection]:
        """What the block does is undone when it raises; the shared transaction goes on. Blocks may nest."""
        connection = sharing.connection
        with self._away:
            try:
                await connection.execute(f"SAVEPOINT part;{setting}")
                try:
                    yield connection
                except BaseException:
                    await _undo(connection, "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
                    raise
                await connection.execute("RELEASE SAVEPOINT part")
            except (TimeoutError, asyncpg.QueryCanceledError) as slow:
                raise StatementTooSlow from slow

    @asynccontextmanager
    async def transaction(self, setting: str = "") -> AsyncIterator[Connection]:
        """A transaction: committed at the block's end, rolled back when it raises. `setting` goes with its BEGIN."""
        if (sharing := shared()) is not None:
            async with self._savepoint(sharing, setting) as connection:
                yield connection
            return
        async with super().connection() as connection:
            await connection.execute(f"BEGIN;{setting}")
            try:
                yield connection
            except BaseException:
                await _undo(connection, "ROLLBACK")
                raise
            await connection.execute("COMMIT")

    @asynccontextmanager
    async def sharing(self) -> AsyncIterator[Connection]:
        """Let all that this task does with the database in the block be one transaction, on one connection.

        It commits at the block's end, and is rolled back when the block raises. Each statement and each transaction
        within is a savepoint, so what fails in one is undone alone, as ever. These blocks do not nest.
        """
        async with self.transaction() as connection:
            sharing = Shared(connection)
            token = _shared.set(sharing)
            try:
                yield connection
            finally:
                _shared.reset(token)
        for call in sharing.afterwards:
            await call()

    @asynccontextmanager
    async def acting(self, actor: UUID, *, prunes: bool = True) -> AsyncIterator[Connection]:
        """A transaction on behalf of a user: committed at the block's end, rolled back when it raises.

        BEGIN and the actor travel in one round trip; a UUID's text needs no quoting. `prunes=False` is for statements
        that lock rows and look partitions up by values that they read: PostgreSQL 18.4 may crash in them, see
        `taskbell.store.roles`. Such a statement always runs with the same choice, because its plan is kept.
        """
        setting = "" if prunes else " SET LOCAL enable_partition_pruning = off;"
        actor_set = f"{setting} SELECT set_config('taskbell.actor', '{UUID(int=actor.int)}', true)"
        async with self.transaction(actor_set) as connection:
            yield connection
            if not prunes and shared() is not None:  # it outlives the savepoint, and others are to prune again
                await connection.execute("SET LOCAL enable_partition_pruning TO DEFAULT")


async def _undo(connection: Connection, words: str) -> None:
    if not connection.is_closed():
        await connection.execute(words, timeout=_ROLLBACK_SECONDS)
