"""Reads and verifies a provider's tokens (RFC 7515, RFC 7519)."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey, import_key

from taskbell.kit.jwt import TokenRefused

MOST_TOKEN = 16 * 1024
"""Characters of a token that is read."""
MOST_KEYS = 64
"""Keys of a provider that are read; the further ones are passed over."""
_LEAST_RSA_BITS = 2048
_KINDS = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
"""The kind of key by the first letters of the algorithm."""


def read_header(token: str, *, algorithms: Collection[str]) -> dict[str, Any]:
    """Read a token's header, which is not verified yet.

    Raises:
        TokenRefused: The token is malformed, too long, or its algorithm is not in the list.
    """
    header = _part(token, 0)
    if header.get("alg") not in algorithms:
        raise TokenRefused("the token is signed with an algorithm that is not accepted")
    if "crit" in header:
        raise TokenRefused("the token needs an extension that is not known")
    return header


def read_issuer(token: str) -> str | None:
    """The issuer that a token names, or None. It is unverified, and only tells whose keys to verify with."""
    try:
        found = _part(token, 1).get("iss")
    except TokenRefused:
        return None
    return found if isinstance(found, str) else None


def _part(token: str, number: int) -> dict[str, Any]:
    parts = token.split(".", 3) if len(token) <= MOST_TOKEN else []
    if len(parts) != 3:
        raise TokenRefused("the token is malformed")
    try:
        text = base64.urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4))
        found = orjson.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise TokenRefused("the token is malformed")
    return found


def verify(token: str, key: Key, *, algorithm: str) -> dict[str, Any]:
    """The claims of a token that this key has signed with this algorithm; they are not judged yet.

    Raises:
        TokenRefused: The signature is not the key's, or the key is not for this algorithm.
    """
    if not isinstance(key, _KINDS[algorithm[:2]]) or key.get("alg", algorithm) != algorithm:
        raise TokenRefused("the key is not for the token's algorithm")
    try:
        return jwt.decode(token, key, algorithms=[algorithm]).claims
    except (ValueError, KeyError, TypeError, RecursionError, JoseError) as refused:
        raise TokenRefused("the token is malformed or not signed by the provider's key") from refused


def read_keys(document: Mapping[str, Any]) -> list[Key]:
    """The keys of a JWK Set that may verify signatures. Others are passed over (RFC 7517, section 5)."""
    entries = document.get("keys")
    found: list[Key] = []
    for entry in entries[:MOST_KEYS] if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        public = {name: value for name, value in entry.items() if name not in {"x5c", "x5t", "x5t#S256", "x5u"}}
        try:
            key = import_key(public)
        except (ValueError, KeyError, TypeError, JoseError):
            continue
        if isinstance(key, OctKey) or (isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS):
            continue
        found.append(key)
    return found


def choose_key(keys: Collection[Key], header: Mapping[str, Any]) -> Key | None:
    """The key that a header names; without a name the only key there is."""
    wanted = header.get("kid")
    if wanted is None:
        return next(iter(keys)) if len(keys) == 1 else None
    return next((key for key in keys if key.kid == wanted), None)
