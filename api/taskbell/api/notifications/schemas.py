"""What clients send and receive about notifications."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import RequestBody
from taskbell.api.http.query import QueryParameters


class Kind(StrEnum):
    """What a notification tells."""

    ASSIGNED = "assigned"
    """A task was assigned to you."""
    STATUS_CHANGED = "status_changed"
    """The status of a task that you created, or that is assigned to you, was changed."""
    DUE_SOON = "due_soon"
    """A task that is assigned to you (or to nobody, and created by you) is due soon."""


class Notification(BaseModel):
    """A notification."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    """UUIDv7."""
    kind: Kind
    workspace_id: UUID
    task_id: UUID | None
    """The task it is about, which may be gone."""
    actor_id: UUID | None
    """Who did what it tells; null for the platform itself."""
    title: str
    """The task's title then."""
    body: str
    """What happened, in a few English words."""
    urgent: bool
    """Whether alerts pass quiet hours."""
    read_at: datetime | None
    created_at: datetime


class InboxMeta(BaseModel):
    """Where a page stands in the inbox, and how much of the inbox is unread."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    limit: int
    """The most items the page could hold."""
    has_more: bool
    """Whether another page follows."""
    next_cursor: str | None
    """Send it as `cursor`, with the same filter, for the next page."""
    unread: int
    """Unread notifications, counted up to 1,000."""
    unread_capped: bool
    """Whether there are more unread ones than that."""


class InboxPage(BaseModel):
    """A page of notifications."""

    items: list[Notification]
    meta: InboxMeta


class InboxQuery(QueryParameters):
    """Query parameters of the inbox."""

    unread: bool = False
    """Only those that are not read."""
    limit: int | None = Field(default=None, ge=1)
    """Items in a page; 100 by default, 1,000 at most."""
    cursor: str | None = Field(default=None, max_length=512)
    """`meta.next_cursor` of the page before."""


class NotificationPatch(RequestBody):
    """Whether a notification is read."""

    read: bool
    """True when it was read, false to mark it as not read."""


class NotificationsRead(RequestBody):
    """Which notifications were read: those listed, or all. Exactly one is given."""

    ids: Annotated[list[Annotated[UUID, Field(strict=False)]], Field(min_length=1, max_length=1000)] | None = None
    """Up to 1,000 of your notifications; unknown ones are passed over."""
    all: bool = False
    """Everything that is in the inbox now."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.ids is not None) == self.all:
            raise PydanticCustomError("ids_or_all", "give either ids or all")
        return self


class ReadCount(BaseModel):
    """What a request to mark notifications as read has changed."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    read: int
    """How many were unread and are read now."""
