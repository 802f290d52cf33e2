"""The wire forms of comments: what clients send and receive."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import NO_NUL, RequestBody
from taskbell.api.http.paging import Page
from taskbell.api.tasks.schemas import IdField, not_blank


def _distinct(users: list[UUID]) -> list[UUID]:
    if len(set(users)) < len(users):
        raise PydanticCustomError("not_distinct", "nobody is mentioned twice")
    return users


class CommentCreate(RequestBody):
    """A new comment."""

    body: Annotated[str, Field(min_length=1, max_length=10_000), NO_NUL, AfterValidator(not_blank)]
    """1 to 10,000 characters, stored as they are; what they mean, such as Markdown, is up to clients."""
    mention_ids: Annotated[list[IdField], Field(max_length=50), AfterValidator(_distinct)] = Field(default=[])
    """Whom it mentions: up to 50 members of the workspace. Each is notified, also if they muted the task."""


class Comment(BaseModel):
    """A comment on a task."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    """UUIDv7."""
    workspace_id: UUID
    task_id: UUID
    author_id: UUID
    body: str
    mention_ids: list[UUID]
    """Members of the workspace when they were mentioned; one may have left since."""
    created_at: datetime


class CommentPage(Page[Comment]):
    """A page of comments, oldest first."""
