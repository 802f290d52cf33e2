"""What endpoints depend on: who is calling, and the services that the lifespan composes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as BearerScheme
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from taskbell.api.http import consistency
from taskbell.api.services import Services
from taskbell.contract.problems import ProblemCode, Refused
from taskbell.contract.tokens import Claims
from taskbell.kit.jwt import TokenRefused


class NotSignedIn(Refused):
    """A valid access token is needed: `Authorization: Bearer <token>`."""

    code = ProblemCode.UNAUTHENTICATED


class _Bearer(SecurityBase):
    """Reads the bearer token (RFC 6750) and charges the request to its user.

    A verified token is remembered until it expires.
    """

    def __init__(self) -> None:
        self.model = BearerScheme(bearerFormat="JWT", description="An access token from `POST /v1/auth/login`.")
        self.scheme_name = "bearer"

    async def __call__(self, request: Request) -> Claims:
        header = request.headers.get("authorization")
        if header is None or header[:7].lower() != "bearer ":
            raise NotSignedIn
        services: Services = request.app.state.services
        try:
            claims = services.access_tokens.get(header[7:].strip())
        except TokenRefused as refused:
            raise NotSignedIn(
                f"The access token was refused: {refused}.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            ) from refused
        await services.limiter.charge(claims.user_id, request.scope)
        consistency.begin(request)
        return claims


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
