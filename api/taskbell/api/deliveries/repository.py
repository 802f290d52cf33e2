"""SQL about webhooks, deliveries and e-mail, within a transaction of the actor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from taskbell.api.deliveries.schemas import Delivery, EmailChannel, Webhook
from taskbell.api.http.paging import Place, Slice
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_COUNT_WEBHOOKS = load(__package__, "count_webhooks")
_DELETE_WEBHOOK = load(__package__, "delete_webhook")
_GET_EMAIL_CHANNEL = load(__package__, "get_email_channel")
_GET_WEBHOOK = load(__package__, "get_webhook")
_HAS_DELIVERY = load(__package__, "has_delivery")
_INSERT_TEST_DELIVERY = load(__package__, "insert_test_delivery")
_INSERT_WEBHOOK = load(__package__, "insert_webhook")
_LIST_DELIVERIES = load(__package__, "list_deliveries")
_LIST_WEBHOOKS = load(__package__, "list_webhooks")
_LOCK_WEBHOOKS = load(__package__, "lock_webhooks")
_LOCK_WEBHOOKS_WITH = load(__package__, "lock_webhooks_with")
_REDELIVER = load(__package__, "redeliver")
_ROTATE_SECRET = load(__package__, "rotate_secret")
_SET_EMAIL_CHANNEL = load(__package__, "set_email_channel")
_UPDATE_WEBHOOK = load(__package__, "update_webhook")


async def lock_webhooks(connection: Connection, workspace_id: UUID) -> None:
    """Let others who would add a webhook, or lose the right to, wait until this transaction ends."""
    await _LOCK_WEBHOOKS.value(connection, workspace_id=workspace_id)


async def count_webhooks(connection: Connection, workspace_id: UUID) -> int:
    """Count the webhooks of a workspace."""
    count: int = await _COUNT_WEBHOOKS.value(connection, workspace_id=workspace_id)
    return count


async def add_webhook(
    connection: Connection,
    *,
    webhook_id: UUID,
    workspace_id: UUID,
    url: str,
    event_types: list[str],
    enabled: bool,
    secret: str,
    actor: UUID,
) -> Webhook:
    """Write a webhook."""
    row = await _INSERT_WEBHOOK.row(
        connection,
        id=webhook_id,
        workspace_id=workspace_id,
        url=url,
        event_types=event_types,
        enabled=enabled,
        secret=secret,
        actor=actor,
    )
    return Webhook.of(row)


async def list_webhooks(
    connection: Connection, *, workspace_id: UUID, after: Place | None, limit: int
) -> Slice[Webhook]:
    """Webhooks of a workspace, by id."""
    past = None if after is None else after.id
    rows = await _LIST_WEBHOOKS.rows(connection, workspace_id=workspace_id, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=Webhook.of, place=lambda row: Place(row["id"]))


async def get_webhook(connection: Connection, webhook_id: UUID) -> Webhook | None:
    """One webhook, or None when there is none that the actor administers."""
    row = await _GET_WEBHOOK.row(connection, id=webhook_id)
    return None if row is None else Webhook.of(row)


async def change_webhook(connection: Connection, webhook_id: UUID, *, changes: Mapping[str, Any]) -> Webhook | None:
    """Change what is named. A webhook that is switched on forgets why it was off."""
    await _LOCK_WEBHOOKS_WITH.value(connection, id=webhook_id)
    row = await _UPDATE_WEBHOOK.row(
        connection,
        id=webhook_id,
        url=changes.get("url"),
        event_types=changes.get("event_types"),
        enabled=changes.get("enabled"),
    )
    return None if row is None else Webhook.of(row)


async def rotate_secret(connection: Connection, webhook_id: UUID, *, secret: str, overlap: timedelta) -> Webhook | None:
    """Give it a new secret. The present one signs too during `overlap`; an older one is forgotten."""
    row = await _ROTATE_SECRET.row(connection, id=webhook_id, secret=secret, overlap=overlap)
    return None if row is None else Webhook.of(row)


async def delete_webhook(connection: Connection, webhook_id: UUID) -> bool:
    """Delete it with its secrets; its pending deliveries end."""
    return await _DELETE_WEBHOOK.count(connection, id=webhook_id) == 1


async def list_deliveries(
    connection: Connection, *, webhook_id: UUID, state: str | None, after: Place | None, limit: int
) -> Slice[Delivery]:
    """Deliveries to a webhook, the newest first."""
    past = None if after is None else after.id
    rows = await _LIST_DELIVERIES.rows(connection, webhook_id=webhook_id, state=state, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=Delivery.of, place=lambda row: Place(row["id"]))


async def add_test(
    connection: Connection, *, webhook: Webhook, event_id: UUID, event_type: str, payload: str, retry_for: timedelta
) -> Delivery:
    """Write a delivery of an event that only this webhook receives."""
    row = await _INSERT_TEST_DELIVERY.row(
        connection,
        event_id=event_id,
        webhook_id=webhook.id,
        workspace_id=webhook.workspace_id,
        event_type=event_type,
        payload=payload,
        retry_for=retry_for,
    )
    return Delivery.of(row)


async def redeliver(connection: Connection, *, webhook_id: UUID, delivery_id: UUID) -> Delivery | None:
    """Begin a delivery again, at once and for as long as it first had; None when there is none, or no event."""
    row = await _REDELIVER.row(connection, webhook_id=webhook_id, id=delivery_id)
    return None if row is None else Delivery.of(row)


async def has_delivery(connection: Connection, *, webhook_id: UUID, delivery_id: UUID) -> bool:
    """Whether the log of a webhook holds a delivery."""
    return bool(await _HAS_DELIVERY.value(connection, webhook_id=webhook_id, id=delivery_id))


async def get_email_channel(connection: Connection, actor: UUID) -> EmailChannel:
    """The actor's e-mail channel; switched off if it was never set."""
    row = await _GET_EMAIL_CHANNEL.row(connection, user_id=actor)
    return EmailChannel.of(row)


async def set_email_channel(connection: Connection, actor: UUID, *, enabled: bool, kinds: list[str]) -> None:
    """Set the actor's e-mail channel. When it is switched on, it receives notifications from now on."""
    await _SET_EMAIL_CHANNEL.count(connection, user_id=actor, enabled=enabled, kinds=kinds)
