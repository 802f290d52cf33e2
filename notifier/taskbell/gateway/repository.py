"""What the gateway reads in PostgreSQL: memberships, personal access tokens, and which sessions have ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.errors import translating
from taskbell.kit.postgres.pool import Pool, open_lender
from taskbell.kit.postgres.statements import load

_FIND_PERSONAL_TOKEN = load(__package__, "find_personal_token")
_LIST_LIVE_TOKENS = load(__package__, "list_live_tokens")
_LIST_WORKSPACES = load(__package__, "list_workspaces")
_LIST_REVOKED = load(__package__, "list_revoked")
_SECONDS = 5.0


class DatabaseUnavailable(Exception):
    """PostgreSQL does not answer, so nothing is known."""


_AWAY = translating(lambda lost: DatabaseUnavailable(type(lost).__name__))


class Memberships:
    """Who belongs to which workspace. Nothing is cached: removals arrive as events."""

    def __init__(self, pool: Pool) -> None:
        """Take a pool under role `taskbell_gateway`."""
        self._pool = pool

    async def workspaces_of(self, user_id: str) -> frozenset[str]:
        """The workspaces that a user belongs to.

        Raises:
            DatabaseUnavailable: There is no answer.
        """
        rows = await _LIST_WORKSPACES.rows(self._pool, user_id=UUID(user_id))
        return frozenset(row[0] for row in rows)

    async def check(self) -> None:
        """Health check: the query works.

        Raises:
            DatabaseUnavailable: There is no answer.
        """
        await self.workspaces_of(str(UUID(int=0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalToken:
    """A personal access token that may be used: its id, its user, the scopes that its maker named, and its end."""

    id: str
    user_id: str
    scopes: tuple[str, ...]
    expires_at: datetime


class PersonalTokens:
    """Personal access tokens. Nothing is cached: a deleted one must be noticed within a second."""

    def __init__(self, pool: Pool) -> None:
        """Take a pool under role `taskbell_gateway`."""
        self._pool = pool

    async def find(self, digest: bytes) -> PersonalToken | None:
        """The token with this digest; None if there is none, or it has expired. Raises `DatabaseUnavailable`."""
        row = await _FIND_PERSONAL_TOKEN.row(self._pool, digest=digest)
        if row is None:
            return None
        return PersonalToken(
            id=str(row["id"]), user_id=str(row["user_id"]), scopes=tuple(row["scopes"]), expires_at=row["expires_at"]
        )

    async def live(self, token_ids: Iterable[str]) -> frozenset[str]:
        """Those that were not deleted and have not expired. Raises `DatabaseUnavailable`."""
        rows = await _LIST_LIVE_TOKENS.rows(self._pool, ids=[UUID(token_id) for token_id in token_ids])
        return frozenset(row[0] for row in rows)


class EndedSessions:
    """Sessions of accounts that ended before their tokens do, see `Revocations`."""

    def __init__(self, pool: Pool) -> None:
        """Take a pool under role `taskbell_gateway`."""
        self._pool = pool

    async def revoked(
        self, after: datetime | None, keep: timedelta, past: UUID, at_most: int
    ) -> list[tuple[UUID, datetime]]:
        """Sessions that ended after a time, or within the last `keep`, and when; the first first.

        Raises:
            DatabaseUnavailable: There is no answer.
        """
        rows = await _LIST_REVOKED.rows(self._pool, after=after, past=past, keep=keep, at_most=at_most)
        return [(bare_uuid(row["id"]), row["revoked_at"]) for row in rows]


@asynccontextmanager
async def open_database(url: str, *, pool_size: int) -> AsyncIterator[Pool]:
    """Open a pool. Nothing connects yet: a gateway starts, unready, while PostgreSQL is away."""
    lender = await open_lender(url, most=pool_size, statement_seconds=_SECONDS)
    try:
        yield Pool(lender, away=_AWAY, within=_SECONDS)
    finally:
        lender.terminate()  # its queries are short and read only: nothing is worth waiting for
