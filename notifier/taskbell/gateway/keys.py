"""The API's public keys, and the tokens they verify."""

from __future__ import annotations

import asyncio
import time

import httpx
import structlog
from joserfc.jwk import KeySet

from taskbell.contract.tokens import AUDIENCE, ISSUER, Claims, TokenType
from taskbell.gateway import metrics
from taskbell.kit.jwt import SigningKeysMalformed, VerifiedTokens, key_id, parse_keys, verify_as

_log = structlog.get_logger(__name__)

_REFRESH_SECONDS = 600.0
"""Seconds after which a key that the API withdrew no longer verifies."""


class KeysUnavailable(Exception):
    """No key is known yet: the API did not answer so far."""


class Keys:
    """Verifies tokens by the API's JWK Set, which it fetches every 10 minutes and for an unknown `kid`."""

    def __init__(self, client: httpx.AsyncClient, url: str, *, cool_down: float) -> None:
        """Take a client, which the caller closes. Unknown keys cause at most one fetch in `cool_down` seconds."""
        self._client = client
        self._url = url
        self._cool_down = cool_down
        self._keys: KeySet | None = None
        self._fetched_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._access_tokens = VerifiedTokens(self._verify_access)

    async def run(self) -> None:
        """Role: keep the keys fresh."""
        while True:
            await self._fetch()
            await asyncio.sleep(_REFRESH_SECONDS if self._keys else 0.5)

    async def check(self) -> None:
        """Health check.

        Raises:
            KeysUnavailable: No key is known yet.
        """
        if self._keys is None:
            raise KeysUnavailable("no keys yet")

    async def verify(self, token: str, *, token_type: TokenType) -> Claims:
        """Verify a token; return its claims.

        Raises:
            TokenRefused: It is not valid, or of another type.
            KeysUnavailable: No key is known yet.
        """
        await self._know(key_id(token))
        return self._access_tokens.get(token) if token_type is TokenType.ACCESS else self._verify(token, token_type)

    async def _know(self, wanted: str | None) -> None:
        if self._knows(wanted):
            return
        async with self._fetching:
            waited = time.monotonic() - self._fetched_at
            if not self._knows(wanted) and waited >= self._cool_down:
                await self._fetch()
        await self.check()

    def _knows(self, wanted: str | None) -> bool:
        return self._keys is not None and (wanted is None or any(key.kid == wanted for key in self._keys.keys))

    async def _fetch(self) -> None:
        """Replace the keys; if that fails, keep those that are known."""
        self._fetched_at = time.monotonic()
        try:
            answer = await self._client.get(self._url)
            answer.raise_for_status()
            keys = parse_keys(answer.text, private=False)
        except (httpx.HTTPError, SigningKeysMalformed) as failed:
            metrics.KEY_FETCHES.labels(outcome="failed").inc()
            _log.warning("key_fetch_failed", error=repr(failed))
            return
        metrics.KEY_FETCHES.labels(outcome="ok").inc()
        if self._keys is None or {key.kid for key in keys.keys} != {key.kid for key in self._keys.keys}:
            self._keys = keys
            self._access_tokens = VerifiedTokens(self._verify_access)  # forget what a withdrawn key verified

    def _verify_access(self, token: str) -> tuple[Claims, int]:
        claims = self._verify(token, TokenType.ACCESS)
        return claims, claims.expires_at

    def _verify(self, token: str, token_type: TokenType) -> Claims:
        if self._keys is None:
            raise KeysUnavailable("no keys yet")
        return verify_as(
            Claims.read,
            token,
            token_type=token_type,
            keys=self._keys,
            issuer=ISSUER,
            audience=AUDIENCE,
            now=time.time(),
        )
