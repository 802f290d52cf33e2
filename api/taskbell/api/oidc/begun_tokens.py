"""The token of a sign-in that was begun: signed with the keys of access tokens, so that no process must remember it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from joserfc.jwk import KeySet

from taskbell.api.accounts.tokens import issued, verified
from taskbell.api.oidc.errors import SignInRefused
from taskbell.api.oidc.policy import Begun
from taskbell.contract.tokens import TokenType
from taskbell.kit import jwt
from taskbell.kit.ids import new_id
from taskbell.kit.jwt import TokenRefused

TTL: Final = timedelta(minutes=10)
"""How long a person has at the provider."""
_SEED_BYTES: Final = 32


def begin(*, provider: str, redirect_uri: str, keys: KeySet) -> tuple[Begun, str]:
    """Begin a sign-in; returns it with its token."""
    claims = issued(TTL)
    begun = Begun(
        id=new_id(),
        provider=provider,
        redirect_uri=redirect_uri,
        seed=secrets.token_bytes(_SEED_BYTES),
        expires_at=claims["exp"],
    )
    own = {
        "jti": str(begun.id),
        "idp": provider,
        "redirect_uri": redirect_uri,
        "seed": base64.b64encode(begun.seed).decode(),
    }
    return begun, jwt.sign(claims | own, token_type=TokenType.SIGN_IN, keys=keys)


def read(token: str, *, keys: KeySet) -> Begun:
    """Read the token. Raises `SignInRefused` if it is malformed, expired or forged."""
    try:
        return verified(_read, token, token_type=TokenType.SIGN_IN, keys=keys)
    except TokenRefused as refused:
        raise SignInRefused(f"The sign_in_token was refused: {refused}. Begin again.") from refused


def _read(claims: Mapping[str, Any]) -> Begun:
    try:
        return Begun(
            id=UUID(claims["jti"]),
            provider=str(claims["idp"]),
            redirect_uri=str(claims["redirect_uri"]),
            seed=base64.b64decode(claims["seed"], validate=True),
            expires_at=int(claims["exp"]),
        )
    except (KeyError, TypeError, AttributeError) as missing:
        raise ValueError("a claim is missing or malformed") from missing
