"""`/v1/tasks/{id}/comments`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.comments.schemas import Comment, CommentCreate, CommentPage
from taskbell.api.comments.service import Comments
from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.paging import PageQuery, PageRequest, documents_page
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/tasks/{task_id}/comments", tags=["comments"], route_class=DirectRoute)

Service = Annotated[Comments, Depends(service("comments"))]
TaskId = Annotated[UUID, Path(description="The task's id.")]
CommentId = Annotated[UUID, Path(description="The comment's id.")]


@router.post(
    "",
    status_code=201,
    response_model=Comment,
    responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.QUOTA_EXCEEDED, ProblemCode.STORAGE_FULL),
    summary="Comment on a task",
)
async def create_comment(
    actor: Actor,
    comments: Service,
    task_id: TaskId,
    body: Annotated[CommentCreate, Depends(json_body(CommentCreate))],
) -> Response:
    """Adds a comment, and notifies those it mentions, the creator, assignees, watchers and earlier commenters."""
    created = await comments.create(actor.user_id, task_id, body)
    return Response(created, status_code=201, media_type="application/json")


@router.get("", response_model=CommentPage, summary="List the comments on a task")
async def list_comments(
    request: Request,
    actor: Actor,
    comments: Service,
    task_id: TaskId,
    query: Annotated[PageQuery, Depends(query_parameters(PageQuery))],
) -> Response:
    """Pages through the comments on a task, oldest first; a comment that is written meanwhile is on a later page."""
    wanted = PageRequest.of(request, query, "comments", task_id)
    found = await comments.page(actor.user_id, task_id, wanted)
    return documents_page(found.items, wanted.meta(found))


@router.delete("/{comment_id}", status_code=204, responses=refuses(ProblemCode.FORBIDDEN), summary="Delete a comment")
async def delete_comment(actor: Actor, comments: Service, task_id: TaskId, comment_id: CommentId) -> None:
    """Deletes a comment. Only for its author, owners and admins."""
    await comments.delete(actor.user_id, task_id, comment_id)
