"""Google's OAuth2 token endpoint for service accounts (RFC 7523), which gives FCM's bearer tokens.

Sources: https://developers.google.com/identity/protocols/oauth2/service-account (claims, one hour, form, error
`invalid_grant`, the words about a short-lived token); RFC 6749 section 5.2 (errors).
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs

import orjson
from joserfc.jwk import RSAKey

from taskbell.testing.pushsim.credentials import Credentials
from taskbell.testing.pushsim.tokens import SignatureWrong, TokenMalformed, Verified, read, verify
from taskbell.testing.pushsim.wire import Answer, Request

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = frozenset(
    {"https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"}
)
LIFETIME = 3600
"""Seconds; Google's."""
_LONGEST = 3600
_SKEW = 300
"""Seconds by which clocks may differ."""
_REASONABLE = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


class _AssertionRefused(Exception):
    def __init__(self, description: str, *, error: str = "invalid_grant") -> None:
        super().__init__(description)
        self.error = error


class TokenEndpoint:
    """Gives bearer tokens for signed assertions, and knows which of them are valid."""

    def __init__(self, credentials: Credentials) -> None:
        """Take the service account's key."""
        self._credentials = credentials
        self._key = RSAKey.import_key(credentials.fcm_key)
        self._bearers: Verified[float] = Verified(capacity=1_000)
        self.lifetime = LIFETIME
        """Seconds that a bearer token is valid for. Tests shorten it."""
        self.issued = 0
        """How many bearer tokens were given."""
        self.url = ""
        """Its address: the `aud` that an assertion has to name."""

    def expire_all(self) -> None:
        """From now on every bearer token so far is refused."""
        self._bearers.clear()

    def is_valid(self, bearer: str, *, now: float) -> bool:
        """Whether a bearer token was given here and has not expired."""
        expires = self._bearers.get(bearer)
        return expires is not None and now < expires

    def handle(self, request: Request, *, now: float) -> Answer:
        """Give a bearer token for an assertion that is in order."""
        if request.method != "POST":
            return _error(405, "invalid_request", "POST is required")
        try:
            form = parse_qs(request.body.decode(), max_num_fields=20)
        except ValueError:
            return _error(400, "invalid_request", "the body is no form")
        grant = form.get("grant_type", [""])[0]
        if grant != GRANT_TYPE:
            return _error(400, "unsupported_grant_type", f"Invalid grant_type: {grant}")
        try:
            self._check(form.get("assertion", [""])[0], now=now)
        except _AssertionRefused as refused:
            return _error(400, refused.error, str(refused))
        bearer = f"ya29.{secrets.token_urlsafe(96)}"
        self._bearers.note(bearer, now + self.lifetime)
        self.issued += 1
        body = {"access_token": bearer, "expires_in": self.lifetime - 1, "token_type": "Bearer"}
        return _json(200, body)

    def _check(self, assertion: str, *, now: float) -> None:
        try:
            token = read(assertion)
            verify(token, self._key, "RS256")
        except TokenMalformed:
            raise _AssertionRefused("Bad Request") from None
        except SignatureWrong:
            raise _AssertionRefused("Invalid JWT Signature.") from None
        if token.header.get("kid") not in {None, self._credentials.fcm_key_id}:
            raise _AssertionRefused("Invalid JWT Signature.")
        if token.text_claim("iss") != self._credentials.client_email:
            raise _AssertionRefused("Invalid grant: account not found")
        if token.text_claim("aud") != self.url:
            raise _AssertionRefused(f"Invalid JWT: Failed audience check. The right audience is {self.url}")
        issued, expires = token.time_claim("iat"), token.time_claim("exp")
        if issued is None or expires is None or not _is_timely(issued, expires, now=now):
            raise _AssertionRefused(_REASONABLE)
        if not set((token.text_claim("scope") or "").split(" ")) & SCOPES:
            raise _AssertionRefused("Invalid OAuth scope or ID token audience provided.", error="invalid_scope")


def _is_timely(issued: float, expires: float, *, now: float) -> bool:
    return issued <= now + _SKEW and now < expires and 0 < expires - issued <= _LONGEST


def _error(status: int, error: str, description: str) -> Answer:
    return _json(status, {"error": error, "error_description": description})


def _json(status: int, body: object) -> Answer:
    headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-cache, no-store, max-age=0"}
    return Answer(status, orjson.dumps(body), headers)
