"""`POST /v1/me/delete`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from taskbell.api.accounts.proofs import Proofs, Proven
from taskbell.api.deletions import schemas
from taskbell.api.deletions.service import Deletions
from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.route import DirectRoute
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/me", tags=["accounts"], route_class=DirectRoute)
Service = Annotated[Deletions, Depends(service("deletions"))]
Proving = Annotated[Proofs, Depends(service("proofs"))]
Proof = Annotated[schemas.AccountDeletion, Depends(json_body(schemas.AccountDeletion))]


async def _proven(actor: Actor, proofs: Proving, body: Proof) -> Proven:
    return await proofs.demand(actor, password=body.password)


@router.post(
    "/delete",
    status_code=204,
    responses=refuses(ProblemCode.LAST_OWNER, ProblemCode.SIGN_IN_AGAIN, ProblemCode.NOT_SET_UP),
    summary="Delete your account",
)
async def delete_account(deletions: Service, body: Proof, proven: Annotated[Proven, Depends(_proven)]) -> None:
    """Deletes your account for good, with your personal workspace and every other one in which you are the only person.

    All sessions, tokens, devices and connections end within a second. Tasks and comments in workspaces of others stay,
    without your name; your e-mail address may register again. While you are the only owner of a workspace that others
    belong to: 409 `last_owner`, which names it. A wrong password gets a 422 at `/password`, a wrong code one at
    `/code`; an account without a password must have signed in within 15 minutes: 403 `sign_in_again`.
    """
    await deletions.delete(proven, code=body.code)
