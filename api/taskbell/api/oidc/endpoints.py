"""`/v1/auth/oidc`: sign-in through providers of identity."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.accounts.schemas import TokenPair
from taskbell.api.deps import service
from taskbell.api.http.body import json_body
from taskbell.api.http.client_address import ClientAddresses
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.route import KeylessRoute
from taskbell.api.oidc import schemas
from taskbell.api.oidc.begun_tokens import TTL
from taskbell.api.oidc.service import ProviderSignIns
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/auth/oidc", tags=["accounts"], route_class=KeylessRoute)
Service = Annotated[ProviderSignIns, Depends(service("provider_sign_ins"))]
Addresses = Annotated[ClientAddresses, Depends(service("client_addresses"))]

_SECRET = {"Cache-Control": "no-store"}


@router.get("", summary="List the providers that people sign in through")
async def list_providers(sign_ins: Service) -> schemas.ProviderNames:
    """Returns what to offer next to the form for e-mail and password; an empty list where there is none."""
    found = [schemas.ProviderName(id=each.id, name=each.name) for each in sign_ins.providers()]
    return schemas.ProviderNames(items=found)


@router.post(
    "/{provider}/start",
    responses=refuses(ProblemCode.PROVIDER_UNAVAILABLE, ProblemCode.RATE_LIMITED),
    summary="Begin to sign in through a provider",
)
async def start_sign_in(
    provider: str,
    sign_ins: Service,
    response: Response,
    body: Annotated[schemas.SignInStart, Depends(json_body(schemas.SignInStart))],
) -> schemas.SignInStarted:
    """Returns the address to open in a browser: the authorization code flow with PKCE, for 10 minutes.

    A `redirect_uri` that is not listed gets a 422; a provider that does not answer is a 503 `provider_unavailable`,
    and only for sign-ins through it.
    """
    started = await sign_ins.start(provider, redirect_uri=body.redirect_uri)
    response.headers.update(_SECRET)
    return schemas.SignInStarted(
        authorization_url=started.authorization_url,
        state=started.begun.state,
        sign_in_token=started.token,
        expires_in=int(TTL.total_seconds()),
    )


@router.post(
    "/{provider}/finish",
    responses=refuses(
        ProblemCode.INVALID_SIGN_IN,
        ProblemCode.PROVIDER_REFUSED,
        ProblemCode.SECOND_FACTOR_REQUIRED,
        ProblemCode.EMAIL_NOT_VERIFIED,
        ProblemCode.FORBIDDEN,
        ProblemCode.EMAIL_NOT_CONFIRMED,
        ProblemCode.IDENTITY_TAKEN,
        ProblemCode.SECOND_FACTOR_ON,
        ProblemCode.PROVIDER_UNAVAILABLE,
        ProblemCode.RATE_LIMITED,
    ),
    summary="Finish to sign in through a provider",
)
async def finish_sign_in(
    *,
    provider: str,
    request: Request,
    sign_ins: Service,
    addresses: Addresses,
    response: Response,
    body: Annotated[schemas.SignInFinish, Depends(json_body(schemas.SignInFinish))],
) -> TokenPair:
    """Takes what the redirect brought, and returns the same tokens as a sign-in with a password. It works once.

    The first sign-in makes an account without a password, or belongs to the account whose confirmed e-mail address is
    the one that the provider has verified. An address that the provider has not verified is 403 `email_not_verified`.
    """
    pair = await sign_ins.finish(
        provider,
        code=body.code,
        state=body.state,
        token=body.sign_in_token,
        issuer=body.iss,
        address=addresses.of(request),
    )
    response.headers.update(_SECRET)
    return pair
