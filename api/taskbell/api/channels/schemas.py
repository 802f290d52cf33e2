"""Bodies and answers about channels."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import NO_NUL, RequestBody
from taskbell.api.http.paging import PageMeta, PageQuery
from taskbell.api.notifications.schemas import Kind
from taskbell.contract.events import EventType
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
    Field(examples=["https://example.com/hooks/taskbell"]),
]
EventTypes = Annotated[
    list[Annotated[str, StringConstraints(max_length=64), AfterValidator(_event_type)]],
    Field(min_length=1, max_length=50, examples=[["task.created", "task.status_changed"]]),
]
Kinds = Annotated[
    list[Annotated[str, StringConstraints(max_length=64), AfterValidator(_kind)]],
    Field(min_length=1, max_length=50, examples=[["assigned", "due_soon"]]),
]


class WebhookCreate(RequestBody):
    """A new webhook."""

    workspace_id: Annotated[UUID | None, Field(strict=False)] = None
    """Whose events; your personal workspace when left out."""
    url: Url
    """Where events are posted to: an https address."""
    event_types: EventTypes = [EVERYTHING]  # noqa: RUF012 -- pydantic copies defaults
    """Which types; `*` is all, also those to come."""
    enabled: bool = True
    """Whether it gets events."""


class WebhookChange(RequestBody):
    """What to change of a webhook; what is left out stays."""

    url: Url = ""
    """Where events are posted to."""
    event_types: EventTypes = []  # noqa: RUF012 -- pydantic copies defaults
    """Which types."""
    enabled: bool = True
    """Switched on, it gets events from now on. Switched off, what is under way ends."""


class Webhook(BaseModel):
    """A webhook."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)

    id: UUID
    workspace_id: UUID
    url: str
    event_types: list[str]
    enabled: bool
    disabled_reason: str | None
    """`gone` when it was switched off because the receiver answered 410; null when a person did."""
    previous_secret_expires_at: datetime | None
    """Until when the secret before the last rotation signs, too."""
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(Webhook):
    """A webhook with its new secret."""

    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])
    """Verify `webhook-signature` with it. Shown this once."""


class WebhookPage(BaseModel):
    """A page of webhooks."""

    items: list[Webhook]
    meta: PageMeta


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    """It was not tried yet."""
    RETRYING = "retrying"
    """It failed and will be tried again."""
    DELIVERED = "delivered"
    """The receiver said yes."""
    DEAD = "dead"
    """It was given up."""


class DeliveryQuery(PageQuery):
    """Query parameters of the delivery log."""

    state: DeliveryState | None = None
    """Only deliveries in this state."""


class Delivery(BaseModel):
    """One event on its way to one webhook."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)

    id: UUID
    event_id: UUID
    """The event's id, and the `webhook-id` of every attempt."""
    event_type: str
    state: DeliveryState
    attempts: int
    """Attempts so far; a redelivery counts anew."""
    response_status: int | None
    """The receiver's last HTTP status, if it answered."""
    error: str | None
    """What went wrong last."""
    next_attempt_at: datetime | None
    """Not before then; null when there is none to come."""
    created_at: datetime
    attempted_at: datetime | None
    delivered_at: datetime | None


class DeliveryPage(BaseModel):
    """A page of the delivery log, the newest first."""

    items: list[Delivery]
    meta: PageMeta


class EmailChannelChange(RequestBody):
    """Which notifications to send by e-mail."""

    enabled: bool
    """Whether any are sent."""
    kinds: Kinds = [EVERYTHING]  # noqa: RUF012 -- pydantic copies defaults
    """Which kinds; `*` is all, also those to come."""


class EmailChannel(BaseModel):
    """Which notifications are sent to you by e-mail."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)

    enabled: bool
    kinds: list[str]
    address: str = Field(examples=["ann@example.com"])
    """Your account's."""
