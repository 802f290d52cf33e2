"""Signing in: the user of a credential, and for how long it is valid."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from taskbell.contract.frames import CloseCode
from taskbell.contract.tokens import TokenType
from taskbell.gateway import metrics
from taskbell.gateway.actions import Identity, Refusal
from taskbell.gateway.inputs import Credential
from taskbell.gateway.keys import Keys, KeysUnavailable
from taskbell.gateway.session import TRY_AGAIN_LATER
from taskbell.kit.jwt import TokenRefused
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_once import OneTimeNames


class SignIns:
    """Verifies access tokens and redeems tickets, each ticket once among all gateways."""

    def __init__(
        self, keys: Keys, used: OneTimeNames, *, ticket_session: float, monotonic: Callable[[], float]
    ) -> None:
        """`ticket_session` is how many seconds a connection by ticket lasts. `monotonic` is the sessions' clock."""
        self._keys = keys
        self._used = used
        self._ticket_session = ticket_session
        self._monotonic = monotonic

    async def verify(self, credential: Credential) -> Identity | Refusal:
        """Return the user of a credential, or why it is refused. A ticket works once."""
        kind = "ticket" if credential.is_ticket else "token"
        try:
            identity = await (self._redeem if credential.is_ticket else self._read)(credential.text)
        except TokenRefused as refused:
            metrics.SIGN_INS.labels(kind=kind, outcome="refused").inc()
            return Refusal("sign_in_refused", str(refused), close_code=CloseCode.SIGN_IN)
        except (KeysUnavailable, BusUnavailable):
            metrics.SIGN_INS.labels(kind=kind, outcome="unavailable").inc()
            return Refusal("unavailable", "try again", retryable=True, close_code=TRY_AGAIN_LATER)
        metrics.SIGN_INS.labels(kind=kind, outcome="ok").inc()
        return identity

    async def _read(self, token: str) -> Identity:
        claims = await self._keys.verify(token, token_type=TokenType.ACCESS)
        return Identity(str(claims.user_id), self._monotonic() + claims.expires_at - time.time())

    async def _redeem(self, ticket: str) -> Identity:
        claims = await self._keys.verify(ticket, token_type=TokenType.TICKET)
        # A digest, because the bucket's names allow fewer characters than a token's id.
        if not await self._used.use(hashlib.sha256(claims.token_id.encode()).hexdigest()):
            raise TokenRefused("the ticket has been used")
        return Identity(str(claims.user_id), self._monotonic() + self._ticket_session)
