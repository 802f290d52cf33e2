"""`/v1/auth/password-reset`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.accounts import schemas
from taskbell.api.deps import service
from taskbell.api.http.body import json_body
from taskbell.api.http.client_address import ClientAddresses
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.route import DirectRoute
from taskbell.api.password_resets.service import PasswordResets
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/auth/password-reset", tags=["accounts"], route_class=DirectRoute)
Service = Annotated[PasswordResets, Depends(service("password_resets"))]
Addresses = Annotated[ClientAddresses, Depends(service("client_addresses"))]


@router.post(
    "",
    status_code=202,
    response_class=Response,
    responses=refuses(ProblemCode.RATE_LIMITED),
    summary="Ask for a message that resets your password",
)
async def request_password_reset(
    request: Request,
    resets: Service,
    addresses: Addresses,
    body: Annotated[schemas.PasswordResetRequest, Depends(json_body(schemas.PasswordResetRequest))],
) -> None:
    """Sends a message with a link or a code to the address, if it has an account with a password.

    The answer is the same for every address, and takes as long. A token works once, for an hour by default; a mailbox
    gets at most 3 within that time. After 10 requests from one client within 15 minutes: 429 with `Retry-After`.
    """
    await resets.request(body.email, address=addresses.of(request))


@router.post(
    "/confirm",
    status_code=204,
    responses=refuses(ProblemCode.INVALID_PASSWORD_RESET, ProblemCode.RATE_LIMITED),
    summary="Reset your password",
)
async def confirm_password_reset(
    request: Request,
    resets: Service,
    addresses: Addresses,
    body: Annotated[schemas.PasswordReset, Depends(json_body(schemas.PasswordReset))],
) -> None:
    """Takes the token of the message, and sets the password. All sessions and device tokens of the account end.

    Its other reset tokens stop working, and its address counts as confirmed. A token that is unknown, expired or used,
    or older than a change of the password or of the address, gets 400 `invalid_password_reset`. After many wrong tokens
    from one client: 429 with `Retry-After`.
    """
    await resets.confirm(body.token, password=body.password, address=addresses.of(request))
