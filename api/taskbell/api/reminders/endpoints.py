"""`POST /v1/tasks/{id}/remind`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path

from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.route import DirectRoute
from taskbell.api.reminders.schemas import Reminded, RemindTask
from taskbell.api.reminders.service import Reminders
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=DirectRoute)

Service = Annotated[Reminders, Depends(service("reminders"))]
TaskId = Annotated[UUID, Path(description="The task's id.")]


@router.post(
    "/{task_id}/remind",
    responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.TASK_DONE, ProblemCode.QUOTA_EXCEEDED),
    summary="Remind those responsible for a task",
)
async def send_reminder(
    actor: Actor,
    reminders: Service,
    task_id: TaskId,
    body: Annotated[RemindTask, Depends(json_body(RemindTask, optional=True))],
) -> Reminded:
    """Notifies the assignees, or the creator if there are none, at once; you can remind yourself, too.

    A task can be reminded of three times within an hour, then this is 429. One that is done: 409 `task_done`.
    """
    return await reminders.send(actor.user_id, task_id, body)
