"""Tokens, as the API issues and the gateway verifies them: types, claims, lifetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

ISSUER = "taskbell"
AUDIENCE = "taskbell"
TICKET_TTL = timedelta(seconds=30)
LONGEST_ACCESS = timedelta(days=1)
"""The longest that an access token may be valid: so long the end of its session is remembered."""
REFRESH_PREFIX = "tbr_"
"""A refresh token is an opaque random string with this prefix, never a JWT: it cannot pass as an access token."""
PERSONAL_PREFIX = "tbp_"
"""A personal access token begins with this, never a JWT. Tools that search for leaked secrets know it by that."""


class TokenType(StrEnum):
    """The `typ` header of a JWT. A verifier accepts one type alone (RFC 8725, section 3.11)."""

    ACCESS = "at+jwt"
    """RFC 9068."""
    TICKET = "ticket+jwt"
    """One WebSocket sign-in."""
    CHALLENGE = "challenge+jwt"
    """What a sign-in got for the right password while a second factor is due."""
    DEVICE = "device+jwt"
    """What a device that signed in shows at its next sign-in; it grants nothing by itself."""
    SIGN_IN = "sign-in+jwt"
    """A sign-in through a provider that has begun; it grants nothing by itself."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token.

    Attributes:
        user_id: The user (`sub`).
        workspace_id: The user's personal workspace (`ws`).
        session_id: The refresh family that it belongs to (`sid`), or the id of the personal access token.
        token_id: Its own id (`jti`).
        expires_at: Unix seconds (`exp`).
        scopes: What a personal access token may do; None for a session, which may do everything. No claim of a JWT.
        personal_token_id: The personal access token that it stands for, or that a ticket was made with (`pat`).
    """

    user_id: UUID
    workspace_id: UUID
    session_id: UUID
    token_id: str
    expires_at: int
    scopes: frozenset[str] | None = None
    personal_token_id: UUID | None = None

    @classmethod
    def read(cls, claims: Mapping[str, Any]) -> Self:
        """Read the claims of a token of this platform.

        Raises:
            ValueError: A claim is missing or malformed.
        """
        try:
            return cls(
                user_id=UUID(claims["sub"]),
                workspace_id=UUID(claims["ws"]),
                session_id=UUID(claims["sid"]),
                token_id=str(claims["jti"]),
                expires_at=int(claims["exp"]),
                personal_token_id=UUID(claims["pat"]) if "pat" in claims else None,
            )
        except (KeyError, TypeError, AttributeError) as missing:
            raise ValueError("a claim is missing or malformed") from missing
