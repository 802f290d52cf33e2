"""The wire forms of subscriptions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from taskbell.api.http.body import RequestBody


class SubscriptionState(StrEnum):
    """How a user follows a task."""

    WATCHING = "watching"
    """Hears of it like its creator."""
    MUTED = "muted"
    """Hears only of mentions and new assignments."""


class SubscriptionPut(RequestBody):
    """How you want to follow a task."""

    state: Annotated[SubscriptionState, Field(strict=False)]
    """`watching` to hear of the task like its creator, `muted` to hear only of mentions and new assignments."""


class Subscription(BaseModel):
    """How you follow a task."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    task_id: UUID
    state: SubscriptionState | None
    """Null: you follow it only as its creator, assignee or commenter, if you are one."""
    created_at: datetime | None
    """When you first set the state; null without one."""
