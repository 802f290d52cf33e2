"""`/v1/webhooks` with their deliveries, and `/v1/me/channels/email`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from taskbell.api.deliveries import schemas
from taskbell.api.deliveries.service import Deliveries
from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.paging import PageRequest
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1", tags=["channels"], route_class=DirectRoute)

WebhookId = Annotated[UUID, Path(description="The webhook's id.")]
DeliveryId = Annotated[UUID, Path(description="The delivery's id.")]
Service = Annotated[Deliveries, Depends(service("deliveries"))]


@router.post(
    "/webhooks",
    status_code=201,
    responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.CONFLICT),
    summary="Create a webhook",
)
async def create_webhook(
    actor: Actor,
    deliveries: Service,
    body: Annotated[schemas.WebhookCreate, Depends(json_body(schemas.WebhookCreate))],
) -> schemas.WebhookWithSecret:
    """Posts the events of a workspace to your address, signed as Standard Webhooks. Only for owners and admins.

    Only this response holds the signing secret.
    """
    workspace_id = body.workspace_id or actor.workspace_id
    return await deliveries.create(actor.user_id, workspace_id, body)


@router.get("/webhooks", responses=refuses(ProblemCode.FORBIDDEN), summary="List webhooks")
async def list_webhooks(
    request: Request,
    actor: Actor,
    deliveries: Service,
    query: Annotated[schemas.WebhookQuery, Depends(query_parameters(schemas.WebhookQuery))],
) -> schemas.WebhookPage:
    """Pages through a workspace's webhooks, oldest first."""
    workspace_id = query.workspace_id or actor.workspace_id
    wanted = PageRequest.of(request, query, f"webhooks-{workspace_id}")
    return wanted.page(schemas.WebhookPage, await deliveries.page(actor.user_id, workspace_id, wanted))


@router.get("/webhooks/{webhook_id}", summary="Read a webhook")
async def get_webhook(actor: Actor, deliveries: Service, webhook_id: WebhookId) -> schemas.Webhook:
    """Returns 404 also for a webhook of a workspace that you do not administer."""
    return await deliveries.get(actor.user_id, webhook_id)


@router.patch("/webhooks/{webhook_id}", summary="Change a webhook")
async def update_webhook(
    actor: Actor,
    deliveries: Service,
    webhook_id: WebhookId,
    body: Annotated[schemas.WebhookChange, Depends(json_body(schemas.WebhookChange))],
) -> schemas.Webhook:
    """Changes its address or types, disables it, or enables it from now on."""
    return await deliveries.change(actor.user_id, webhook_id, body)


@router.delete("/webhooks/{webhook_id}", status_code=204, summary="Delete a webhook")
async def delete_webhook(actor: Actor, deliveries: Service, webhook_id: WebhookId) -> None:
    """Deletes it with its secrets, and ends its pending deliveries."""
    await deliveries.delete(actor.user_id, webhook_id)


@router.post("/webhooks/{webhook_id}/rotate-secret", summary="Rotate a webhook's secret")
async def rotate_webhook_secret(actor: Actor, deliveries: Service, webhook_id: WebhookId) -> schemas.WebhookWithSecret:
    """Creates a new secret. Until `previous_secret_expires_at` deliveries have signatures of both."""
    return await deliveries.rotate(actor.user_id, webhook_id)


@router.post(
    "/webhooks/{webhook_id}/test",
    status_code=201,
    responses=refuses(ProblemCode.CONFLICT, ProblemCode.QUOTA_EXCEEDED),
    summary="Send a test event",
)
async def test_webhook(actor: Actor, deliveries: Service, webhook_id: WebhookId) -> schemas.Delivery:
    """Sends an event of type `webhook.test`; follow it in the delivery log."""
    return await deliveries.test(actor.user_id, webhook_id)


@router.get("/webhooks/{webhook_id}/deliveries", summary="Read the delivery log")
async def list_webhook_deliveries(
    request: Request,
    actor: Actor,
    deliveries: Service,
    webhook_id: WebhookId,
    query: Annotated[schemas.DeliveryQuery, Depends(query_parameters(schemas.DeliveryQuery))],
) -> schemas.DeliveryPage:
    """Pages through the deliveries to a webhook, newest first."""
    wanted = PageRequest.of(request, query, f"deliveries-{webhook_id}-{query.state}")
    found = await deliveries.log(actor.user_id, webhook_id, wanted, state=query.state)
    return wanted.page(schemas.DeliveryPage, found)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    responses=refuses(ProblemCode.CONFLICT, ProblemCode.QUOTA_EXCEEDED),
    summary="Deliver once more",
)
async def redeliver_event(
    actor: Actor, deliveries: Service, webhook_id: WebhookId, delivery_id: DeliveryId
) -> schemas.Delivery:
    """Sends an event again with the same `webhook-id`, even if it was delivered.

    Returns 409 if the event is not kept any more.
    """
    return await deliveries.redeliver(actor.user_id, webhook_id, delivery_id)


@router.get("/me/channels/email", summary="Read your e-mail channel")
async def get_email_channel(actor: Actor, deliveries: Service) -> schemas.EmailChannel:
    """Tells which of your notifications are sent by e-mail; at first none."""
    return await deliveries.email(actor.user_id)


@router.put("/me/channels/email", responses=refuses(ProblemCode.EMAIL_NOT_CONFIRMED), summary="Set your e-mail channel")
async def set_email_channel(
    actor: Actor,
    deliveries: Service,
    body: Annotated[schemas.EmailChannelChange, Depends(json_body(schemas.EmailChannelChange))],
) -> schemas.EmailChannel:
    """Sets which of your notifications are sent to your account's address.

    Before you confirmed that address (`POST /v1/me/email/confirmation`), switching it on is 409 `email_not_confirmed`.
    """
    return await deliveries.set_email(actor.user_id, body)
