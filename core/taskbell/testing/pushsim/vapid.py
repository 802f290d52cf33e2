"""VAPID (RFC 8292): who may send to a subscription, by the `authorization` field of its requests."""

from __future__ import annotations

from taskbell.testing.pushsim.tokens import SignatureWrong, TokenMalformed, Verified, public_point, read, verify

LONGEST = 86_400.0
"""Seconds that `exp` may be ahead (section 2)."""


class VapidMissing(ValueError):
    """The request carries no VAPID authentication (401 by section 4.2)."""


class VapidWrong(ValueError):
    """The authentication is invalid (403 by section 4.2)."""


class Vapid:
    """Verifies requests of the server that the subscriptions are restricted to; each token once."""

    def __init__(self, public_key: str) -> None:
        """Take the key that browsers subscribed with, base64url."""
        self._public_key = public_key
        self._known: Verified[float] = Verified()
        self.origin = ""
        """Of the push service: what `aud` has to be."""

    def check(self, authorization: str, *, now: float) -> None:
        """Check an `authorization` field: `vapid t=<JWT>, k=<public key>` (section 3).

        Raises:
            VapidMissing: It is of another scheme, or empty.
            VapidWrong: The token or the key is wrong, or the token's time.
        """
        expires = self._known.get(authorization)
        if expires is None:
            expires = self._verify(authorization, now=now)
            self._known.note(authorization, expires)
        if expires <= now:
            raise VapidWrong("the token has expired")

    def _verify(self, authorization: str, *, now: float) -> float:
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() != "vapid":
            raise VapidMissing("the request has no VAPID authentication")
        fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        if "t" not in fields or "k" not in fields:
            raise VapidWrong("t and k are both required")
        if fields["k"].rstrip("=") != self._public_key:
            raise VapidWrong("the subscription belongs to another key")
        try:
            token = read(fields["t"])
            verify(token, public_point(fields["k"]), "ES256")
        except (TokenMalformed, SignatureWrong) as refused:
            raise VapidWrong(str(refused)) from refused
        audience = token.claims.get("aud")
        if self.origin not in (audience if isinstance(audience, list) else [audience]):
            raise VapidWrong(f"aud is {self.origin}")
        expires = token.time_claim("exp")
        if expires is None or expires > now + LONGEST:
            raise VapidWrong("exp is at most 24 hours ahead")
        return expires
