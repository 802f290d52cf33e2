"""`/v1/workspaces` and their members."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from taskbell.api.deps import Actor, services
from taskbell.api.http.body import json_body
from taskbell.api.http.paging import PageMeta, PageQuery, id_cursor, page_limit, read_id_cursor
from taskbell.api.workspaces import schemas

router = APIRouter(prefix="/v1/workspaces", tags=["workspaces"])

WorkspaceId = Annotated[UUID, Path(description="The workspace's id.")]
UserId = Annotated[UUID, Path(description="The member's user id.")]
Paging = Annotated[PageQuery, Query()]
_MINE = "workspaces"


def _limit(request: Request, wanted: int | None) -> int:
    settings = services(request).settings
    return page_limit(wanted, default=settings.default_page_size, most=settings.max_page_size)


@router.post("", status_code=201, summary="Create a workspace")
async def create_workspace(
    request: Request,
    actor: Actor,
    body: Annotated[schemas.WorkspaceCreate, Depends(json_body(schemas.WorkspaceCreate))],
) -> schemas.Workspace:
    """Creates a workspace that you own."""
    found = await services(request).workspaces.create(actor.user_id, name=body.name)
    return schemas.Workspace.model_validate(found, from_attributes=True)


@router.get("", summary="List your workspaces")
async def list_workspaces(request: Request, actor: Actor, query: Paging) -> schemas.WorkspacePage:
    """Pages through the workspaces you belong to, oldest first, each with your role in it."""
    size = _limit(request, query.limit)
    past = None if query.cursor is None else read_id_cursor(query.cursor, bound_to=_MINE)
    rows, has_more = await services(request).workspaces.page(actor.user_id, past=past, limit=size)
    following = id_cursor(rows[-1].id, bound_to=_MINE) if has_more else None
    return schemas.WorkspacePage(
        items=[schemas.Workspace.model_validate(row, from_attributes=True) for row in rows],
        meta=PageMeta(limit=size, has_more=has_more, next_cursor=following),
    )


@router.get("/{workspace_id}", summary="Read a workspace")
async def get_workspace(request: Request, actor: Actor, workspace_id: WorkspaceId) -> schemas.Workspace:
    """Returns 404 also for a workspace of which you are not a member."""
    found = await services(request).workspaces.get(actor.user_id, workspace_id)
    return schemas.Workspace.model_validate(found, from_attributes=True)


@router.get("/{workspace_id}/members", summary="List a workspace's members")
async def list_members(request: Request, actor: Actor, workspace_id: WorkspaceId, query: Paging) -> schemas.MemberPage:
    """Pages through the members, by user id; every member may see them."""
    size = _limit(request, query.limit)
    past = None if query.cursor is None else read_id_cursor(query.cursor, bound_to=str(workspace_id))
    rows, has_more = await services(request).workspaces.members(actor.user_id, workspace_id, past=past, limit=size)
    following = id_cursor(rows[-1].user_id, bound_to=str(workspace_id)) if has_more else None
    return schemas.MemberPage(
        items=[schemas.Member.model_validate(row) for row in rows],
        meta=PageMeta(limit=size, has_more=has_more, next_cursor=following),
    )


@router.post("/{workspace_id}/members", status_code=201, summary="Add a member")
async def add_member(
    request: Request,
    actor: Actor,
    workspace_id: WorkspaceId,
    body: Annotated[schemas.MemberAdd, Depends(json_body(schemas.MemberAdd))],
) -> schemas.Member:
    """Adds an existing account to the workspace. Only for owners and admins; only owners add owners."""
    member = await services(request).workspaces.add_member(
        actor.user_id, workspace_id, email=body.email, role=body.role
    )
    return schemas.Member.model_validate(member)


@router.delete("/{workspace_id}/members/{user_id}", status_code=204, summary="Remove a member")
async def remove_member(request: Request, actor: Actor, workspace_id: WorkspaceId, user_id: UserId) -> None:
    """Removes a member, and ends the user's subscriptions at once.

    Every member may leave, except the last owner. Nobody can leave their personal workspace.
    """
    await services(request).workspaces.remove_member(actor.user_id, workspace_id, user_id)
