"""`/v1/tasks` and `/v1/me/tasks`."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.headers import IF_MATCH, IF_NONE_MATCH, answers, refer, takes
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.paging import PageRequest, documents_page
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.tasks.lists import in_workspace, of_user
from taskbell.api.tasks.repository import Document
from taskbell.api.tasks.schemas import (
    MyTasksQuery,
    Sort,
    Task,
    TaskCreate,
    TaskListQuery,
    TaskMove,
    TaskPage,
    TaskPatch,
    TaskReplace,
)
from taskbell.api.tasks.service import TaskService
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1", tags=["tasks"], route_class=DirectRoute)
Tasks = Annotated[TaskService, Depends(service("tasks"))]
TaskId = Annotated[UUID, Path(description="The task's id.")]
ListQuery = Annotated[TaskListQuery, Depends(query_parameters(TaskListQuery))]
MyQuery = Annotated[MyTasksQuery, Depends(query_parameters(MyTasksQuery))]
_REFUSES_CREATION = refuses(ProblemCode.FORBIDDEN, ProblemCode.QUOTA_EXCEEDED, ProblemCode.STORAGE_FULL)
_REFUSES_CHANGE = refuses(
    ProblemCode.FORBIDDEN, ProblemCode.QUOTA_EXCEEDED, ProblemCode.STORAGE_FULL, ProblemCode.VERSION_MISMATCH
)
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "You have it already", "headers": refer("ETag")}}


def _answer(document: Document) -> Response:
    return Response(document.text, media_type="application/json", headers={"ETag": f'"{document.version}"'})


def _wanted_version(request: Request) -> int | None:
    """The version that `If-Match` names (RFC 9110, section 13.1.1); None for `*` or without the header."""
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    version = header.strip().strip('"')
    return int(version) if version.isascii() and version.isdigit() and len(version) < 19 else -1


@router.post(
    "/tasks",
    status_code=201,
    response_model=Task,
    responses={**answers(201, "ETag", "Location"), **_REFUSES_CREATION},
    summary="Create a task",
)
async def create_task(
    actor: Actor, tasks: Tasks, body: Annotated[TaskCreate, Depends(json_body(TaskCreate))]
) -> Response:
    """Creates a task in your personal workspace or the one you name, after its last one."""
    created = await tasks.create(actor, body)
    return Response(
        created.text,
        status_code=201,
        media_type="application/json",
        headers={"ETag": f'"{created.version}"', "Location": f"/v1/tasks/{created.id}"},
    )


@router.get("/tasks", response_model=TaskPage, summary="List a workspace's tasks")
async def list_tasks(request: Request, actor: Actor, tasks: Tasks, query: ListQuery) -> Response:
    """Pages through the tasks of a workspace by an opaque cursor; no task is skipped or repeated."""
    sort = query.sort or (Sort.PRIORITY if query.sort_by_priority else Sort.POSITION)
    listing = in_workspace(query.workspace_id or actor.workspace_id, query, sort=sort)
    wanted = PageRequest.of(request, query, *listing.bound_to)
    found = await tasks.page(actor, listing, wanted, last_id=query.last_id, workspace_id=query.workspace_id)
    return documents_page(found.items, wanted.meta(found))


@router.get("/me/tasks", response_model=TaskPage, summary="List your tasks in all workspaces")
async def list_my_tasks(request: Request, actor: Actor, tasks: Tasks, query: MyQuery) -> Response:
    """Pages through the tasks that you created or are assigned to, newest first unless you name another order."""
    sort = query.sort or (Sort.PRIORITY if query.sort_by_priority else Sort.CREATED_AT_DESC)
    listing = of_user(actor.user_id, query.role, query, sort=sort)
    wanted = PageRequest.of(request, query, *listing.bound_to)
    found = await tasks.page(actor, listing, wanted, last_id=query.last_id)
    return documents_page(found.items, wanted.meta(found))


@router.get(
    "/tasks/{task_id}",
    response_model=Task,
    responses={**answers(200, "ETag"), **_UNCHANGED},
    openapi_extra=takes(IF_NONE_MATCH),
    summary="Read a task",
)
async def get_task(request: Request, actor: Actor, tasks: Tasks, task_id: TaskId) -> Response:
    """Answers 304 when `If-None-Match` names the current ETag."""
    document = await tasks.get(actor, task_id)
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if f'"{document.version}"' in known or known == ["*"]:
        return Response(status_code=304, headers={"ETag": f'"{document.version}"'})
    return _answer(document)


@router.patch(
    "/tasks/{task_id}",
    response_model=Task,
    responses={**answers(200, "ETag"), **_REFUSES_CHANGE},
    openapi_extra=takes(IF_MATCH),
    summary="Change a task",
)
async def update_task(
    request: Request,
    actor: Actor,
    tasks: Tasks,
    task_id: TaskId,
    body: Annotated[TaskPatch, Depends(json_body(TaskPatch))],
) -> Response:
    """Changes the fields that are sent. With `If-Match`, only if the task has not changed since (412)."""
    return _answer(await tasks.patch(actor, task_id, body, version=_wanted_version(request)))


@router.put(
    "/tasks/{task_id}",
    response_model=Task,
    responses={**answers(200, "ETag"), **_REFUSES_CHANGE},
    openapi_extra=takes(IF_MATCH),
    summary="Replace a task",
)
async def replace_task(
    request: Request,
    actor: Actor,
    tasks: Tasks,
    task_id: TaskId,
    body: Annotated[TaskReplace, Depends(json_body(TaskReplace))],
) -> Response:
    """Sets every field; absent ones get their default. With `If-Match`, only if it has not changed since (412)."""
    return _answer(await tasks.replace(actor, task_id, body, version=_wanted_version(request)))


@router.delete(
    "/tasks/{task_id}",
    status_code=204,
    responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.VERSION_MISMATCH),
    openapi_extra=takes(IF_MATCH),
    summary="Delete a task",
)
async def delete_task(request: Request, actor: Actor, tasks: Tasks, task_id: TaskId) -> Response:
    """Deletes a task. With `If-Match`, only if it has not changed since (412)."""
    await tasks.delete(actor, task_id, version=_wanted_version(request))
    return Response(status_code=204)


@router.post(
    "/tasks/{task_id}/move",
    response_model=Task,
    responses={**answers(200, "ETag"), **refuses(ProblemCode.FORBIDDEN, ProblemCode.QUOTA_EXCEEDED)},
    summary="Move a task",
)
async def move_task(
    actor: Actor, tasks: Tasks, task_id: TaskId, body: Annotated[TaskMove, Depends(json_body(TaskMove))]
) -> Response:
    """Puts a task right before or right after another one of its workspace. There is always room."""
    return _answer(await tasks.move(actor, task_id, body))
