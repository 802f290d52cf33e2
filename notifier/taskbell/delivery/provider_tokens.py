"""Tokens for providers that all workers share, in PostgreSQL: a provider counts how often a key signs a new one."""

from __future__ import annotations

from taskbell.delivery.providers.tokens import StoredToken
from taskbell.kit.postgres.pool import Pool
from taskbell.kit.postgres.statements import load

_GET = load(__package__, "get_provider_token")
_SHARE = load(__package__, "share_provider_token")


class SharedTokens:
    """A `TokenStore`. Both raise `LedgerUnavailable`."""

    def __init__(self, pool: Pool) -> None:
        """Take the pool of the ledger."""
        self._pool = pool

    async def provider_token(self, provider: str, key_id: str) -> StoredToken | None:
        """Return the token of a key."""
        row = await _GET.row(self._pool, provider=provider, key_id=key_id)
        return None if row is None else StoredToken(row["token"], row["issued_at"])

    async def share_provider_token(
        self, provider: str, key_id: str, offered: StoredToken, *, unless_after: float
    ) -> StoredToken:
        """Store a token, unless there is one that was issued after this time; return the one that stands."""
        await _SHARE.count(
            self._pool,
            provider=provider,
            key_id=key_id,
            token=offered.token,
            issued_at=offered.issued_at,
            unless_after=unless_after,
        )
        return await self.provider_token(provider, key_id) or offered
