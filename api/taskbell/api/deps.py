"""What endpoints depend on: who is calling, and the services that the lifespan composes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as BearerScheme
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from taskbell.api import metrics
from taskbell.api.http import consistency
from taskbell.api.scopes import policy
from taskbell.api.scopes.document import SCHEME
from taskbell.api.scopes.errors import ScopeInsufficient, SessionRequired
from taskbell.api.services import Services
from taskbell.contract.problems import ProblemCode, Refused
from taskbell.contract.tokens import PERSONAL_PREFIX, Claims
from taskbell.kit.jwt import TokenRefused


class NotSignedIn(Refused):
    """A valid access token is needed: `Authorization: Bearer <token>`."""

    code = ProblemCode.UNAUTHENTICATED


class _Bearer(SecurityBase):
    """Reads the bearer token (RFC 6750), charges the request to its user, and checks the scopes of a personal token.

    A verified token is remembered: an access token until it expires, a personal one for a second.
    """

    def __init__(self) -> None:
        self.model = BearerScheme(
            description="An access token from `POST /v1/auth/login`, which may do everything, or a personal access "
            "token (`tbp_...`) from `POST /v1/tokens`, which needs the scope that the operation names.",
        )
        self.scheme_name = SCHEME

    async def __call__(self, request: Request) -> Claims:
        header = request.headers.get("authorization")
        if header is None or header[:7].lower() != "bearer ":
            raise NotSignedIn
        services: Services = request.app.state.services
        try:
            claims = await _verified(services, header[7:].strip())
        except TokenRefused as refused:
            raise NotSignedIn(
                f"The access token was refused: {refused}.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            ) from refused
        if claims.session_id in services.revocations:
            metrics.REVOKED_TOKENS.inc()
            raise NotSignedIn(
                "The session of the access token has ended.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        await services.limiter.charge(claims.user_id, request.scope)
        if claims.scopes is not None:
            _require_scope(claims.scopes, request)
        consistency.begin(request)
        return claims


async def _verified(services: Services, token: str) -> Claims:
    """What a token says; its form tells who verifies it. Raises `TokenRefused`."""
    if token.startswith(PERSONAL_PREFIX):
        return await services.personal_token_verifier.verify(token)
    if services.provider_tokens.accepts(token):
        return await services.provider_tokens.get(token)
    return services.access_tokens.get(token)


def _require_scope(scopes: frozenset[str], request: Request) -> None:
    """Check that scopes permit the operation of a request. Raises `ScopeInsufficient`, `SessionRequired`."""
    method, path = request.method, request.scope["route"].path
    if policy.open_to_any_token(method, path):
        return
    scope = policy.needed(method, path)
    if scope is None:
        raise SessionRequired
    if scope not in scopes:
        raise ScopeInsufficient(scope)


def service(name: str) -> Callable[[Request], Awaitable[Any]]:
    """A dependency that gives an attribute of `Services`. Raises `AttributeError` at once for another name."""
    if name not in Services.__annotations__:
        raise AttributeError(f"Services has no {name}")

    async def read(request: Request) -> Any:
        return getattr(request.app.state.services, name)

    return read


bearer = _Bearer()
"""Reads the caller, or raises `NotSignedIn`."""
Actor = Annotated[Claims, Depends(bearer)]
"""The signed-in caller."""
