"""What clients ask of reports, and what these tell."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from taskbell.api.accounts.schemas import TimeZone
from taskbell.api.http.paging import Page, PageQuery
from taskbell.api.reports.policy import By

T = TypeVar("T")
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2199, 12, 31), examples=["2026-11-01"])]


class WorkspaceQuery(PageQuery):
    """Query parameters that every report takes."""

    workspace_id: UUID | None = None
    """The workspace; your personal one by default."""
    person_id: UUID | None = None
    """Only what counts for this person."""


class DaysQuery(WorkspaceQuery):
    """Query parameters of a report on some days."""

    by: By = By.DAY
    """`day`: an item for each day. `person`: an item for each person who has any, ordered by id."""
    from_day: Day | None = Field(default=None, alias="from")
    """The first day; by default the 30th that ends with the last."""
    to_day: Day | None = Field(default=None, alias="to")
    """The last day, which counts too; today by default. At most 366 days."""
    time_zone: TimeZone | None = None
    """Where days begin and end: a name of the IANA time zone database; your own time zone by default."""


class Item(BaseModel):
    """A day or a person."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    day: date | None
    """The day on the clock of the time zone; null by person."""
    person_id: UUID | None
    """A user, who may have left the workspace since; null by day, and for open tasks that have no assignees."""


class Done(BaseModel):
    """What happened to tasks."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    created: int = 0
    """Tasks that were created; by person: by their creator. The others count for each assignee of the task, or for who
    made the change if it has none."""
    completed: int = 0
    """Times that a task became completed."""
    reopened: int = 0
    """Times that a completed or cancelled task became pending or in progress again."""
    cancelled: int = 0
    """Times that a task became cancelled."""
    deleted: int = 0
    """Tasks that were deleted, in whatever status."""


class Throughput(Item, Done):
    """What happened to tasks on a day, or in the work of a person."""


class Durations(BaseModel):
    """How long tasks took from their creation to their completion. Null where none was completed."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    tasks: int = 0
    """Times that a task became completed, without those that were created as completed."""
    mean: timedelta | None = None
    """The mean, exact to a millisecond."""
    median: timedelta | None = None
    """At most so long: half of them. Within 5 % of the exact value."""
    p90: timedelta | None = None
    """At most so long: nine tenths of them. Within 5 % of the exact value."""


class CycleTime(Item, Durations):
    """How long the tasks took that were completed on a day, or by a person."""


class Open(BaseModel):
    """Open tasks now."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    open: int = 0
    """Pending tasks and those in progress."""
    pending: int = 0
    in_progress: int = 0
    overdue: int = 0
    """Those of them whose due time is past."""


class Workload(Open):
    """Open tasks of a person now."""

    person_id: UUID | None
    """An assignee, who may have left the workspace since; null: tasks without assignees. A task with several counts for
    each."""


class Overdue(Item):
    """Open tasks whose due time is past: those that were due on a day, or those of a person."""

    overdue: int = 0


class DaysPage(Page[T]):
    """A report on some days."""

    by: By
    from_day: date
    """The first day."""
    to_day: date
    """The last day."""
    time_zone: str
    """Where days begin and end."""


class ThroughputPage(DaysPage[Throughput]):
    """What happened to tasks, by day or person."""

    total: Done
    """Of all these days and of everybody, each task once."""


class CycleTimePage(DaysPage[CycleTime]):
    """How long tasks took, by day or person."""

    total: Durations
    """Of all these days and of everybody, each task once."""


class OverduePage(DaysPage[Overdue]):
    """What is overdue, by the day on which it was due, or by person."""

    total: int
    """All overdue tasks, also those that were due before the first day, each once."""


class WorkloadPage(Page[Workload]):
    """Who has how many open tasks, ordered by person."""

    total: Open
    """Of everybody, each task once."""
