"""`/v1/tasks` and `/v1/me/tasks`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.deps import Actor, services
from taskbell.api.http.body import json_body
from taskbell.api.http.paging import page_limit
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.settings import ApiSettings
from taskbell.api.tasks.errors import ParameterInvalid
from taskbell.api.tasks.repository import Document, Page
from taskbell.api.tasks.schemas import (
    Sort,
    Task,
    TaskCreate,
    TaskFilters,
    TaskListQuery,
    TaskMove,
    TaskPage,
    TaskPatch,
    TaskReplace,
)
from taskbell.api.tasks.selection import created_by, in_workspace
from taskbell.contract.problems import FieldError

router = APIRouter(prefix="/v1", tags=["tasks"], route_class=DirectRoute)
JSON = "application/json"
TaskId = Annotated[UUID, Path(description="The task's id.")]
ListQuery = Annotated[TaskListQuery, Depends(query_parameters(TaskListQuery))]
FilterQuery = Annotated[TaskFilters, Depends(query_parameters(TaskFilters))]


def _answer(document: Document, *, status: int = 200) -> Response:
    return Response(document.text, status_code=status, media_type=JSON, headers={"ETag": f'"{document.version}"'})


def _page(page: Page, *, limit: int, following: str | None) -> Response:
    meta = orjson.dumps({"limit": limit, "has_more": following is not None, "next_cursor": following}).decode()
    return Response(f'{{"items":[{",".join(page.documents)}],"meta":{meta}}}', media_type=JSON)


def _limit(query: TaskFilters, settings: ApiSettings) -> int:
    return page_limit(query.limit, default=settings.default_page_size, most=settings.max_page_size)


def _wanted_version(request: Request) -> int | None:
    """The version that `If-Match` names (RFC 9110, section 13.1.1); None for `*` or without the header."""
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    version = header.strip().strip('"')
    return int(version) if version.isascii() and version.isdigit() and len(version) < 19 else -1


@router.post("/tasks", status_code=201, response_model=Task, summary="Create a task")
async def create_task(
    request: Request, actor: Actor, body: Annotated[TaskCreate, Depends(json_body(TaskCreate))]
) -> Response:
    """Creates a task at the end of your personal workspace, or of the one you name."""
    document = await services(request).tasks.create(actor, body)
    return Response(
        document,
        status_code=201,
        media_type=JSON,
        headers={"ETag": '"1"', "Location": f"/v1/tasks/{document[7:43]}"},
    )


@router.get("/tasks", response_model=TaskPage, summary="List a workspace's tasks")
async def list_tasks(request: Request, actor: Actor, query: ListQuery) -> Response:
    """Pages through the tasks of a workspace by an opaque cursor; nothing is skipped or repeated in between."""
    here = services(request)
    limit = _limit(query, here.settings)
    page, following = await here.tasks.page(
        actor,
        selection=in_workspace(query.workspace_id or actor.workspace_id, query),
        sort=query.sort or (Sort.PRIORITY if query.sort_by_priority else Sort.POSITION),
        cursor=query.cursor,
        last_id=query.last_id,
        limit=limit,
        workspace_id=query.workspace_id,
    )
    return _page(page, limit=limit, following=following)


@router.get("/me/tasks", response_model=TaskPage, summary="List your tasks in all workspaces")
async def list_my_tasks(request: Request, actor: Actor, query: FilterQuery) -> Response:
    """Pages through the tasks you created, newest first; `sort` may be `created_at` or `-created_at`."""
    here = services(request)
    limit = _limit(query, here.settings)
    sort = query.sort or Sort.CREATED_AT_DESC
    if query.sort_by_priority or sort not in {Sort.CREATED_AT, Sort.CREATED_AT_DESC}:
        message = "your tasks over all workspaces are sorted by created_at or -created_at"
        raise ParameterInvalid(message, errors=(FieldError("?sort", "sort_not_supported", message),))
    page, following = await here.tasks.page(
        actor,
        selection=created_by(actor.user_id, query),
        sort=sort,
        cursor=query.cursor,
        last_id=query.last_id,
        limit=limit,
    )
    return _page(page, limit=limit, following=following)


@router.get("/tasks/{task_id}", response_model=Task, summary="Read a task")
async def get_task(request: Request, actor: Actor, task_id: TaskId) -> Response:
    """Returns 304 if `If-None-Match` names the present ETag."""
    document = await services(request).tasks.get(actor, task_id)
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if f'"{document.version}"' in known or known == ["*"]:
        return Response(status_code=304, headers={"ETag": f'"{document.version}"'})
    return _answer(document)


@router.patch("/tasks/{task_id}", response_model=Task, summary="Change a task")
async def patch_task(
    request: Request, actor: Actor, task_id: TaskId, body: Annotated[TaskPatch, Depends(json_body(TaskPatch))]
) -> Response:
    """Changes the fields that are sent. With `If-Match`, only if the task has not changed since (412)."""
    return _answer(await services(request).tasks.patch(actor, task_id, body, version=_wanted_version(request)))


@router.put("/tasks/{task_id}", response_model=Task, summary="Replace a task")
async def replace_task(
    request: Request, actor: Actor, task_id: TaskId, body: Annotated[TaskReplace, Depends(json_body(TaskReplace))]
) -> Response:
    """Sets every field; absent ones get their default. With `If-Match`, only if it has not changed since (412)."""
    return _answer(await services(request).tasks.replace(actor, task_id, body, version=_wanted_version(request)))


@router.delete("/tasks/{task_id}", status_code=204, summary="Delete a task")
async def delete_task(request: Request, actor: Actor, task_id: TaskId) -> Response:
    """Deletes a task. With `If-Match`, only if it has not changed since (412)."""
    await services(request).tasks.delete(actor, task_id, version=_wanted_version(request))
    return Response(status_code=204)


@router.post("/tasks/{task_id}/move", response_model=Task, summary="Move a task")
async def move_task(
    request: Request, actor: Actor, task_id: TaskId, body: Annotated[TaskMove, Depends(json_body(TaskMove))]
) -> Response:
    """Puts a task directly before or after another one of its workspace. It never fails for lack of room."""
    return _answer(await services(request).tasks.move(actor, task_id, body))
