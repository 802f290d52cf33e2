"""The wire forms of tasks: what clients send and receive."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import NO_NUL, RequestBody, exactly_one, given
from taskbell.api.http.paging import Page, PageQuery

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\A\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)


class Status(StrEnum):
    """The status of a task."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Sort(StrEnum):
    """The orders of a list; `-` means descending. Ties are ordered by id, in the same direction."""

    POSITION = "position"
    POSITION_DESC = "-position"
    PRIORITY = "priority"
    PRIORITY_DESC = "-priority"
    DUE_AT = "due_at"
    DUE_AT_DESC = "-due_at"
    CREATED_AT = "created_at"
    CREATED_AT_DESC = "-created_at"
    UPDATED_AT = "updated_at"
    UPDATED_AT_DESC = "-updated_at"

    @property
    def field(self) -> str:
        """The field of a task that it sorts by."""
        return self.value.lstrip("-")

    @property
    def descending(self) -> bool:
        """Whether it goes from high to low."""
        return self.value.startswith("-")


class TaskRole(StrEnum):
    """What a user has to do with a task."""

    ASSIGNEE = "assignee"
    CREATOR = "creator"
    ANY = "any"


def _looks_like_rfc3339(value: object) -> object:
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise PydanticCustomError("datetime_format", "write an instant as RFC 3339, like 2027-01-31T09:00:00Z")
    return value


def _within_reason(value: datetime) -> datetime:
    if not EARLIEST <= value < LATEST:
        raise PydanticCustomError("datetime_range", "the instant must lie between 1970 and 2199")
    return value


def not_blank(value: str) -> str:
    """Refuse a text of spaces alone."""
    if not value.strip():
        raise PydanticCustomError("blank", "the text must not be blank")
    return value


Instant = Annotated[
    AwareDatetime, Field(strict=False), BeforeValidator(_looks_like_rfc3339), AfterValidator(_within_reason)
]
"""An instant as text with an offset; not strict because JSON has no instants, guarded by its form instead."""
Title = Annotated[str, Field(min_length=1, max_length=255), NO_NUL, AfterValidator(not_blank)]
Description = Annotated[str, Field(max_length=20_000), NO_NUL]
Priority = Annotated[int, Field(ge=1, le=10)]
StatusField = Annotated[Status, Field(strict=False)]
"""A member of the enumeration by its value; JSON has only strings."""
IdField = Annotated[UUID, Field(strict=False)]


def _distinct(users: list[UUID]) -> list[UUID]:
    if len(set(users)) < len(users):
        raise PydanticCustomError("not_distinct", "nobody is assigned twice")
    return users


Assignees = Annotated[list[IdField], Field(max_length=50), AfterValidator(_distinct)]


class TaskFields(RequestBody):
    """What a client may set on a task."""

    title: Title
    """1 to 255 characters."""
    description: Description | None = None
    """Up to 20,000 characters, or null."""
    status: StatusField = Status.PENDING
    """`pending`, `in_progress`, `completed` or `cancelled`."""
    priority: Priority = 5
    """1 (highest) to 10."""
    start_at: Instant | None = None
    """When work can begin, or null; not after `due_at`."""
    due_at: Instant | None = None
    """When it is due, or null."""
    assignee_ids: Assignees = Field(default=[])
    """Who does it: up to 50 members of the workspace. Each is notified, and reminded before it is due."""


class TaskCreate(TaskFields):
    """A new task."""

    workspace_id: IdField | None = None
    """The workspace; your personal one by default."""

    @model_validator(mode="after")
    def _start_before_due(self) -> Self:
        if self.start_at is not None and self.due_at is not None and self.start_at > self.due_at:
            raise PydanticCustomError("start_after_due", "start_at must not lie after due_at")
        return self


class TaskReplace(TaskCreate):
    """A whole task: what is absent takes its default. `workspace_id` must be the task's own, or absent."""


class TaskPatch(TaskFields):
    """The fields to change; absent ones stay as they are."""

    title: Title = ""
    """1 to 255 characters."""


class TaskMove(RequestBody):
    """The new place of a task: directly before or after another task of its workspace. Exactly one field is given."""

    model_config = ConfigDict(
        json_schema_extra={
            **exactly_one(*(given(name, {"type": "string"}) for name in ("before", "after"))),
            "examples": [{"after": "01995b7e-6d1c-7c63-a1a4-3d2d6f1c9a10"}],
        }
    )

    before: IdField | None = None
    """The task that follows it afterwards."""
    after: IdField | None = None
    """The task that it follows afterwards."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.before is None) == (self.after is None):
            raise PydanticCustomError("one_anchor", "name exactly one of before and after")
        return self


class Task(BaseModel):
    """A task."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    """UUIDv7."""
    workspace_id: UUID
    title: str
    description: str | None
    status: Status
    priority: int
    """1 (highest) to 10."""
    position: int
    """Its place in the order of the workspace; gaps are normal."""
    assignee_ids: list[UUID]
    """Who does it; an assignee may have left the workspace since."""
    start_at: datetime | None
    due_at: datetime | None
    version: int
    """Grows with every change; the ETag contains it."""
    created_by: UUID
    created_at: datetime
    updated_at: datetime
    status_changed_at: datetime
    completed_at: datetime | None
    """Set while the status is `completed`."""


class TaskPage(Page[Task]):
    """A page of tasks."""


class TaskFilters(PageQuery):
    """Query parameters that every list of tasks takes."""

    last_id: UUID | None = None
    """The id of the last task you have, instead of `cursor`. The task may have been changed or deleted since."""
    status: list[Status] = Field(default=[], max_length=4)
    """Only tasks with this status; may be given several times."""
    priority: int | None = Field(default=None, ge=1, le=10)
    """Only tasks of this priority."""
    priority_min: int | None = Field(default=None, ge=1, le=10)
    """Only tasks whose priority number is this or higher."""
    priority_max: int | None = Field(default=None, ge=1, le=10)
    """Only tasks whose priority number is this or lower."""
    due_before: Instant | None = None
    """Only tasks due before this instant."""
    due_after: Instant | None = None
    """Only tasks due at or after this instant."""
    updated_since: Instant | None = None
    """Only tasks changed at or after this instant."""
    sort: Sort | None = None
    """The order; `position` by default."""
    sort_by_priority: bool = False
    """A synonym for `sort=priority`."""


class MyTasksQuery(TaskFilters):
    """Query parameters of the list of one's own tasks."""

    role: TaskRole = TaskRole.ANY
    """`assignee` for the tasks assigned to you, `creator` for those you created, `any` for both."""
    sort: Sort | None = None
    """The order; `-created_at` by default."""


class TaskListQuery(TaskFilters):
    """Query parameters of the list of a workspace's tasks."""

    workspace_id: UUID | None = None
    """The workspace; your personal one by default."""
