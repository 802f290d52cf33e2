"""Signed tokens (RFC 7519) with Ed25519 keys (RFC 8037, RFC 9864): issue, verify, and remember verified ones."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from uuid_utils.compat import uuid7

ALGORITHM = "Ed25519"
T = TypeVar("T")


class TokenRefused(Exception):
    """The token is malformed, expired, of another type or not signed by a known key."""


class SigningKeysMalformed(ValueError):
    """The configured keys are not a JWK Set (RFC 7517) of Ed25519 private keys with a `kid` each."""


def generate_keys(earlier: str | None = None) -> str:
    """Return a JWK Set: a new signing key, then the keys of `earlier`, which still verify tokens."""
    key = OKPKey.generate_key("Ed25519", parameters={"kid": str(uuid7()), "use": "sig", "alg": ALGORITHM})
    kept = parse_keys(earlier).keys if earlier else []
    return orjson.dumps(KeySet([key, *kept]).as_dict(private=True)).decode()


def parse_keys(text: str, *, private: bool = True) -> KeySet:
    """Read a JWK Set.

    Raises:
        SigningKeysMalformed: The text is not a JWK Set, the set is empty, or a private key is missing.
    """
    try:
        keys = KeySet.import_key_set(cast("Any", orjson.loads(text)))
    except (ValueError, TypeError, KeyError, JoseError) as refused:
        raise SigningKeysMalformed("not a JWK Set") from refused
    if not keys.keys:
        raise SigningKeysMalformed("the JWK Set is empty")
    for key in keys.keys:
        if not isinstance(key, OKPKey) or key.kid is None or (private and not key.is_private):
            raise SigningKeysMalformed("every key must be an Ed25519 private key (OKP) with a kid")
    return keys


def public_keys(keys: KeySet) -> dict[str, Any]:
    """Return the JWK Set document for `/.well-known/jwks.json`: public parts only."""
    return cast("dict[str, Any]", keys.as_dict(private=False))


def sign(claims: Mapping[str, Any], *, token_type: str, keys: KeySet) -> str:
    """Sign claims with the first key of the set."""
    key = keys.keys[0]
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": token_type}
    return jwt.encode(header, dict(claims), key, algorithms=[ALGORITHM])


def key_id(token: str) -> str | None:
    """Return the `kid` that a token names, or None. It is unverified, and only tells whether newer keys are needed."""
    from joserfc.jws import extract_compact  # noqa: PLC0415 -- only for the rare unknown key

    try:
        header = extract_compact(token.encode()).headers()
    except (ValueError, JoseError):
        return None
    found = header.get("kid")
    return found if isinstance(found, str) else None


def verify(token: str, *, token_type: str, keys: KeySet, issuer: str, audience: str, now: float) -> dict[str, Any]:
    """Return the claims of a valid token.

    Raises:
        TokenRefused: The signature, type, issuer, audience or time is wrong.
    """
    try:
        decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])
    except (ValueError, KeyError, TypeError, JoseError) as refused:
        raise TokenRefused("the token is malformed or not signed by a known key") from refused
    claims = decoded.claims
    if decoded.header.get("typ") != token_type:
        raise TokenRefused("the token is of another type")
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise TokenRefused("the token was issued for somebody else")
    expires = claims.get("exp")
    if not isinstance(expires, int) or expires <= now:
        raise TokenRefused("the token has expired")
    return claims


def verify_as(
    read: Callable[[Mapping[str, Any]], T],
    token: str,
    *,
    token_type: str,
    keys: KeySet,
    issuer: str,
    audience: str,
    now: float,
) -> T:
    """Return what `read` makes of the claims of a valid token.

    Raises:
        TokenRefused: The token is not valid, or `read` raised `ValueError`.
    """
    claims = verify(token, token_type=token_type, keys=keys, issuer=issuer, audience=audience, now=now)
    try:
        return read(claims)
    except ValueError as malformed:
        raise TokenRefused("a claim is missing or malformed") from malformed


class RememberedTokens(Generic[T]):
    """Remembers verified tokens until they expire, because verifying one costs more than a query.

    It holds at most `capacity` tokens and forgets the least recently used first. It remembers no refused token.
    """

    def __init__(self, *, capacity: int = 20_000, clock: Callable[[], float] = time.time) -> None:
        """Begin without any."""
        self._capacity = capacity
        self._clock = clock
        self._known: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def find(self, token: str) -> T | None:
        """The value of a token that is remembered and has not expired, or None."""
        entry = self._known.get(token)
        if entry is None:
            return None
        if entry[1] <= self._clock():
            del self._known[token]
            return None
        self._known.move_to_end(token)
        return entry[0]

    def remember(self, token: str, value: T, *, expires_at: int) -> None:
        """Remember a verified token until it expires, in Unix seconds."""
        self._known[token] = (value, expires_at)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)


class VerifiedTokens(RememberedTokens[T]):
    """The same for tokens that are verified without waiting for anything."""

    def __init__(
        self,
        verify_token: Callable[[str], tuple[T, int]],
        *,
        capacity: int = 20_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the function that verifies: it returns a value and when that expires, or raises `TokenRefused`."""
        super().__init__(capacity=capacity, clock=clock)
        self._verify = verify_token

    def get(self, token: str) -> T:
        """Return the value of a token.

        Raises:
            TokenRefused: The token is invalid or has expired.
        """
        entry = self._known.get(token)
        if entry is None:
            entry = self._verify(token)
            self.remember(token, entry[0], expires_at=entry[1])
        elif entry[1] <= self._clock():
            del self._known[token]
            raise TokenRefused("the token has expired")
        else:
            self._known.move_to_end(token)
        return entry[0]
