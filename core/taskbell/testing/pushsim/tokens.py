"""Signed tokens as the providers read them: JWS compact (RFC 7515) with ES256 or RS256, and claims in JSON."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from taskbell.testing.pushsim.credentials import base64url, from_base64url

T = TypeVar("T")
_LONGEST = 8_192  # characters


class TokenMalformed(ValueError):
    """It is no JWS of JSON objects, or not with this algorithm."""


class SignatureWrong(ValueError):
    """Another key signed it."""


@dataclass(frozen=True, slots=True)
class Token:
    """The header and the claims of a token; their signature may still be unverified."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]

    def text_claim(self, name: str) -> str | None:
        """A claim that is text."""
        found = self.claims.get(name)
        return found if isinstance(found, str) else None

    def time_claim(self, name: str) -> float | None:
        """A claim that is a time in Unix seconds (RFC 7519, NumericDate)."""
        found = self.claims.get(name)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        return float(found) if -1e15 < found < 1e15 else None


def read(text: str) -> Token:
    """Read a token without verifying it.

    Raises:
        TokenMalformed: It is none.
    """
    parts = text.split(".")
    if len(parts) != 3 or len(text) > _LONGEST:
        raise TokenMalformed("three parts, and at most 8192 characters")
    try:
        header, claims = (orjson.loads(from_base64url(part)) for part in parts[:2])
    except ValueError as refused:
        raise TokenMalformed("header and claims are JSON in base64url") from refused
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenMalformed("header and claims are JSON objects")
    return Token(text, header, claims)


def verify(token: Token, key: ECKey | RSAKey, algorithm: str) -> None:
    """Verify the signature.

    Raises:
        TokenMalformed: The token names another algorithm.
        SignatureWrong: The key did not sign it.
    """
    if token.header.get("alg") != algorithm:
        raise TokenMalformed(f"alg is {algorithm}")
    try:
        jws.deserialize_compact(token.text, key, algorithms=[algorithm])
    except (ValueError, KeyError, TypeError, JoseError) as refused:
        raise SignatureWrong("the signature does not fit") from refused


def public_point(text: str) -> ECKey:
    """Read an uncompressed point of P-256 in base64url, as VAPID's `k` (RFC 8292 section 3.2).

    Raises:
        TokenMalformed: It is none.
    """
    try:
        raw = from_base64url(text)
        if len(raw) != 65 or raw[0] != 4:
            raise TokenMalformed("65 bytes that begin with 4")
        key: dict[str, str | list[str]] = {
            "kty": "EC",
            "crv": "P-256",
            "x": base64url(raw[1:33]),
            "y": base64url(raw[33:]),
        }
        found: ECKey = ECKey.import_key(key)
        found.get_op_key("verify")  # it refuses a point that is not on the curve
    except (ValueError, TypeError, JoseError) as refused:
        raise TokenMalformed("a point of P-256 in base64url") from refused
    return found


class Verified(Generic[T]):
    """Remembers what was verified, because verifying costs more than all else; at most 10,000, the latest used."""

    def __init__(self, capacity: int = 10_000) -> None:
        """Begin empty."""
        self._known: OrderedDict[str, T] = OrderedDict()
        self._capacity = capacity

    def get(self, text: str) -> T | None:
        """What was noted for this text."""
        return self._known.get(text)

    def note(self, text: str, value: T) -> None:
        """Remember."""
        self._known[text] = value
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def values(self) -> list[T]:
        """All that is remembered."""
        return [*self._known.values()]

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
