"""Request and response bodies about webhooks and e-mail."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import NO_NUL, RequestBody
from taskbell.api.http.paging import Page, PageQuery
from taskbell.api.http.rows import RowModel
from taskbell.contract.events import EventType
from taskbell.contract.notices import Kind
from taskbell.contract.webhooks import EVERYTHING, is_shared

_TYPES = frozenset({EVERYTHING, *(event for event in EventType if is_shared(event))})
_KINDS = frozenset({EVERYTHING, *Kind})


def _event_type(text: str) -> str:
    if text not in _TYPES:
        raise PydanticCustomError("event_type", "not a type of event that webhooks can have, nor `*`")
    return text


def _kind(text: str) -> str:
    if text not in _KINDS:
        raise PydanticCustomError("notification_kind", "not a kind of notification, nor `*`")
    return text


Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048),
    NO_NUL,
    Field(examples=["https://example.com/hooks/taskbell"], json_schema_extra={"pattern": r"^https?://[^\x00]+$"}),
]
EventTypes = Annotated[
    list[Annotated[str, AfterValidator(_event_type), Field(json_schema_extra={"enum": sorted(_TYPES)})]],
    Field(min_length=1, max_length=50, examples=[["task.created", "task.status_changed"]]),
]
Kinds = Annotated[
    list[Annotated[str, AfterValidator(_kind), Field(json_schema_extra={"enum": sorted(_KINDS)})]],
    Field(min_length=1, max_length=50, examples=[["assigned", "due_soon"]]),
]


class WebhookCreate(RequestBody):
    """A new webhook."""

    workspace_id: Annotated[UUID | None, Field(strict=False)] = None
    """The workspace whose events it receives; your personal one by default."""
    url: Url
    """The https address that receives the events."""
    event_types: EventTypes = [EVERYTHING]  # noqa: RUF012 -- pydantic copies defaults
    """Event types; `*` means all, including future ones."""
    enabled: bool = True
    """Whether it receives events."""


class WebhookChange(RequestBody):
    """The fields of a webhook to change; absent ones stay."""

    url: Url = ""
    """The address that receives the events."""
    event_types: EventTypes = []  # noqa: RUF012 -- pydantic copies defaults
    """Event types."""
    enabled: bool = True
    """When switched on, it receives events from now on. When switched off, its pending deliveries end."""


class Webhook(RowModel):
    """A webhook."""

    id: UUID
    workspace_id: UUID
    url: str
    event_types: list[str]
    enabled: bool
    disabled_reason: str | None
    """`gone` when it was switched off because the receiver answered 410, `responsible_left` because the user who is
    responsible for it no longer administers the workspace; null when a user did it."""
    responsible_id: UUID | None
    """The user who made it, or last set its address or switched it on."""
    previous_secret_expires_at: datetime | None
    """Until when the previous secret signs too."""
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(Webhook):
    """A webhook with its new secret."""

    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])
    """Verify `webhook-signature` with it. It is shown only once."""


class WebhookPage(Page[Webhook]):
    """A page of webhooks."""


class WebhookQuery(PageQuery):
    """Query parameters of the list of webhooks."""

    workspace_id: UUID | None = None
    """Whose webhooks; your personal workspace's when absent."""


class DeliveryState(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    """No attempt was made yet."""
    RETRYING = "retrying"
    """Failed; it will be retried."""
    DELIVERED = "delivered"
    """The receiver accepted it."""
    DEAD = "dead"
    """Given up."""


class DeliveryQuery(PageQuery):
    """Query parameters of the delivery log."""

    state: DeliveryState | None = None
    """Only deliveries in this state."""


class Delivery(RowModel):
    """One event on its way to one webhook."""

    id: UUID
    event_id: UUID
    """The event's id, and the `webhook-id` of every attempt."""
    event_type: str
    state: DeliveryState
    attempts: int
    """Attempts so far; a redelivery starts at 0."""
    response_status: int | None
    """The last HTTP status of the receiver, if it responded."""
    error: str | None
    """The last error."""
    next_attempt_at: datetime | None
    """The earliest time of the next attempt; null when there is none."""
    created_at: datetime
    attempted_at: datetime | None
    delivered_at: datetime | None


class DeliveryPage(Page[Delivery]):
    """A page of the delivery log, the newest first."""


class EmailChannelChange(RequestBody):
    """Which notifications to send by e-mail."""

    enabled: bool
    """Whether any are sent."""
    kinds: Kinds = [EVERYTHING]  # noqa: RUF012 -- pydantic copies defaults
    """Kinds of notifications; `*` means all, including future ones."""


class EmailChannel(RowModel):
    """Which notifications are sent to you by e-mail."""

    enabled: bool
    kinds: list[str]
    address: str = Field(examples=["ann@example.com"])
    """The address of your account."""
    confirmed: bool
    """Whether you confirmed it; before, the channel cannot be switched on and nothing is sent."""
