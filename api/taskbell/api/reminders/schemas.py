"""The wire forms of reminders by call."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from taskbell.api.http.body import NO_NUL, RequestBody
from taskbell.api.tasks.schemas import not_blank


class RemindTask(RequestBody):
    """A reminder of a task. Without a body it is one without a note."""

    note: Annotated[str, Field(min_length=1, max_length=500), NO_NUL, AfterValidator(not_blank)] | None = None
    """What it says, up to 500 characters; by default when the task is due."""
    urgent: bool = False
    """Whether its alerts pass quiet hours."""


class Reminded(BaseModel):
    """Whom a reminder reached."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    notified: int
    """How many users have it in their inbox. Who muted the task does not."""
