"""Accepts access tokens of providers as bearer tokens, of users who have signed in through the provider before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from taskbell.api import metrics
from taskbell.api.oidc import repository
from taskbell.api.oidc.documents import Documents
from taskbell.api.oidc.errors import ProviderUnavailable
from taskbell.api.oidc.policy import judge_access_token
from taskbell.api.oidc.providers import Provider
from taskbell.api.oidc.signatures import read_header, read_issuer, verify
from taskbell.contract.scopes import Scope
from taskbell.contract.tokens import Claims
from taskbell.kit.jwt import RememberedTokens, TokenRefused
from taskbell.store.pool import Database

LONGEST: Final = 600
"""Seconds for which a verified token is remembered at most. Then its key and its user are looked up again."""
_SCOPES: Final = frozenset[str](Scope)
"""All of them: what no scope permits, the safety of the account, is for sessions alone."""


class ProviderTokens:
    """Verifies access tokens of the providers that have audiences in the settings."""

    def __init__(
        self,
        database: Database,
        *,
        known: Iterable[tuple[Provider, Documents]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the providers with what each publishes."""
        self._database = database
        self._known = {provider.issuer: (provider, documents) for provider, documents in known if provider.audiences}
        self._clock = clock
        self._remembered: RememberedTokens[Claims] = RememberedTokens(clock=clock)

    def accepts(self, token: str) -> bool:
        """Whether a token claims to be one of these providers'."""
        return bool(self._known) and read_issuer(token) in self._known

    async def get(self, token: str) -> Claims:
        """Return the claims of a token for which `accepts` is true.

        Raises:
            TokenRefused: It is not valid, or nobody has signed in with its subject.
            ProviderUnavailable: The provider's keys are needed, and it does not answer as it should.
        """
        found = self._remembered.find(token)
        if found is not None:
            return found
        provider, documents = self._known[read_issuer(token) or ""]
        try:
            claims = await self._verify(provider, documents, token)
        except (TokenRefused, ProviderUnavailable) as refused:
            outcome = "refused" if isinstance(refused, TokenRefused) else "unavailable"
            metrics.PROVIDER_TOKENS.labels(provider=provider.id, outcome=outcome).inc()
            raise
        metrics.PROVIDER_TOKENS.labels(provider=provider.id, outcome="ok").inc()
        until = min(claims.expires_at, int(self._clock()) + LONGEST)
        self._remembered.remember(token, claims, expires_at=until)
        return claims

    async def _verify(self, provider: Provider, documents: Documents, token: str) -> Claims:
        header = read_header(token, algorithms=provider.algorithms)
        said = verify(token, await documents.key(header), algorithm=header["alg"])
        subject, expires_at = judge_access_token(provider, header, said, now=self._clock())
        account = await repository.find_account(self._database, issuer=provider.issuer, subject=subject)
        if account is None:
            raise TokenRefused("nobody has signed in through the provider with its subject")
        return Claims(
            user_id=account.user_id,
            workspace_id=account.workspace_id,
            session_id=account.user_id,  # it ends with the account
            token_id=str(said.get("jti", "")),
            expires_at=expires_at,
            scopes=_SCOPES,
        )
