"""`/v1/notifications`: the inbox."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.paging import PageRequest, documents_page
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.notifications.repository import COUNTED
from taskbell.api.notifications.schemas import (
    InboxMeta,
    InboxPage,
    InboxQuery,
    Notification,
    NotificationPatch,
    NotificationsRead,
    ReadCount,
)
from taskbell.api.notifications.service import Notifications

router = APIRouter(prefix="/v1/notifications", tags=["notifications"], route_class=DirectRoute)
Inbox = Annotated[Notifications, Depends(service("notifications"))]
NotificationId = Annotated[UUID, Path(description="The notification's id.")]


@router.get("", response_model=InboxPage, summary="Read your inbox")
async def list_notifications(
    request: Request, actor: Actor, inbox: Inbox, query: Annotated[InboxQuery, Depends(query_parameters(InboxQuery))]
) -> Response:
    """Pages through your notifications of all workspaces, newest first; `meta.unread` counts the unread ones."""
    wanted = PageRequest.of(request, query, "notifications?unread" if query.unread else "notifications")
    found, unread = await inbox.page(actor.user_id, wanted, unread=query.unread)
    meta = InboxMeta(**wanted.meta(found).__dict__, unread=min(unread, COUNTED), unread_capped=unread > COUNTED)
    return documents_page(found.items, meta)


@router.patch("/{notification_id}", response_model=Notification, summary="Mark a notification as read, or not")
async def update_notification(
    actor: Actor,
    inbox: Inbox,
    notification_id: NotificationId,
    body: Annotated[NotificationPatch, Depends(json_body(NotificationPatch))],
) -> Response:
    """Your other devices get the event `notification.read` or `notification.unread`. Repeating it changes nothing."""
    document = await inbox.mark(actor.user_id, notification_id, read=body.read)
    return Response(document, media_type="application/json")


@router.post("/read", summary="Mark notifications as read")
async def mark_notifications_read(
    actor: Actor, inbox: Inbox, body: Annotated[NotificationsRead, Depends(json_body(NotificationsRead))]
) -> ReadCount:
    """Marks the listed ones, or all that exist now, with a `notification.read` event for each that was unread."""
    return ReadCount(read=await inbox.read(actor.user_id, body.ids))
