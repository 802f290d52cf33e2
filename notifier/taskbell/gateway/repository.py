"""Memberships in PostgreSQL: the gateway's only query."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from taskbell.kit.postgres.errors import translating
from taskbell.kit.postgres.pool import Pool, open_lender
from taskbell.kit.postgres.statements import load

_LIST_WORKSPACES = load(__package__, "list_workspaces")
_SECONDS = 5.0


class MembershipsUnavailable(Exception):
    """PostgreSQL does not answer, so nothing is known."""


_AWAY = translating(lambda lost: MembershipsUnavailable(type(lost).__name__))


class Memberships:
    """Who belongs to which workspace. Nothing is cached: removals arrive as events."""

    def __init__(self, pool: Pool) -> None:
        """Take a pool under role `taskbell_gateway`."""
        self._pool = pool

    async def workspaces_of(self, user_id: str) -> frozenset[str]:
        """The workspaces that a user belongs to.

        Raises:
            MembershipsUnavailable: There is no answer.
        """
        rows = await _LIST_WORKSPACES.rows(self._pool, user_id=UUID(user_id))
        return frozenset(row[0] for row in rows)

    async def check(self) -> None:
        """Health check: the query works.

        Raises:
            MembershipsUnavailable: There is no answer.
        """
        await self.workspaces_of(str(UUID(int=0)))


@asynccontextmanager
async def open_memberships(url: str, *, pool_size: int) -> AsyncIterator[Memberships]:
    """Open a pool. Nothing connects yet: a gateway starts, unready, while PostgreSQL is away."""
    lender = await open_lender(url, most=pool_size, statement_seconds=_SECONDS)
    try:
        yield Memberships(Pool(lender, away=_AWAY, within=_SECONDS))
    finally:
        lender.terminate()  # its queries are short and read only: nothing is worth waiting for
