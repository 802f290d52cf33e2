"""`/v1/tasks/{id}/subscription`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path

from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.route import DirectRoute
from taskbell.api.subscriptions.schemas import Subscription, SubscriptionPut
from taskbell.api.subscriptions.service import Subscriptions

router = APIRouter(prefix="/v1/tasks/{task_id}/subscription", tags=["tasks"], route_class=DirectRoute)

Service = Annotated[Subscriptions, Depends(service("subscriptions"))]
TaskId = Annotated[UUID, Path(description="The task's id.")]


@router.get("", summary="Read how you follow a task")
async def get_subscription(actor: Actor, subscriptions: Service, task_id: TaskId) -> Subscription:
    """Tells whether you watch a task or muted it."""
    return await subscriptions.get(actor.user_id, task_id)


@router.put("", summary="Watch or mute a task")
async def set_subscription(
    actor: Actor,
    subscriptions: Service,
    task_id: TaskId,
    body: Annotated[SubscriptionPut, Depends(json_body(SubscriptionPut))],
) -> Subscription:
    """Sets how you follow a task. Only you hear more or less; nobody sees it."""
    return await subscriptions.put(actor.user_id, task_id, body.state)


@router.delete("", status_code=204, summary="Neither watch nor mute a task")
async def delete_subscription(actor: Actor, subscriptions: Service, task_id: TaskId) -> None:
    """Lets you hear of a task as its creator, assignee or commenter again, if you are one."""
    await subscriptions.delete(actor.user_id, task_id)
