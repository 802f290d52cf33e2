"""SQL about channels, within a transaction of the actor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.kit.ids import bare_uuid
from taskbell.store.pool import Connection

_WEBHOOK = (
    "id, workspace_id, url, event_types, enabled, disabled_reason,"
    " CASE WHEN previous_secret_expires_at > now() THEN previous_secret_expires_at END AS previous_secret_expires_at,"
    " created_at, updated_at"
)
_DELIVERY = (
    "id, event_id, event_type, state, attempts, response_status, error,"
    " CASE WHEN state IN ('pending', 'retrying') THEN due_at END AS next_attempt_at,"
    " created_at, attempted_at, delivered_at"
)


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """A webhook without its secrets."""

    id: UUID
    workspace_id: UUID
    url: str
    event_types: list[str]
    enabled: bool
    disabled_reason: str | None
    previous_secret_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A line of the delivery log."""

    id: UUID
    event_id: UUID
    event_type: str
    state: str
    attempts: int
    response_status: int | None
    error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    attempted_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class EmailChannelRow:
    """A person's e-mail channel."""

    enabled: bool
    kinds: list[str]
    address: str


async def role_in(connection: Connection, workspace_id: UUID) -> str | None:
    """The actor's role in a workspace, None for a stranger."""
    role: str | None = await connection.fetchval("SELECT taskbell.role_in($1)", workspace_id)
    return role


async def reserve_webhook(connection: Connection, workspace_id: UUID) -> int:
    """How many webhooks a workspace has; until the transaction ends nobody else is told, who might add one as well."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || $1::uuid, 0))", workspace_id)
    count: int = await connection.fetchval("SELECT count(*) FROM webhooks WHERE workspace_id = $1", workspace_id)
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
) -> WebhookRow:
    """Write a webhook."""
    row = await connection.fetchrow(
        "INSERT INTO webhooks (id, workspace_id, url, event_types, enabled, secret, created_by)"  # noqa: S608 -- own columns
        f" VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_WEBHOOK}",
        webhook_id,
        workspace_id,
        url,
        event_types,
        enabled,
        secret,
        actor,
    )
    assert row is not None  # noqa: S101 -- an INSERT of one row returns it
    return _webhook(row)


async def list_webhooks(
    connection: Connection, *, workspace_id: UUID, past: UUID | None, at_most: int
) -> list[WebhookRow]:
    """Webhooks of a workspace, by id."""
    rows = await connection.fetch(
        f"SELECT {_WEBHOOK} FROM webhooks WHERE workspace_id = $1 AND ($2::uuid IS NULL OR id > $2)"  # noqa: S608 -- own columns
        " ORDER BY id LIMIT $3",
        workspace_id,
        past,
        at_most,
    )
    return [_webhook(row) for row in rows]


async def get_webhook(connection: Connection, webhook_id: UUID) -> WebhookRow | None:
    """One webhook, or None when there is none that the actor administers."""
    row = await connection.fetchrow(
        f"SELECT {_WEBHOOK} FROM webhooks WHERE id = $1",  # noqa: S608 -- own columns
        webhook_id,
    )
    return None if row is None else _webhook(row)


async def change_webhook(connection: Connection, webhook_id: UUID, *, changes: Mapping[str, Any]) -> WebhookRow | None:
    """Change what is named. Switching on counts from now, and forgets why it was off."""
    row = await connection.fetchrow(
        "UPDATE webhooks SET url = coalesce($2, url), event_types = coalesce($3, event_types),"  # noqa: S608 -- own columns
        " enabled = coalesce($4, enabled),"
        " enabled_at = CASE WHEN $4 AND NOT enabled THEN clock_timestamp() ELSE enabled_at END,"
        " disabled_reason = CASE WHEN $4 IS NULL THEN disabled_reason END,"
        f" updated_at = clock_timestamp() WHERE id = $1 RETURNING {_WEBHOOK}",
        webhook_id,
        changes.get("url"),
        changes.get("event_types"),
        changes.get("enabled"),
    )
    return None if row is None else _webhook(row)


async def rotate_secret(
    connection: Connection, webhook_id: UUID, *, secret: str, overlap: timedelta
) -> WebhookRow | None:
    """Give it a new secret; the present one signs beside it for a while, an even older one no more."""
    row = await connection.fetchrow(
        "UPDATE webhooks SET previous_secret = secret, previous_secret_expires_at = now() + $3::interval,"  # noqa: S608 -- own columns
        f" secret = $2, updated_at = clock_timestamp() WHERE id = $1 RETURNING {_WEBHOOK}",
        webhook_id,
        secret,
        overlap,
    )
    return None if row is None else _webhook(row)


async def delete_webhook(connection: Connection, webhook_id: UUID) -> bool:
    """Delete it with its secrets; what was on its way to it ends."""
    deleted = await connection.fetchval("DELETE FROM webhooks WHERE id = $1 RETURNING true", webhook_id)
    return deleted is True


async def list_deliveries(
    connection: Connection, *, webhook_id: UUID, state: str | None, past: UUID | None, at_most: int
) -> list[DeliveryRow]:
    """Deliveries to a webhook, the newest first."""
    rows = await connection.fetch(
        f"SELECT {_DELIVERY} FROM deliveries WHERE endpoint_id = $1 AND channel = 'webhook'"  # noqa: S608 -- own columns
        " AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        webhook_id,
        state,
        past,
        at_most,
    )
    return [_delivery(row) for row in rows]


async def add_test(
    connection: Connection, *, webhook: WebhookRow, event_id: UUID, event_type: str, payload: str, retry_for: timedelta
) -> DeliveryRow:
    """Write a delivery of an event that only this webhook gets."""
    row = await connection.fetchrow(
        "INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at)"  # noqa: S608 -- own columns
        f" VALUES ($1, 'webhook', $2, $3, $4, $5, now() + $6::interval) RETURNING {_DELIVERY}",
        event_id,
        webhook.id,
        webhook.workspace_id,
        event_type,
        payload,
        retry_for,
    )
    assert row is not None  # noqa: S101 -- an INSERT of one row returns it
    return _delivery(row)


async def redeliver(connection: Connection, *, webhook_id: UUID, delivery_id: UUID) -> DeliveryRow | None:
    """Let a delivery begin anew, at once and for as long as it first had."""
    row = await connection.fetchrow(
        "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = now(), error = NULL,"  # noqa: S608 -- own columns
        " give_up_at = now() + greatest(give_up_at - created_at, interval '10 minutes')"
        f" WHERE endpoint_id = $1 AND id = $2 AND channel = 'webhook' RETURNING {_DELIVERY}",
        webhook_id,
        delivery_id,
    )
    return None if row is None else _delivery(row)


async def get_email_channel(connection: Connection, actor: UUID) -> EmailChannelRow:
    """The actor's e-mail channel; off where it was never set."""
    row = await connection.fetchrow(
        "SELECT coalesce(c.enabled, false) AS enabled, coalesce(c.kinds, '{*}') AS kinds, u.email AS address"
        " FROM users u LEFT JOIN email_channels c ON c.user_id = u.id WHERE u.id = $1",
        actor,
    )
    assert row is not None  # noqa: S101 -- the actor has an account
    return EmailChannelRow(**dict(row))


async def set_email_channel(connection: Connection, actor: UUID, *, enabled: bool, kinds: list[str]) -> None:
    """Set it; switched on, it counts from now."""
    await connection.execute(
        "INSERT INTO email_channels AS c (user_id, enabled, kinds) VALUES ($1, $2, $3)"
        " ON CONFLICT (user_id) DO UPDATE SET enabled = excluded.enabled, kinds = excluded.kinds,"
        " enabled_at = CASE WHEN excluded.enabled AND NOT c.enabled THEN clock_timestamp() ELSE c.enabled_at END,"
        " updated_at = clock_timestamp()",
        actor,
        enabled,
        kinds,
    )


def _webhook(row: asyncpg.Record) -> WebhookRow:
    found = dict(row)
    return WebhookRow(**found | {"id": bare_uuid(row["id"]), "workspace_id": bare_uuid(row["workspace_id"])})


def _delivery(row: asyncpg.Record) -> DeliveryRow:
    return DeliveryRow(**dict(row) | {"id": bare_uuid(row["id"]), "event_id": bare_uuid(row["event_id"])})
