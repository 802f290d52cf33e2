"""Access tokens and tickets: issued here, verified here and by the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from joserfc.jwk import KeySet

from taskbell.contract.tokens import AUDIENCE, ISSUER, Claims, TokenType
from taskbell.kit import jwt
from taskbell.kit.ids import new_id

T = TypeVar("T")


def issue(
    *,
    token_type: TokenType,
    user_id: UUID,
    workspace_id: UUID,
    session_id: UUID,
    ttl: timedelta,
    keys: KeySet,
    personal_token_id: UUID | None = None,
) -> str:
    """Sign a token that is valid for `ttl` from now. A ticket tells which personal access token it was made with."""
    own = {"sub": str(user_id), "ws": str(workspace_id), "sid": str(session_id), "jti": str(new_id())}
    if personal_token_id is not None:
        own["pat"] = str(personal_token_id)
    return jwt.sign(issued(ttl) | own, token_type=token_type, keys=keys)


def issued(ttl: timedelta) -> dict[str, Any]:
    """The claims that every token of this platform has: it is valid for `ttl` from now."""
    now = int(time.time())
    return {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + int(ttl.total_seconds())}


def verified(read: Callable[[Mapping[str, Any]], T], token: str, *, token_type: TokenType, keys: KeySet) -> T:
    """What `read` makes of a token that this platform issued. Raises `TokenRefused` if it is not valid now."""
    now = time.time()
    return jwt.verify_as(read, token, token_type=token_type, keys=keys, issuer=ISSUER, audience=AUDIENCE, now=now)


def access_token_verifier(keys: KeySet) -> Callable[[str], tuple[Claims, int]]:
    """The verification whose result `VerifiedTokens` remembers."""

    def verify(token: str) -> tuple[Claims, int]:
        claims = verified(Claims.read, token, token_type=TokenType.ACCESS, keys=keys)
        return claims, claims.expires_at

    return verify
