"""Request and response bodies about notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import RequestBody, exactly_one, given
from taskbell.api.http.paging import Page, PageMeta, PageQuery
from taskbell.contract.notices import Kind


class Notification(BaseModel):
    """A notification."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    """UUIDv7."""
    kind: Kind
    workspace_id: UUID
    """The workspace of the task; of an invitation, your personal one."""
    task_id: UUID | None
    """The task it is about, which may be deleted; null if it is about none."""
    actor_id: UUID | None
    """Who made the change; null for the platform itself."""
    title: str
    """The title of the task at that time, or what kind of fact it is."""
    body: str
    """What happened, in a few English words."""
    urgent: bool
    """Whether it alerts during quiet hours."""
    read_at: datetime | None
    created_at: datetime


class InboxMeta(PageMeta):
    """The position of a page in the inbox, and the number of unread notifications."""

    unread: int
    """Unread notifications, counted up to 1,000."""
    unread_capped: bool
    """Whether there are more unread ones."""


class InboxPage(Page[Notification]):
    """A page of notifications."""

    meta: InboxMeta


class InboxQuery(PageQuery):
    """Query parameters of the inbox."""

    unread: bool = False
    """Only unread ones."""


class NotificationPatch(RequestBody):
    """Whether a notification is read."""

    read: bool
    """True marks it as read, false as unread."""


class NotificationsRead(RequestBody):
    """The notifications to mark as read: the listed ones, or all. Exactly one field is given."""

    model_config = ConfigDict(
        json_schema_extra={
            **exactly_one(given("ids", {"type": "array"}), given("all", {"enum": [True]})),
            "examples": [{"all": True}],
        },
    )

    ids: Annotated[list[Annotated[UUID, Field(strict=False)]], Field(min_length=1, max_length=1000)] | None = None
    """Up to 1,000 of your notifications; unknown ones are ignored."""
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
