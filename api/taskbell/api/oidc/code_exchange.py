"""Asks a provider for tokens: the authorization code grant (RFC 6749) with PKCE (RFC 7636), by Authlib's client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from authlib.oauth2 import OAuth2Client, OAuth2Error
from authlib.oauth2.auth import ClientAuth
from authlib.oidc.core import CodeIDToken
from joserfc.errors import JoseError

from taskbell.api.oidc.documents import Documents
from taskbell.api.oidc.errors import ProviderRefused, ProviderUnavailable
from taskbell.api.oidc.policy import LEEWAY, Begun
from taskbell.api.oidc.providers import Provider
from taskbell.api.oidc.signatures import read_header, verify
from taskbell.kit.exchange import Response
from taskbell.kit.jwt import TokenRefused
from taskbell.kit.outgoing import NoAnswer, Outgoing

_log = structlog.get_logger(__name__)
MOST_AT_ONCE: Final = 32
"""Exchanges with one provider that a process has under way; more are refused, so that a slow one takes no others'
places."""
_OWN_FAULTS: Final = {"invalid_client", "unauthorized_client", "unsupported_grant_type"}
"""Errors that mean wrong settings, and nothing about the user."""


class _Answer:
    """The part of an HTTP library's response that Authlib reads."""

    def __init__(self, answer: Response) -> None:
        self.status_code = answer.status
        self._body = answer.body

    def json(self) -> Any:
        return orjson.loads(self._body)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise NoAnswer(f"answered {self.status_code}")


class _Client(OAuth2Client):  # type: ignore[misc]  # Authlib has no types
    """Authlib's client on our bounded requests; its own clients are bound to an HTTP library."""

    async def _fetch_token(
        self, url: str, *, body: str, headers: Mapping[str, str], auth: ClientAuth, **_: Any
    ) -> dict[str, Any]:
        outgoing: Outgoing = self.session
        url, signed, body = auth.prepare("POST", url, dict(headers), body)
        answer = await outgoing.request(url, method="POST", headers=list(signed.items()), body=body.encode())
        found: dict[str, Any] = self.parse_response_token(_Answer(answer))
        return found


class CodeExchange:
    """Sign-ins at one provider."""

    def __init__(self, provider: Provider, documents: Documents, outgoing: Outgoing) -> None:
        """Take the provider, what it publishes, and what reaches it."""
        self._provider = provider
        self._documents = documents
        self._outgoing = outgoing
        self._under_way = 0

    async def authorization_url(self, begun: Begun) -> str:
        """Where the browser goes. Raises `ProviderUnavailable`."""
        metadata = await self._documents.metadata()
        url, _ = self._client(begun).create_authorization_url(
            metadata.authorization_endpoint,
            state=begun.state,
            nonce=begun.nonce,
            code_verifier=begun.code_verifier,
        )
        return str(url)

    async def claims(self, begun: Begun, code: str) -> dict[str, Any]:
        """Exchange a code; return the claims of the ID token, which is valid and made for this sign-in.

        Raises:
            ProviderRefused: The code or the ID token is not valid.
            ProviderUnavailable: The provider does not answer as it should, or has too much to do.
        """
        if self._under_way >= MOST_AT_ONCE:
            raise ProviderUnavailable(self._provider.name)
        self._under_way += 1
        try:
            tokens = await self._exchange(begun, code)
            return await self._judge(begun, tokens)
        finally:
            self._under_way -= 1

    async def _exchange(self, begun: Begun, code: str) -> dict[str, Any]:
        url = (await self._documents.metadata()).token_endpoint
        try:
            found: dict[str, Any] = await self._client(begun).fetch_token(
                url, grant_type="authorization_code", code=code, code_verifier=begun.code_verifier
            )
        except OAuth2Error as refused:
            if refused.error in _OWN_FAULTS:
                _log.error("provider_refuses_client", provider=self._provider.id, error=refused.error)
                raise ProviderUnavailable(self._provider.name) from None
            raise ProviderRefused("The provider refused the code: it is wrong, expired or used.") from None
        except (NoAnswer, ValueError, TypeError) as failed:
            _log.warning("provider_gives_no_token", provider=self._provider.id, error=type(failed).__name__)
            raise ProviderUnavailable(self._provider.name) from failed
        return found

    async def _judge(self, begun: Begun, tokens: Mapping[str, Any]) -> dict[str, Any]:
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise ProviderRefused("The provider returned no ID token.")
        try:
            header = read_header(token, algorithms=self._provider.algorithms)
            claims = verify(token, await self._documents.key(header), algorithm=header["alg"])
        except TokenRefused as refused:
            raise ProviderRefused(f"The provider's ID token was refused: {refused}.") from refused
        judged = CodeIDToken(
            claims,
            header,
            options={"iss": {"value": self._provider.issuer}, "aud": {"value": self._provider.client_id}},
            params={
                "nonce": begun.nonce,
                "client_id": self._provider.client_id,
                "access_token": tokens.get("access_token"),
            },
        )
        try:
            judged.validate(leeway=LEEWAY)
        except JoseError as refused:
            raise ProviderRefused(f"The provider's ID token was refused: {refused.description}.") from refused
        except (ValueError, TypeError) as malformed:
            raise ProviderRefused("The provider's ID token is malformed.") from malformed
        return claims

    def _client(self, begun: Begun) -> _Client:
        secret = self._provider.client_secret
        return _Client(
            self._outgoing,
            client_id=self._provider.client_id,
            client_secret=None if secret is None else secret.get_secret_value(),
            token_endpoint_auth_method="none" if secret is None else self._provider.token_auth,
            scope=" ".join(self._provider.scopes),
            redirect_uri=begun.redirect_uri,
            code_challenge_method="S256",
        )
