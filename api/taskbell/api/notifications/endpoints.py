"""`/v1/notifications`: the inbox."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.deps import Actor, services
from taskbell.api.http.body import json_body
from taskbell.api.http.paging import id_cursor, page_limit, read_id_cursor
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

router = APIRouter(prefix="/v1/notifications", tags=["notifications"], route_class=DirectRoute)
JSON = "application/json"
NotificationId = Annotated[UUID, Path(description="The notification's id.")]


@router.get("", response_model=InboxPage, summary="Read your inbox")
async def list_notifications(
    request: Request, actor: Actor, query: Annotated[InboxQuery, Depends(query_parameters(InboxQuery))]
) -> Response:
    """Pages through your notifications of all workspaces, newest first; `meta.unread` counts the unread ones."""
    here = services(request)
    limit = page_limit(query.limit, default=here.settings.default_page_size, most=here.settings.max_page_size)
    bound_to = "notifications?unread" if query.unread else "notifications"
    after = None if query.cursor is None else read_id_cursor(query.cursor, bound_to=bound_to)
    found = await here.notifications.page(actor.user_id, unread=query.unread, after=after, limit=limit)
    meta = InboxMeta(
        limit=limit,
        has_more=found.last is not None,
        next_cursor=None if found.last is None else id_cursor(found.last, bound_to=bound_to),
        unread=min(found.unread, COUNTED),
        unread_capped=found.unread > COUNTED,
    )
    return Response(f'{{"items":[{",".join(found.documents)}],"meta":{meta.model_dump_json()}}}', media_type=JSON)


@router.patch("/{notification_id}", response_model=Notification, summary="Mark a notification as read, or not")
async def patch_notification(
    request: Request,
    actor: Actor,
    notification_id: NotificationId,
    body: Annotated[NotificationPatch, Depends(json_body(NotificationPatch))],
) -> Response:
    """Your other devices get the event `notification.read` or `notification.unread`. Repeating it changes nothing."""
    document = await services(request).notifications.mark(actor.user_id, notification_id, read=body.read)
    return Response(document, media_type=JSON)


@router.post("/read", response_model=ReadCount, summary="Mark notifications as read")
async def read_notifications(
    request: Request, actor: Actor, body: Annotated[NotificationsRead, Depends(json_body(NotificationsRead))]
) -> Response:
    """Marks the listed ones, or all that exist now, with a `notification.read` event for each that was unread."""
    count = await services(request).notifications.read(actor.user_id, body.ids)
    return Response(ReadCount(read=count).model_dump_json(), media_type=JSON)
