"""The primary as a program's role sees it: one statement at a time, or a transaction on behalf of a user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from taskbell.contract.problems import ProblemCode, Refused
from taskbell.kit.postgres.errors import StatementTooSlow, translating
from taskbell.kit.postgres.lender import Lender
from taskbell.kit.postgres.pool import Connection, Pool

__all__ = ["Connection", "Database", "DatabaseUnavailable", "RequestTooSlow"]

_ROLLBACK_SECONDS = 5.0


class DatabaseUnavailable(Refused):
    """The database cannot be reached for the moment; nothing is known to have been changed."""

    code = ProblemCode.UNAVAILABLE


class RequestTooSlow(Refused):
    """The request took longer than it may. Ask for less: a smaller page, or other filters."""

    code = ProblemCode.TOO_SLOW


def _refusal(lost: BaseException) -> Refused:
    return RequestTooSlow() if isinstance(lost, StatementTooSlow) else DatabaseUnavailable()


class Database(Pool):
    """The primary. Every call raises `DatabaseUnavailable` when no connection is free in time or PostgreSQL is away.

    It raises `RequestTooSlow` for a statement that was cancelled because it took longer than it may.

    Statements set their actor themselves, in their first CTE (`set_config('taskbell.actor', ...)`), see
    docs/adr/0006-actor-in-the-statement.md.
    """

    def __init__(self, lender: Lender, *, acquire_timeout: float) -> None:
        """Take the lender, which the caller closes, and the seconds to wait for a free connection."""
        super().__init__(lender, away=translating(_refusal), patience=acquire_timeout, span="transaction")

    @asynccontextmanager
    async def acting(self, actor: UUID, *, prunes: bool = True) -> AsyncIterator[Connection]:
        """A transaction on behalf of a user: committed at the block's end, rolled back when it raises.

        BEGIN and the actor travel in one round trip; a UUID's text needs no quoting. `prunes=False` is for statements
        that lock rows and look partitions up by values that they read: PostgreSQL 18.4 may crash in them, see
        `taskbell.store.roles`. Such a statement always runs with the same choice, because its plan is kept.
        """
        setting = "" if prunes else " SET LOCAL enable_partition_pruning = off;"
        async with self.connection() as connection:
            await connection.execute(
                f"BEGIN;{setting} SELECT set_config('taskbell.actor', '{UUID(int=actor.int)}', true)"
            )
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK", timeout=_ROLLBACK_SECONDS)
                raise
            await connection.execute("COMMIT")
