"""`/v1/workspaces` and their members."""

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
from taskbell.api.workspaces import schemas
from taskbell.api.workspaces.service import Workspaces
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/workspaces", tags=["workspaces"], route_class=DirectRoute)

Service = Annotated[Workspaces, Depends(service("workspaces"))]
WorkspaceId = Annotated[UUID, Path(description="The workspace's id.")]
UserId = Annotated[UUID, Path(description="The member's user id.")]
Paging = Annotated[PageQuery, Depends(query_parameters(PageQuery))]


@router.post("", status_code=201, responses=refuses(ProblemCode.LIMIT_REACHED), summary="Create a workspace")
async def create_workspace(
    actor: Actor,
    workspaces: Service,
    body: Annotated[schemas.WorkspaceCreate, Depends(json_body(schemas.WorkspaceCreate))],
) -> schemas.Workspace:
    """Creates a workspace that you own."""
    return await workspaces.create(actor.user_id, name=body.name)


@router.get("", summary="List your workspaces")
async def list_workspaces(request: Request, actor: Actor, workspaces: Service, query: Paging) -> schemas.WorkspacePage:
    """Pages through the workspaces you belong to, oldest first, each with your role in it."""
    wanted = PageRequest.of(request, query, "workspaces")
    return wanted.page(schemas.WorkspacePage, await workspaces.page(actor.user_id, wanted))


@router.get("/deleted", summary="List the workspaces that you can restore")
async def list_deleted_workspaces(
    request: Request, actor: Actor, workspaces: Service, query: Paging
) -> schemas.DeletedWorkspacePage:
    """Pages through the deleted workspaces that you owned, oldest first, each with the end of its time."""
    wanted = PageRequest.of(request, query, "deleted workspaces")
    return wanted.page(schemas.DeletedWorkspacePage, await workspaces.deleted(actor.user_id, wanted))


@router.get("/{workspace_id}", summary="Read a workspace")
async def get_workspace(actor: Actor, workspaces: Service, workspace_id: WorkspaceId) -> schemas.Workspace:
    """Returns 404 also for a workspace of which you are not a member."""
    return await workspaces.get(actor.user_id, workspace_id)


@router.patch(
    "/{workspace_id}", responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.CONFLICT), summary="Rename a workspace"
)
async def update_workspace(
    actor: Actor,
    workspaces: Service,
    workspace_id: WorkspaceId,
    body: Annotated[schemas.WorkspaceChange, Depends(json_body(schemas.WorkspaceChange))],
) -> schemas.Workspace:
    """Gives a workspace another name; for owners and admins. Its members' clients get the event `workspace.renamed`."""
    return await workspaces.rename(actor.user_id, workspace_id, name=body.name)


@router.delete(
    "/{workspace_id}",
    status_code=204,
    responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.CONFLICT),
    summary="Delete a workspace",
)
async def delete_workspace(actor: Actor, workspaces: Service, workspace_id: WorkspaceId) -> None:
    """Hides a workspace from everybody at once, and ends all subscriptions to it (`workspace.deleted`). For owners.

    They can restore it for 30 days; then it is erased. A personal workspace stays.
    """
    await workspaces.delete(actor.user_id, workspace_id)


@router.post(
    "/{workspace_id}/restore",
    responses=refuses(ProblemCode.FORBIDDEN),
    summary="Restore a deleted workspace",
)
async def restore_workspace(actor: Actor, workspaces: Service, workspace_id: WorkspaceId) -> schemas.Workspace:
    """Brings a workspace back with its members, tasks and settings (`workspace.restored`). For its owners.

    Reminders that came due meanwhile fire now. One that is not deleted stays as it is.
    """
    return await workspaces.restore(actor.user_id, workspace_id)


@router.get("/{workspace_id}/members", summary="List a workspace's members")
async def list_members(
    request: Request, actor: Actor, workspaces: Service, workspace_id: WorkspaceId, query: Paging
) -> schemas.MemberPage:
    """Pages through the members, by user id; every member may see them."""
    wanted = PageRequest.of(request, query, workspace_id)
    return wanted.page(schemas.MemberPage, await workspaces.members(actor.user_id, workspace_id, wanted))


@router.patch(
    "/{workspace_id}/members/{user_id}",
    responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.CONFLICT),
    summary="Change a member's role",
)
async def update_member(
    actor: Actor,
    workspaces: Service,
    workspace_id: WorkspaceId,
    user_id: UserId,
    body: Annotated[schemas.MemberChange, Depends(json_body(schemas.MemberChange))],
) -> schemas.Member:
    """Gives a member another role. Admins change all roles but those of owners; only owners make owners.

    To hand a workspace over, make the successor an owner, then give yourself a lesser role. The last owner keeps the
    role, as does the owner of a personal workspace. A bot is never an owner. Webhooks that a former admin is
    responsible for are switched off.
    """
    return await workspaces.change_role(actor.user_id, workspace_id, user_id, role=body.role)


@router.delete(
    "/{workspace_id}/members/{user_id}",
    status_code=204,
    responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.CONFLICT),
    summary="Remove a member",
)
async def remove_member(actor: Actor, workspaces: Service, workspace_id: WorkspaceId, user_id: UserId) -> None:
    """Removes a member, and ends the user's subscriptions at once.

    Every member may leave, except the last owner. Nobody can leave their personal workspace. The webhooks that
    the member is responsible for are switched off, and the owners are notified.
    """
    await workspaces.remove_member(actor.user_id, workspace_id, user_id)
