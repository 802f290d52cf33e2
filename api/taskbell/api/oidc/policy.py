"""Decisions about sign-ins through providers, without I/O: what tokens must say, and whom they speak of."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskbell.api.accounts.emails import EmailMalformed, normalised
from taskbell.api.oidc.errors import EmailNotAllowed, EmailNotVerified, ProviderRefused
from taskbell.api.oidc.providers import Provider
from taskbell.kit.jwt import TokenRefused

LEEWAY = 30
"""Seconds by which a provider's clock may be ahead of ours, or behind."""
MOST_SUBJECT = 255
"""Characters; OpenID Connect Core, section 2, permits as many."""
_MOST_NAME = 255
_LATEST = 2**53
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}
_VERIFIED = (True, "true", 1, "1")
"""What providers say for yes: Cognito's texts, and Entra's `xms_edov` as a number."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that was begun: what its token says.

    The client keeps the token, and the secrets that the provider gets or returns are derived from its seed. So nothing
    is stored before the sign-in is finished, and whoever reads the redirect alone cannot finish it.

    Attributes:
        id: By which it is used once.
        provider: Id of the provider.
        redirect_uri: Where the provider sends the browser.
        seed: Random bytes.
        expires_at: Unix seconds.
    """

    id: UUID
    provider: str
    redirect_uri: str
    seed: bytes
    expires_at: int

    @property
    def state(self) -> str:
        """What the redirect carries back: it belongs to this token, and to nobody else's."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """What the ID token must contain: it was made for this sign-in."""
        return self._derived("nonce")

    @property
    def code_verifier(self) -> str:
        """The secret of PKCE (RFC 7636): the code works for this sign-in alone."""
        return self._derived("code_verifier")

    def _derived(self, purpose: str) -> str:
        return base64.urlsafe_b64encode(hmac.digest(self.seed, purpose.encode(), "sha256")).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a valid ID token speaks of.

    Attributes:
        subject: The provider's own name of the user.
        email: A verified address, normalised.
        name: For people.
    """

    subject: str
    email: str
    name: str


def read_person(provider: Provider, claims: Mapping[str, Any]) -> Person:
    """Read the claims of a valid ID token.

    Raises:
        ProviderRefused: The subject or the e-mail address is missing or malformed.
        EmailNotVerified: The provider does not vouch for the address.
        EmailNotAllowed: The settings do not permit its domain.
    """
    subject = read_subject(claims)
    if subject is None:
        raise ProviderRefused("The provider's ID token has no valid subject (sub).")
    given = claims.get("email")
    try:
        email = normalised(given) if isinstance(given, str) and "\x00" not in given else None
    except EmailMalformed:
        email = None
    if email is None:
        raise ProviderRefused("The provider's ID token has no valid e-mail address (email); ask for the scope email.")
    domain = email.rpartition("@")[2]
    if provider.allowed_domains and domain not in provider.allowed_domains:
        raise EmailNotAllowed
    said = claims.get(provider.email_verified_claim)
    if domain not in provider.verified_domains and said not in _VERIFIED:
        raise EmailNotVerified
    return Person(subject=subject, email=email, name=_read_name(claims) or email.partition("@")[0])


def read_subject(claims: Mapping[str, Any]) -> str | None:
    """The subject of a token, or None when it is missing or malformed."""
    found = claims.get("sub")
    if not isinstance(found, str) or not 1 <= len(found) <= MOST_SUBJECT or not found.isprintable():
        return None
    return found


def _read_name(claims: Mapping[str, Any]) -> str:
    found = claims.get("name")
    return found.replace("\x00", "").strip()[:_MOST_NAME].strip() if isinstance(found, str) else ""


def judge_access_token(
    provider: Provider, header: Mapping[str, Any], claims: Mapping[str, Any], *, now: float
) -> tuple[str, int]:
    """Decide about an access token whose signature is valid. Returns its subject and when it expires.

    Raises:
        TokenRefused: It is not for Taskbell, not now, or no access token.
    """
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise TokenRefused("the token is of another type")
    _require_purpose(provider, claims)
    expires = _time(claims.get("exp"))
    if expires is None or expires <= now:
        raise TokenRefused("the token has expired")
    for name in ("nbf", "iat"):
        begins = _time(claims.get(name, 0))
        if begins is None or begins > now + LEEWAY:
            raise TokenRefused("the token is not valid yet")
    subject = read_subject(claims)
    if subject is None:
        raise TokenRefused("the token has no valid subject")
    return subject, int(expires)


def _require_purpose(provider: Provider, claims: Mapping[str, Any]) -> None:
    """Check who issued it, to whom and for what. Raises `TokenRefused`."""
    if claims.get("iss") != provider.issuer:
        raise TokenRefused("the token has another issuer")
    if not _named(claims.get(provider.audience_claim)) & set(provider.audiences):
        raise TokenRefused("the token is for another audience")
    party = claims.get("azp", claims.get("client_id"))
    if party is not None and party not in provider.parties:
        raise TokenRefused("the token was issued to a client that is not accepted")
    if "cnf" in claims:
        raise TokenRefused("the token is bound to a key, so it is no bearer token")
    for name, wanted in provider.access_token_claims.items():
        found = claims.get(name)
        if wanted not in _named(found) and not (isinstance(found, str) and wanted in found.split()):
            raise TokenRefused(f"the claim {name} is missing or has another value")


def _named(value: Any) -> set[str]:
    """A claim's text, or its list of texts."""
    if isinstance(value, str):
        return {value}
    return {each for each in value if isinstance(each, str)} if isinstance(value, list) else set()


def _time(value: Any) -> float | None:
    """A claim that is a time, or None; JSON as Python reads it has infinity and `NaN` too."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value < _LATEST else None
