"""Signing in: the user of a credential, and for how long it is valid."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable

from taskbell.contract import personal_tokens
from taskbell.contract.frames import CloseCode
from taskbell.contract.scopes import Scope, granted
from taskbell.contract.tokens import PERSONAL_PREFIX, TokenType
from taskbell.gateway import metrics
from taskbell.gateway.actions import Identity, Refusal
from taskbell.gateway.inputs import Credential
from taskbell.gateway.keys import Keys, KeysUnavailable
from taskbell.gateway.refusals import SCOPE_MISSING
from taskbell.gateway.repository import DatabaseUnavailable, PersonalTokens
from taskbell.gateway.session import TRY_AGAIN_LATER
from taskbell.kit.jwt import TokenRefused
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_once import OneTimeNames


class SignIns:
    """Verifies access tokens and personal ones, and redeems tickets, each ticket once among all gateways."""

    def __init__(
        self,
        keys: Keys,
        used: OneTimeNames,
        tokens: PersonalTokens,
        *,
        ticket_session: float,
        monotonic: Callable[[], float],
    ) -> None:
        """`ticket_session` is how many seconds a connection by ticket lasts. `monotonic` is the sessions' clock."""
        self._keys = keys
        self._used = used
        self._tokens = tokens
        self._ticket_session = ticket_session
        self._monotonic = monotonic

    async def verify(self, credential: Credential) -> Identity | Refusal:
        """Return the user of a credential, or why it is refused. A ticket works once."""
        kind, verify = self._way(credential)
        try:
            identity = await verify(credential.text)
        except TokenRefused as refused:
            metrics.SIGN_INS.labels(kind=kind, outcome="refused").inc()
            return Refusal("sign_in_refused", str(refused), close_code=CloseCode.SIGN_IN)
        except (KeysUnavailable, BusUnavailable, DatabaseUnavailable):
            metrics.SIGN_INS.labels(kind=kind, outcome="unavailable").inc()
            return Refusal("unavailable", "try again", retryable=True, close_code=TRY_AGAIN_LATER)
        metrics.SIGN_INS.labels(kind=kind, outcome="refused" if isinstance(identity, Refusal) else "ok").inc()
        return identity

    def _way(self, credential: Credential) -> tuple[str, Callable[[str], Awaitable[Identity | Refusal]]]:
        """What a credential is called in the metrics, and how it is verified."""
        if credential.is_ticket:
            return "ticket", self._redeem
        if credential.text.startswith(PERSONAL_PREFIX):
            return "personal_token", self._look_up
        return "token", self._read

    async def _look_up(self, token: str) -> Identity | Refusal:
        if not personal_tokens.is_well_formed(token):
            raise TokenRefused("it is no whole personal access token")
        found = await self._tokens.find(personal_tokens.digest(token))
        if found is None:
            raise TokenRefused("the token is unknown, was deleted, or has expired")
        if Scope.EVENTS_READ not in granted(found.scopes):
            return SCOPE_MISSING
        return Identity(found.user_id, self._from_now(found.expires_at.timestamp()), personal_token_id=found.id)

    async def _read(self, token: str) -> Identity:
        claims = await self._keys.verify(token, token_type=TokenType.ACCESS)
        return Identity(str(claims.user_id), self._from_now(claims.expires_at), signed_in_as=claims.session_id)

    async def _redeem(self, ticket: str) -> Identity:
        claims = await self._keys.verify(ticket, token_type=TokenType.TICKET)
        # A digest, because the bucket's names allow fewer characters than a token's id.
        if not await self._used.use(hashlib.sha256(claims.token_id.encode()).hexdigest()):
            raise TokenRefused("the ticket has been used")
        expires_at, user_id = self._monotonic() + self._ticket_session, str(claims.user_id)
        if claims.personal_token_id is not None:
            return Identity(user_id, expires_at, personal_token_id=str(claims.personal_token_id))
        return Identity(user_id, expires_at, signed_in_as=claims.session_id)

    def _from_now(self, expires_at: float) -> float:
        """A time of expiry, in Unix seconds, on the clock of the sessions."""
        return self._monotonic() + expires_at - time.time()
