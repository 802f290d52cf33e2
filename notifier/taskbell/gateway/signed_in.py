"""Connections by the session of the account that they signed in with: its end ends them."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol
from uuid import UUID

from taskbell.contract.frames import CloseCode
from taskbell.gateway.actions import Identity, Refusal

SESSION_ENDED = Refusal("session_ended", "the session has ended: sign in again", close_code=CloseCode.SIGN_IN)


class Connected(Protocol):
    """A connection, as seen from here."""

    def session_ended(self) -> None:
        """Close the connection."""


class SignedIn:
    """The connections of this process by session, each under the one of its newest credential."""

    def __init__(self, ended: Container[UUID]) -> None:
        """Take the sessions that have ended."""
        self._ended = ended
        self._connections: dict[UUID, set[Connected]] = {}
        self._sessions: dict[Connected, UUID] = {}

    def refusal(self, identity: Identity) -> Refusal | None:
        """Why a credential is worth nothing any more: its session has ended; None if it is worth something."""
        return SESSION_ENDED if identity.signed_in_as in self._ended else None

    def admit(self, identity: Identity, connection: Connected) -> None:
        """Note with which session a connection signed in, in place of the one before."""
        self.leave(connection)
        session_id = identity.signed_in_as
        if session_id is not None:
            self._sessions[connection] = session_id
            self._connections.setdefault(session_id, set()).add(connection)

    def leave(self, connection: Connected) -> None:
        """Forget a connection, if it ever signed in."""
        session_id = self._sessions.pop(connection, None)
        if session_id is not None:
            others = self._connections[session_id]
            others.discard(connection)
            if not others:
                del self._connections[session_id]

    def end(self, session_id: UUID) -> None:
        """Close the connections of a session that has ended."""
        for connection in list(self._connections.get(session_id, ())):
            connection.session_ended()
