"""What users do with webhooks and e-mail. The service owns the transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from taskbell.api.deliveries import repository
from taskbell.api.deliveries.errors import (
    DeliveryNotFound,
    EmailNotConfirmed,
    EventExpired,
    TooManyWebhooks,
    UrlRefused,
    WebhookNotFound,
    WebhooksNotPermitted,
    WebhookSwitchedOff,
)
from taskbell.api.deliveries.policy import MOST_WEBHOOKS, new_secret, url_fault
from taskbell.api.deliveries.schemas import (
    Delivery,
    EmailChannel,
    EmailChannelChange,
    Webhook,
    WebhookChange,
    WebhookCreate,
    WebhookWithSecret,
)
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.api.quotas.service import Quotas
from taskbell.api.workspaces.membership import require_role
from taskbell.api.workspaces.policy import Role
from taskbell.contract.events import EventRecord, envelope
from taskbell.contract.problems import FieldError
from taskbell.contract.webhooks import TEST_TYPE
from taskbell.kit.ids import new_id
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Connection, Database

_TEST_RETRIED_FOR = timedelta(minutes=10)


class Deliveries:
    """The webhooks of workspaces and the e-mail of a user, on behalf of a signed-in user."""

    def __init__(self, database: Database, *, quotas: Quotas, allow_http: bool, secret_overlap: timedelta) -> None:
        self._database = database
        self._quotas = quotas
        self._allow_http = allow_http
        self._secret_overlap = secret_overlap

    async def create(self, actor: UUID, workspace_id: UUID, wanted: WebhookCreate) -> WebhookWithSecret:
        """Make a webhook.

        Raises:
            WorkspaceNotFound: The actor does not belong to the workspace.
            WebhooksNotPermitted: The actor does not administer it.
            UrlRefused: The address cannot be a webhook's.
            TooManyWebhooks: There are enough.
        """
        self._check_url(wanted.url)
        secret = new_secret()
        async with self._database.acting(actor) as connection:
            await repository.lock_webhooks(connection, workspace_id)
            await _require_administrator(connection, actor, workspace_id)
            if await repository.count_webhooks(connection, workspace_id) >= MOST_WEBHOOKS:
                raise TooManyWebhooks(f"A workspace has at most {MOST_WEBHOOKS} webhooks.")
            row = await repository.add_webhook(
                connection,
                webhook_id=new_id(),
                workspace_id=workspace_id,
                url=wanted.url,
                event_types=wanted.event_types,
                enabled=wanted.enabled,
                secret=secret,
                actor=actor,
            )
        return _with_secret(row, secret)

    async def page(self, actor: UUID, workspace_id: UUID, wanted: PageRequest) -> Slice[Webhook]:
        """Read a page of webhooks, by id. Raises `WorkspaceNotFound`, `WebhooksNotPermitted`."""
        async with self._database.acting(actor) as connection:
            await _require_administrator(connection, actor, workspace_id)
            return await repository.list_webhooks(
                connection, workspace_id=workspace_id, after=wanted.after, limit=wanted.limit
            )

    async def get(self, actor: UUID, webhook_id: UUID) -> Webhook:
        """Read one. Raises `WebhookNotFound` also when its workspace is not the actor's to administer."""
        async with self._database.acting(actor) as connection:
            return await _webhook(connection, webhook_id)

    async def change(self, actor: UUID, webhook_id: UUID, wanted: WebhookChange) -> Webhook:
        """Change what the body names. Raises `WebhookNotFound`, `UrlRefused`."""
        changes = {name: getattr(wanted, name) for name in wanted.model_fields_set}
        if "url" in changes:
            self._check_url(changes["url"])
        async with self._database.acting(actor) as connection:
            return _known(await repository.change_webhook(connection, webhook_id, changes=changes))

    async def rotate(self, actor: UUID, webhook_id: UUID) -> WebhookWithSecret:
        """Give it a new secret; the old one also signs for a while. Raises `WebhookNotFound`."""
        secret = new_secret()
        async with self._database.acting(actor) as connection:
            row = await repository.rotate_secret(connection, webhook_id, secret=secret, overlap=self._secret_overlap)
        return _with_secret(_known(row), secret)

    async def delete(self, actor: UUID, webhook_id: UUID) -> None:
        """Delete it. Raises `WebhookNotFound`."""
        async with self._database.acting(actor) as connection:
            if not await repository.delete_webhook(connection, webhook_id):
                raise WebhookNotFound

    async def log(self, actor: UUID, webhook_id: UUID, wanted: PageRequest, *, state: str | None) -> Slice[Delivery]:
        """Read a page of deliveries, the newest first. Raises `WebhookNotFound`."""
        async with self._database.acting(actor) as connection:
            await _webhook(connection, webhook_id)
            return await repository.list_deliveries(
                connection, webhook_id=webhook_id, state=state, after=wanted.after, limit=wanted.limit
            )

    async def test(self, actor: UUID, webhook_id: UUID) -> Delivery:
        """Send it an event of its own. Raises `WebhookNotFound`, `WebhookSwitchedOff`, `QuotaExceeded`."""
        async with self._database.acting(actor) as connection:
            webhook = await _switched_on(connection, webhook_id)
            self._quotas.check(webhook.workspace_id)
            record = EventRecord(
                id=new_id(),
                workspace_id=webhook.workspace_id,
                type=TEST_TYPE,
                subject_id=webhook.id,
                actor_id=actor,
                audience=(),
                traceparent=traceparent(),
                created_at=datetime.now(UTC),
                data=orjson.dumps({"id": str(webhook.id), "message": "This is a test."}).decode(),
            )
            return await repository.add_test(
                connection,
                webhook=webhook,
                event_id=record.id,
                event_type=record.type,
                payload=envelope(record).decode(),
                retry_for=_TEST_RETRIED_FOR,
            )

    async def redeliver(self, actor: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery:
        """Send an event once more.

        Raises:
            WebhookNotFound: There is no such webhook for the actor.
            WebhookSwitchedOff: It receives nothing.
            DeliveryNotFound: Its log does not hold this delivery.
            EventExpired: The event is older than `TASKBELL_EVENT_RETENTION` and was removed.
            QuotaExceeded: The workspace has written too much for now.
        """
        async with self._database.acting(actor, prunes=False) as connection:
            webhook = await _switched_on(connection, webhook_id)
            self._quotas.check(webhook.workspace_id)
            row = await repository.redeliver(connection, webhook_id=webhook_id, delivery_id=delivery_id)
            if row is not None:
                return row
            if await repository.has_delivery(connection, webhook_id=webhook_id, delivery_id=delivery_id):
                raise EventExpired
            raise DeliveryNotFound

    async def email(self, actor: UUID) -> EmailChannel:
        """The actor's e-mail channel."""
        async with self._database.acting(actor) as connection:
            return await repository.get_email_channel(connection, actor)

    async def set_email(self, actor: UUID, wanted: EmailChannelChange) -> EmailChannel:
        """Set it. Raises `EmailNotConfirmed` if it is switched on, and the address is not confirmed."""
        async with self._database.acting(actor) as connection:
            if wanted.enabled and not (await repository.get_email_channel(connection, actor)).confirmed:
                raise EmailNotConfirmed
            await repository.set_email_channel(connection, actor, enabled=wanted.enabled, kinds=wanted.kinds)
            return await repository.get_email_channel(connection, actor)

    def _check_url(self, url: str) -> None:
        if fault := url_fault(url, allow_http=self._allow_http):
            raise UrlRefused(f"/url: {fault}", errors=(FieldError("/url", "url", fault),))


async def _require_administrator(connection: Connection, actor: UUID, workspace_id: UUID) -> None:
    role = await require_role(connection, actor=actor, workspace_id=workspace_id)
    if role not in {Role.OWNER, Role.ADMIN}:
        raise WebhooksNotPermitted


async def _webhook(connection: Connection, webhook_id: UUID) -> Webhook:
    return _known(await repository.get_webhook(connection, webhook_id))


async def _switched_on(connection: Connection, webhook_id: UUID) -> Webhook:
    webhook = await _webhook(connection, webhook_id)
    if not webhook.enabled:
        raise WebhookSwitchedOff
    return webhook


def _known(row: Webhook | None) -> Webhook:
    if row is None:
        raise WebhookNotFound
    return row


def _with_secret(webhook: Webhook, secret: str) -> WebhookWithSecret:
    return WebhookWithSecret(**webhook.model_dump(), secret=secret)
