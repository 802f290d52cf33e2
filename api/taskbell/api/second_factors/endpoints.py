"""`/v1/auth/second-factor` and `/v1/me/second-factor`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.accounts.proofs import Proofs, Proven
from taskbell.api.accounts.schemas import TokenPair
from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.route import DirectRoute
from taskbell.api.second_factors import schemas
from taskbell.api.second_factors.service import SecondFactors
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1", tags=["accounts"], route_class=DirectRoute)
Service = Annotated[SecondFactors, Depends(service("second_factors"))]
Proving = Annotated[Proofs, Depends(service("proofs"))]
Enrolment = Annotated[schemas.SecondFactorPassword, Depends(json_body(schemas.SecondFactorPassword))]
End = Annotated[schemas.SecondFactorEnd, Depends(json_body(schemas.SecondFactorEnd))]
_SECRET = {"Cache-Control": "no-store"}
"""Responses with secrets must not be cached."""


async def _proven(actor: Actor, proofs: Proving, body: Enrolment) -> Proven:
    return await proofs.demand(actor, password=body.password)


async def _proven_at_the_end(actor: Actor, proofs: Proving, body: End) -> Proven:
    return await proofs.demand(actor, password=body.password)


@router.post(
    "/auth/second-factor",
    response_model=TokenPair,
    responses=refuses(
        ProblemCode.SECOND_FACTOR_REQUIRED,
        ProblemCode.INVALID_SECOND_FACTOR,
        ProblemCode.INVALID_CREDENTIALS,
        ProblemCode.RATE_LIMITED,
    ),
    summary="Sign in with the second factor",
)
async def sign_in_with_second_factor(
    request: Request,
    factors: Service,
    body: Annotated[schemas.SecondFactorAnswer, Depends(json_body(schemas.SecondFactorAnswer))],
) -> Response:
    """Takes the challenge of the problem `second_factor_required` with a code, and signs in.

    A wrong code, or one that was used, gets 401 `invalid_second_factor`; after 5 wrong ones for an account within 15
    minutes: 429 with `Retry-After`. A challenge is valid for 5 minutes; then 401 `invalid_credentials`: sign in again.
    """
    pair = await factors.sign_in(body.challenge, body.code, client=request.headers.get("user-agent"))
    return Response(pair.model_dump_json(), media_type="application/json", headers=_SECRET)


@router.get(
    "/me/second-factor", responses=refuses(ProblemCode.NOT_SET_UP), summary="Read the state of your second factor"
)
async def get_second_factor(actor: Actor, factors: Service) -> schemas.SecondFactorState:
    """Tells whether sign-ins ask for a second factor, and how many recovery codes are left."""
    return await factors.state(actor)


@router.post(
    "/me/second-factor",
    status_code=201,
    response_model=schemas.SecondFactorSecret,
    responses=refuses(ProblemCode.CONFLICT, ProblemCode.NOT_SET_UP, ProblemCode.SIGN_IN_AGAIN),
    summary="Enrol an authenticator",
)
async def create_second_factor(factors: Service, proven: Annotated[Proven, Depends(_proven)]) -> Response:
    """Makes a secret for an authenticator (TOTP, RFC 6238). It is in force once you confirm it by a code.

    Enrolling again replaces a secret that was not confirmed. A wrong password gets a 422 at `/password`. Where it is
    not set up: 404 `not_set_up`.
    """
    made = await factors.enrol(proven)
    return Response(made.model_dump_json(), status_code=201, media_type="application/json", headers=_SECRET)


@router.post(
    "/me/second-factor/confirm",
    response_model=schemas.RecoveryCodes,
    responses=refuses(ProblemCode.CONFLICT, ProblemCode.NOT_SET_UP),
    summary="Confirm your authenticator",
)
async def confirm_second_factor(
    actor: Actor,
    factors: Service,
    body: Annotated[schemas.SecondFactorCode, Depends(json_body(schemas.SecondFactorCode))],
) -> Response:
    """Puts the second factor into force, and returns ten recovery codes, which are shown once.

    From now on a sign-in with the password is answered with 401 `second_factor_required` and a `challenge`. A wrong
    code gets a 422 at `/code`.
    """
    codes = schemas.RecoveryCodes(recovery_codes=await factors.confirm(actor, body.code))
    return Response(codes.model_dump_json(), media_type="application/json", headers=_SECRET)


@router.post(
    "/me/second-factor/disable",
    status_code=204,
    responses=refuses(ProblemCode.CONFLICT, ProblemCode.NOT_SET_UP, ProblemCode.SIGN_IN_AGAIN),
    summary="Disable your second factor",
)
async def disable_second_factor(
    factors: Service, body: End, proven: Annotated[Proven, Depends(_proven_at_the_end)]
) -> None:
    """Ends the second factor with its recovery codes. It needs the password, and a code or a recovery code."""
    await factors.disable(proven, code=body.code)
