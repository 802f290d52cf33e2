"""Device tokens: a device that signed in before signs in whatever others do to the account.

See "Slow Down Online Guessing Attacks with Device Cookies" (OWASP). A device token grants nothing: the password is
needed all the same. It lifts only the pauses that strangers cause.
"""

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


@dataclass(frozen=True, slots=True)
class Device:
    """The claims of a device token.

    Attributes:
        user_id: Whose account the device signed in to (`sub`).
        id: The session that it began or continued (`sid`).
        password_version: Which password it signed in with (`pwv`): a change of the password ends all device tokens.
    """

    user_id: UUID
    id: UUID
    password_version: int

    @classmethod
    def read(cls, claims: Mapping[str, Any]) -> Self:
        """Read the claims. Raises `ValueError` if one is missing or malformed."""
        try:
            return cls(user_id=UUID(claims["sub"]), id=UUID(claims["sid"]), password_version=int(claims["pwv"]))
        except (KeyError, TypeError, AttributeError) as missing:
            raise ValueError("a claim is missing or malformed") from missing


class Devices:
    """Issues and reads device tokens."""

    def __init__(self, *, keys: KeySet, ttl: timedelta) -> None:
        self._keys = keys
        self._ttl = ttl

    def issue(self, device: Device) -> str:
        """Sign a token that is valid from now."""
        own = {"sub": str(device.user_id), "sid": str(device.id), "pwv": device.password_version}
        return jwt.sign(issued(self._ttl) | own, token_type=TokenType.DEVICE, keys=self._keys)

    def read(self, token: str) -> Device | None:
        """What a valid token says. None if it is malformed, expired or forged: then it is as if none were given."""
        try:
            return verified(Device.read, token, token_type=TokenType.DEVICE, keys=self._keys)
        except TokenRefused:
            return None
