"""Request and response bodies about notifications."""

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
    """The kind of a notification."""

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
    """The task, which may be deleted."""
    actor_id: UUID | None
    """The user who did it; null for the platform."""
    title: str
    """The title of the task at that time."""
    body: str
    """What happened, in a few English words."""
    urgent: bool
    """Whether alerts pass quiet hours."""
    read_at: datetime | None
    created_at: datetime


class InboxMeta(BaseModel):
    """The position of a page in the inbox, and the number of unread notifications."""

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
    """Whether there are more unread ones."""


class InboxPage(BaseModel):
    """A page of notifications."""

    items: list[Notification]
    meta: InboxMeta


class InboxQuery(QueryParameters):
    """Query parameters of the inbox."""

    unread: bool = False
    """Only unread ones."""
    limit: int | None = Field(default=None, ge=1)
    """Items in a page; 100 by default, 1,000 at most."""
    cursor: str | None = Field(default=None, max_length=512)
    """`meta.next_cursor` of the page before."""


class NotificationPatch(RequestBody):
    """Whether a notification is read."""

    read: bool
    """True marks it as read, false as unread."""


class NotificationsRead(RequestBody):
    """The notifications to mark as read: the listed ones, or all. Exactly one field is given."""

    ids: Annotated[list[Annotated[UUID, Field(strict=False)]], Field(min_length=1, max_length=1000)] | None = None
    """Up to 1,000 of your notifications; unknown ids are ignored."""
    all: bool = False
    """All that are in the inbox now."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.ids is not None) == self.all:
            raise PydanticCustomError("ids_or_all", "give either ids or all")
        return self


class ReadCount(BaseModel):
    """The result of marking notifications as read."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    read: int
    """How many changed from unread to read."""
