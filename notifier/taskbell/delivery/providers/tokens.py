"""The tokens that providers ask for: Google's by OAuth 2 (RFC 7523), Apple's signed here and shared by all workers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import orjson
import structlog
from joserfc import jwt
from joserfc.jwk import ECKey

from taskbell.delivery import metrics
from taskbell.delivery.providers.connection import Answer, NoAnswer
from taskbell.delivery.providers.credentials import ServiceAccount
from taskbell.delivery.providers.http2 import Client, read_address
from taskbell.delivery.providers.verdicts import Verdict, later
from taskbell.delivery.repository import LedgerUnavailable
from taskbell.delivery.retry_after import seconds_of

_log = structlog.get_logger(__name__)
_SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 3600
_EARLY: Final = 300.0
"""How long before a Google token expires the next one is asked for, while the old one still serves."""
_LAST_SECONDS: Final = 30.0
_SHORTEST_LIFE: Final = 60.0
"""A Google token that is younger is not replaced, even if it was refused: a new one would be refused too."""
_PAUSE: Final = 5.0
_LONG_PAUSE: Final = 60.0
_APPLE_SERVES: Final = 45 * 60.0
"""Seconds for which a token for Apple is used; at 60 minutes Apple refuses it."""
_APPLE_AT_MOST: Final = 55 * 60.0
_APPLE_LEAST: Final = 20 * 60.0
"""Apple refuses a key that signs a new token more often (429 TooManyProviderTokenUpdates)."""


_TOKEN: Final = re.compile(r"[!-~]{1,8192}")


class TokenUnavailable(Exception):
    """There is no token now; `verdict` says what follows for the attempt."""

    def __init__(self, verdict: Verdict) -> None:
        """Take the verdict."""
        super().__init__(verdict.reason)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    got: float
    until: float


class GoogleToken:
    """An access token of a service account, for all attempts of this process.

    It is renewed early, by one request for all that wait, and after a failure not at once again.
    """

    def __init__(self, client: Client, account: ServiceAccount, *, clock: Callable[[], float] = time.time) -> None:
        """Take the client that asks, and the account."""
        self._client = client
        self._account = account
        self._clock = clock
        self._origin, self._path = read_address(account.token_uri, any_port=True)
        self._held: _Held | None = None
        self._renewing: asyncio.Task[Verdict | None] | None = None
        self._failed: tuple[Verdict, float] | None = None

    async def get(self) -> str:
        """Return a token that is valid for some seconds at least. Raises `TokenUnavailable`."""
        now = self._clock()
        held = self._held
        if held is not None and now < held.until - _EARLY:
            return held.token
        if self._failed is not None and now >= self._failed[1]:
            self._failed = None
        if self._failed is None and self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(), name="google-token")
        if held is not None and now < held.until - _LAST_SECONDS:
            return held.token
        if self._renewing is not None:
            failure = await asyncio.shield(self._renewing)
        else:
            failure = self._failed[0] if self._failed is not None else None
        if failure is not None or self._held is None:
            raise TokenUnavailable(failure or later(None, "no token", "token", pause=_PAUSE))
        return self._held.token

    def refuse(self, token: str) -> bool:
        """Forget a token that was refused. Returns whether it makes sense to `get` another one."""
        held = self._held
        if held is None or held.token != token:
            return True
        if self._clock() - held.got < _SHORTEST_LIFE:
            return False
        self._held = None
        return True

    async def close(self) -> None:
        """End a renewal that nobody waits for."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])

    async def _renew(self) -> Verdict | None:
        now = self._clock()
        try:
            answer = await self._ask(int(now))
        except NoAnswer as missing:
            failure: Verdict | None = later(None, f"token: {missing}", "token", pause=_PAUSE)
        else:
            found = _read_token(answer, now=now)
            failure = found if isinstance(found, Verdict) else None
            self._held = self._held if isinstance(found, Verdict) else found
        finally:
            self._renewing = None
        metrics.TOKENS.labels(provider="fcm", outcome="renewed" if failure is None else "failed").inc()
        if failure is not None:
            self._failed = (failure, now + (failure.outcome.provider_pause or _PAUSE))
            _log.error("provider_token_unavailable", provider="fcm", error=failure.outcome.error)
        return failure

    async def _ask(self, now: int) -> Answer:
        account = self._account
        claims = {
            "iss": account.client_email,
            "scope": _SCOPE,
            "aud": account.token_uri,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        header = {"alg": "RS256", "kid": account.key_id}
        assertion = jwt.encode(header, claims, account.key, algorithms=["RS256"])
        body = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
        fields = [(b"content-type", b"application/x-www-form-urlencoded"), (b"accept", b"application/json")]
        return await self._client.post(self._origin, self._path, fields, body)


def _read_token(answer: Answer, *, now: float) -> _Held | Verdict:
    """Read the answer of a token endpoint (RFC 6749, section 5)."""
    if answer.status != 200:
        ours = 400 <= answer.status < 500 and answer.status != 429
        pause = seconds_of(answer.retry_after, now=now) or (_LONG_PAUSE if ours else _PAUSE)
        return later(answer.status, f"token: answered {answer.status}", "token", pause=pause, ours=ours)
    try:
        document: Any = orjson.loads(answer.body)
        token, lifetime = document["access_token"], document["expires_in"]
    except (ValueError, KeyError, TypeError):
        token, lifetime = None, None
    if isinstance(token, str) and _TOKEN.fullmatch(token) and isinstance(lifetime, int) and lifetime > 0:
        return _Held(token, now, now + min(lifetime, _ASSERTION_SECONDS))
    return later(200, "token: the answer has none", "token", pause=_PAUSE)


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token that all workers share. `issued_at` is its `iat`, in Unix seconds."""

    token: str
    issued_at: float


class TokenStore(Protocol):
    """Where workers share tokens. Both raise `LedgerUnavailable`."""

    async def provider_token(self, provider: str, key_id: str) -> StoredToken | None:
        """Return the token of a key."""

    async def share_provider_token(
        self, provider: str, key_id: str, offered: StoredToken, *, unless_after: float
    ) -> StoredToken:
        """Store a token, unless there is one that was issued after this time; return the one that stands."""


class AppleToken:
    """The provider token of a key (ES256), one for all workers, each used for 45 minutes."""

    def __init__(
        self, key: ECKey, *, key_id: str, team_id: str, store: TokenStore, clock: Callable[[], float] = time.time
    ) -> None:
        """Take the key, its id, the team that has it, and the store."""
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._name = f"{team_id}.{key_id}"  # who corrects the team must not get the former token
        self._store = store
        self._clock = clock
        self._held: StoredToken | None = None
        self._one_at_a_time = asyncio.Lock()

    async def get(self) -> str:
        """Return the token. Raises `TokenUnavailable`."""
        held = self._held
        if held is not None and self._clock() - held.issued_at < _APPLE_SERVES:
            return held.token
        return await self._replace(held, older_than=self._clock() - _APPLE_SERVES)

    async def replace(self, refused: str) -> str:
        """Return another token than one that Apple calls expired, of another worker or new.

        Raises:
            TokenUnavailable: It is younger than 20 minutes, so that Apple would take no new one; the clock is wrong.
        """
        held = self._held
        if held is None or held.token != refused:
            return await self.get()
        left = held.issued_at + _APPLE_LEAST - self._clock()
        if left > 0:
            raise TokenUnavailable(
                later(403, "403 ExpiredProviderToken", "ExpiredProviderToken", pause=min(left, _LONG_PAUSE), ours=True)
            )
        return await self._replace(held, older_than=held.issued_at)

    async def _replace(self, former: StoredToken | None, *, older_than: float) -> str:
        async with self._one_at_a_time:
            if self._held is not None and self._held is not former:
                return self._held.token  # another attempt has replaced it
            try:
                stored = await self._store.provider_token("apns", self._name)
                if stored is None or stored.issued_at <= older_than:
                    stored = await self._store.share_provider_token(
                        "apns", self._name, self._sign(), unless_after=older_than
                    )
                    metrics.TOKENS.labels(provider="apns", outcome="renewed").inc()
            except LedgerUnavailable as away:
                metrics.TOKENS.labels(provider="apns", outcome="failed").inc()
                if former is not None and self._clock() - former.issued_at < _APPLE_AT_MOST:
                    return former.token
                raise TokenUnavailable(later(None, "token: no ledger", "token", pause=_PAUSE)) from away
            self._held = stored
            return stored.token

    def _sign(self) -> StoredToken:
        now = int(self._clock())
        header = {"alg": "ES256", "kid": self._key_id}
        claims = {"iss": self._team_id, "iat": now}
        return StoredToken(jwt.encode(header, claims, self._key, algorithms=["ES256"]), now)
