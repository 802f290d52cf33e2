"""Switches e-mail off for whoever has a token from an e-mail."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.accounts.policy import Source
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.http.client_address import ClientAddress
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Database

ALLOWED = 300
"""Requests from one address within 15 minutes before pauses begin: a mail service sends those of all its users."""
_UNSUBSCRIBE = load(__package__, "unsubscribe")


class Unsubscriptions:
    """Nobody is signed in here."""

    def __init__(self, database: Database, *, throttle: Throttle) -> None:
        """Take the primary, and what counts requests by address."""
        self._database = database
        self._throttle = throttle

    async def unsubscribe(self, token: UUID, *, address: ClientAddress) -> None:
        """Switch the e-mail off that the token belongs to; without one nothing happens, and it takes as long.

        Raises:
            SignInThrottled: Too many came from this address.
        """
        await self._throttle.count(Source.unsubscription(address=address.host, allowed=ALLOWED))
        await _UNSUBSCRIBE.value(self._database, token=token)
