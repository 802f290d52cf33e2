"""Challenges: what a sign-in gets for the right password while the second factor is due. They grant nothing alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from joserfc.jwk import KeySet

from taskbell.api.accounts.tokens import issued, verified
from taskbell.contract.tokens import TokenType
from taskbell.kit import jwt
from taskbell.kit.jwt import TokenRefused

TTL = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The claims of a challenge: whose (`sub`), and which password was right (`pwv`)."""

    user_id: UUID
    password_version: int

    @classmethod
    def read(cls, claims: Mapping[str, Any]) -> Self:
        """Read the claims. Raises `ValueError` if one is missing or malformed."""
        try:
            return cls(user_id=UUID(claims["sub"]), password_version=int(claims["pwv"]))
        except (KeyError, TypeError, AttributeError) as missing:
            raise ValueError("a claim is missing or malformed") from missing


class Challenges:
    """Issues and reads challenges."""

    def __init__(self, keys: KeySet) -> None:
        """Take the keys that sign tokens."""
        self._keys = keys

    def issue(self, challenge: Challenge) -> str:
        """Sign a challenge that is valid from now."""
        own = {"sub": str(challenge.user_id), "pwv": challenge.password_version}
        return jwt.sign(issued(TTL) | own, token_type=TokenType.CHALLENGE, keys=self._keys)

    def read(self, token: str) -> Challenge | None:
        """What a valid challenge says. None if it is malformed, expired or forged."""
        try:
            return verified(Challenge.read, token, token_type=TokenType.CHALLENGE, keys=self._keys)
        except TokenRefused:
            return None
