"""`/v1/invitations`, and the invitations of a workspace."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.paging import PageQuery, PageRequest
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.invitations import schemas
from taskbell.api.invitations.service import Invitations
from taskbell.api.workspaces.schemas import Workspace
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1", tags=["invitations"], route_class=DirectRoute)

Service = Annotated[Invitations, Depends(service("invitations"))]
WorkspaceId = Annotated[UUID, Path(description="The workspace's id.")]
InvitationId = Annotated[UUID, Path(description="The invitation's id.")]
Paging = Annotated[PageQuery, Depends(query_parameters(PageQuery))]


@router.post(
    "/workspaces/{workspace_id}/members",
    status_code=201,
    responses=refuses(
        ProblemCode.FORBIDDEN, ProblemCode.CONFLICT, ProblemCode.LIMIT_REACHED, ProblemCode.EMAIL_NOT_CONFIRMED
    ),
    summary="Invite a member",
)
async def invite_member(
    actor: Actor,
    invitations: Service,
    workspace_id: WorkspaceId,
    body: Annotated[schemas.MemberInvite, Depends(json_body(schemas.MemberInvite))],
) -> schemas.Invitation:
    """Invites a person, who becomes a member by accepting. Only for owners and admins; only owners invite owners.

    The answer is the same whether the address has an account or not. An account finds the invitation in its inbox; to
    another address goes a letter, with a token for `POST /v1/invitations/accept`.
    """
    return await invitations.invite(actor.user_id, workspace_id, email=body.email, role=body.role)


@router.get(
    "/workspaces/{workspace_id}/invitations",
    responses=refuses(ProblemCode.FORBIDDEN),
    summary="List a workspace's invitations",
)
async def list_workspace_invitations(
    request: Request,
    actor: Actor,
    invitations: Service,
    workspace_id: WorkspaceId,
    query: Annotated[schemas.InvitationsQuery, Depends(query_parameters(schemas.InvitationsQuery))],
) -> schemas.InvitationPage:
    """Pages through the invitations, oldest first, each with its state. Only for owners and admins.

    Those that were withdrawn or have expired come with `ended=true`. Whether somebody declined is not told.
    """
    wanted = PageRequest.of(request, query, "ended invitations" if query.ended else "invitations", workspace_id)
    found = await invitations.page(actor.user_id, workspace_id, wanted, ended=query.ended)
    return wanted.page(schemas.InvitationPage, found)


@router.delete(
    "/workspaces/{workspace_id}/invitations/{invitation_id}",
    status_code=204,
    responses=refuses(ProblemCode.FORBIDDEN),
    summary="Withdraw an invitation",
)
async def withdraw_invitation(
    actor: Actor, invitations: Service, workspace_id: WorkspaceId, invitation_id: InvitationId
) -> None:
    """Ends an invitation. Only for owners and admins; only owners withdraw the invitation of an owner."""
    await invitations.withdraw(actor.user_id, workspace_id, invitation_id)


@router.get("/invitations", summary="List the invitations to you")
async def list_my_invitations(
    request: Request, actor: Actor, invitations: Service, query: Paging
) -> schemas.InvitationToYouPage:
    """Pages through the invitations to your e-mail address that you can accept, oldest first."""
    wanted = PageRequest.of(request, query, "invitations to you")
    return wanted.page(schemas.InvitationToYouPage, await invitations.page_to(actor.user_id, wanted))


@router.post(
    "/invitations/{invitation_id}/accept",
    responses=refuses(ProblemCode.EMAIL_NOT_CONFIRMED, ProblemCode.LIMIT_REACHED, ProblemCode.CONFLICT),
    summary="Accept an invitation",
)
async def accept_invitation(actor: Actor, invitations: Service, invitation_id: InvitationId) -> Workspace:
    """Makes you a member, and returns the workspace. The members are told (`member.added`).

    With `TASKBELL_INVITATIONS_NEED_CONFIRMED_EMAIL` this is 409 `email_not_confirmed` before you confirmed yours.
    """
    return await invitations.accept(actor.user_id, invitation_id)


@router.post(
    "/invitations/accept",
    responses=refuses(ProblemCode.NOT_FOUND, ProblemCode.LIMIT_REACHED, ProblemCode.CONFLICT),
    summary="Accept an invitation that came by mail",
)
async def accept_mailed_invitation(
    actor: Actor,
    invitations: Service,
    body: Annotated[schemas.InvitationByMail, Depends(json_body(schemas.InvitationByMail))],
) -> Workspace:
    """Takes the token of the message, makes you a member, and returns the workspace. Your address is then confirmed.

    The message must have been sent to the address of your account: one answer, 404, for a token that is unknown, used,
    expired or for another address, and when the invitation was withdrawn or you changed your password since.
    """
    return await invitations.accept_by_mail(actor.user_id, body.token)


@router.post("/invitations/{invitation_id}/decline", status_code=204, summary="Decline an invitation")
async def decline_invitation(actor: Actor, invitations: Service, invitation_id: InvitationId) -> None:
    """Marks an invitation as declined. Nobody is told, and until it expires you can still accept it."""
    await invitations.decline(actor.user_id, invitation_id)
