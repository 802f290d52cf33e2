"""Connections that depend on a personal access token: they end with it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from taskbell.gateway.repository import DatabaseUnavailable, PersonalTokens

_EVERY = 0.5
"""Seconds between two questions, so that a connection outlives its token by less than one."""


class Dependant(Protocol):
    """A connection that depends on a token."""

    def token_ended(self) -> None:
        """Close it: the token was deleted, or has expired."""


class TokenWatch:
    """Asks PostgreSQL which tokens of open connections still live. It asks nothing while there is no such connection.

    While PostgreSQL is away nobody can delete a token, and the connections stay.
    """

    def __init__(self, tokens: PersonalTokens) -> None:
        """Watch no token."""
        self._tokens = tokens
        self._watched: dict[Dependant, str] = {}

    def begin(self, connection: Dependant, token_id: str) -> None:
        """Watch the token of a connection, in place of the one that it had."""
        self._watched[connection] = token_id

    def end(self, connection: Dependant) -> None:
        """Watch for a connection no longer: it is gone, or depends on no token any more."""
        self._watched.pop(connection, None)

    async def run(self) -> None:
        """Role: look regularly."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.look()

    async def look(self) -> None:
        """Close the connections whose tokens have ended."""
        if not self._watched:
            return
        asked = dict(self._watched)
        try:
            live = await self._tokens.live({*asked.values()})
        except DatabaseUnavailable:  # `/readyz` reports it
            return
        for connection, token_id in asked.items():
            if token_id not in live and self._watched.get(connection) == token_id:
                connection.token_ended()
