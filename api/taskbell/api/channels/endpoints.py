"""`/v1/webhooks` with their deliveries, and `/v1/me/channels/email`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from taskbell.api.channels import schemas
from taskbell.api.channels.repository import DeliveryRow, WebhookRow
from taskbell.api.deps import Actor, services
from taskbell.api.http.body import json_body
from taskbell.api.http.paging import PageMeta, PageQuery, id_cursor, page_limit, read_id_cursor

router = APIRouter(prefix="/v1", tags=["channels"])

WebhookId = Annotated[UUID, Path(description="The webhook's id.")]
DeliveryId = Annotated[UUID, Path(description="The delivery's id.")]


class WebhookQuery(PageQuery):
    """Query parameters of the list of webhooks."""

    workspace_id: UUID | None = None
    """The workspace; your personal one by default."""


def _limit(request: Request, wanted: int | None) -> int:
    settings = services(request).settings
    return page_limit(wanted, default=settings.default_page_size, most=settings.max_page_size)


def _shown(row: WebhookRow) -> schemas.Webhook:
    return schemas.Webhook.model_validate(row)


def _with_secret(row: WebhookRow, secret: str) -> schemas.WebhookWithSecret:
    return schemas.WebhookWithSecret(**_shown(row).model_dump(), secret=secret)


def _delivery(row: DeliveryRow) -> schemas.Delivery:
    return schemas.Delivery.model_validate(row)


@router.post("/webhooks", status_code=201, summary="Create a webhook")
async def create_webhook(
    request: Request,
    actor: Actor,
    body: Annotated[schemas.WebhookCreate, Depends(json_body(schemas.WebhookCreate))],
) -> schemas.WebhookWithSecret:
    """Posts the events of a workspace to your address, signed as Standard Webhooks. Only for owners and admins.

    Only this response holds the signing secret.
    """
    workspace_id = body.workspace_id or actor.workspace_id
    return _with_secret(*await services(request).channels.create(actor.user_id, workspace_id, body))


@router.get("/webhooks", summary="List webhooks")
async def list_webhooks(request: Request, actor: Actor, query: Annotated[WebhookQuery, Query()]) -> schemas.WebhookPage:
    """Pages through a workspace's webhooks, oldest first."""
    workspace_id = query.workspace_id or actor.workspace_id
    size, bound_to = _limit(request, query.limit), f"webhooks-{workspace_id}"
    past = None if query.cursor is None else read_id_cursor(query.cursor, bound_to=bound_to)
    rows, has_more = await services(request).channels.page(actor.user_id, workspace_id, past=past, limit=size)
    following = id_cursor(rows[-1].id, bound_to=bound_to) if has_more else None
    return schemas.WebhookPage(
        items=[_shown(row) for row in rows], meta=PageMeta(limit=size, has_more=has_more, next_cursor=following)
    )


@router.get("/webhooks/{webhook_id}", summary="Read a webhook")
async def get_webhook(request: Request, actor: Actor, webhook_id: WebhookId) -> schemas.Webhook:
    """Returns 404 also for a webhook of a workspace that you do not administer."""
    return _shown(await services(request).channels.get(actor.user_id, webhook_id))


@router.patch("/webhooks/{webhook_id}", summary="Change a webhook")
async def change_webhook(
    request: Request,
    actor: Actor,
    webhook_id: WebhookId,
    body: Annotated[schemas.WebhookChange, Depends(json_body(schemas.WebhookChange))],
) -> schemas.Webhook:
    """Changes its address or types, disables it, or enables it from now on."""
    return _shown(await services(request).channels.change(actor.user_id, webhook_id, body))


@router.delete("/webhooks/{webhook_id}", status_code=204, summary="Delete a webhook")
async def delete_webhook(request: Request, actor: Actor, webhook_id: WebhookId) -> None:
    """Deletes it with its secrets, and ends its pending deliveries."""
    await services(request).channels.delete(actor.user_id, webhook_id)


@router.post("/webhooks/{webhook_id}/rotate-secret", summary="Rotate a webhook's secret")
async def rotate_secret(request: Request, actor: Actor, webhook_id: WebhookId) -> schemas.WebhookWithSecret:
    """Creates a new secret. Until `previous_secret_expires_at` deliveries have signatures of both."""
    return _with_secret(*await services(request).channels.rotate(actor.user_id, webhook_id))


@router.post("/webhooks/{webhook_id}/test", status_code=201, summary="Send a test event")
async def test_webhook(request: Request, actor: Actor, webhook_id: WebhookId) -> schemas.Delivery:
    """Sends an event of type `webhook.test`; follow it in the delivery log."""
    return _delivery(await services(request).channels.test(actor.user_id, webhook_id))


@router.get("/webhooks/{webhook_id}/deliveries", summary="Read the delivery log")
async def list_deliveries(
    request: Request, actor: Actor, webhook_id: WebhookId, query: Annotated[schemas.DeliveryQuery, Query()]
) -> schemas.DeliveryPage:
    """Pages through the deliveries to a webhook, newest first."""
    size, bound_to = _limit(request, query.limit), f"deliveries-{webhook_id}-{query.state}"
    past = None if query.cursor is None else read_id_cursor(query.cursor, bound_to=bound_to)
    rows, has_more = await services(request).channels.deliveries(
        actor.user_id, webhook_id, state=query.state, past=past, limit=size
    )
    following = id_cursor(rows[-1].id, bound_to=bound_to) if has_more else None
    return schemas.DeliveryPage(
        items=[_delivery(row) for row in rows], meta=PageMeta(limit=size, has_more=has_more, next_cursor=following)
    )


@router.post("/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", summary="Deliver once more")
async def redeliver(request: Request, actor: Actor, webhook_id: WebhookId, delivery_id: DeliveryId) -> schemas.Delivery:
    """Sends an event again, in any state, with the same `webhook-id`."""
    return _delivery(await services(request).channels.redeliver(actor.user_id, webhook_id, delivery_id))


@router.get("/me/channels/email", summary="Read your e-mail channel")
async def get_email_channel(request: Request, actor: Actor) -> schemas.EmailChannel:
    """Returns which of your notifications are sent by e-mail; none by default."""
    return schemas.EmailChannel.model_validate(await services(request).channels.email(actor.user_id))


@router.put("/me/channels/email", summary="Set your e-mail channel")
async def set_email_channel(
    request: Request,
    actor: Actor,
    body: Annotated[schemas.EmailChannelChange, Depends(json_body(schemas.EmailChannelChange))],
) -> schemas.EmailChannel:
    """Sets which of your notifications are sent to your account's address."""
    return schemas.EmailChannel.model_validate(await services(request).channels.set_email(actor.user_id, body))
