"""APNs' provider tokens: ES256, signed by the key of a team, 20 to 60 minutes of use.

Source: https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
("refresh your token no more than once every 20 minutes and no less than once every 60 minutes").
"""

from __future__ import annotations

from joserfc.jwk import ECKey

from taskbell.testing.pushsim.credentials import Credentials
from taskbell.testing.pushsim.tokens import SignatureWrong, TokenMalformed, Verified, read, verify

OLDEST = 3600.0
"""Seconds after which a token is refused."""
SHORTEST = 1200.0
"""Seconds that must be between two tokens of a key."""
_SKEW = 60.0
"""Seconds by which a token may be from the future."""


class ProviderTokens:
    """Judges provider tokens. It verifies each once, and remembers it for an hour at most."""

    def __init__(self, credentials: Credentials) -> None:
        """Take the team and its key."""
        self._credentials = credentials
        self._key = ECKey.import_key(credentials.apns_key)
        self._issued: Verified[float] = Verified(capacity=100)
        self.revoked = False
        """Whether Apple's account page has revoked the key: then every token of it is refused."""

    @property
    def seen(self) -> int:
        """How many different valid tokens came."""
        return len(self._issued.values())

    def refuse(self, authorization: str, *, now: float) -> str | None:
        """The reason against an `authorization` field; None where it is in order."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text:
            return "MissingProviderToken"
        if self.revoked:
            return "InvalidProviderToken"
        known = self._issued.get(text)
        if known is not None:
            return "ExpiredProviderToken" if now - known > OLDEST else None
        return self._refuse_new(text, now=now)

    def _refuse_new(self, text: str, *, now: float) -> str | None:
        try:
            token = read(text)
            verify(token, self._key, "ES256")
        except (TokenMalformed, SignatureWrong):
            return "InvalidProviderToken"
        issued = token.time_claim("iat")
        if (
            token.header.get("kid") != self._credentials.apns_key_id
            or token.text_claim("iss") != self._credentials.apns_team_id
            or issued is None
            or issued > now + _SKEW
        ):
            return "InvalidProviderToken"
        if now - issued > OLDEST:
            return "ExpiredProviderToken"
        if any(abs(issued - other) < SHORTEST for other in self._issued.values()):
            return "TooManyProviderTokenUpdates"
        self._issued.note(text, issued)
        return None
