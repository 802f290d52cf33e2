"""Which tasks a list holds, and in which order. Pure: the repository makes a statement of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskbell.api.http.paging import CursorInvalid, Place
from taskbell.api.tasks.schemas import Sort, TaskFilters, TaskRole

_INTEGER = re.compile(r"\A-?[0-9]{1,18}\Z", re.ASCII)
_INSTANT = re.compile(
    r"\A[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?\+00\Z|\Ainfinity\Z", re.ASCII
)
_INTEGERS = frozenset({"position", "priority"})


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of tasks.

    Attributes:
        arguments: What its tasks have in common; the repository has a condition for each name.
        sort: Its order; tasks without a due date come after all others.
    """

    arguments: Mapping[str, Any]
    sort: Sort

    @property
    def bound_to(self) -> tuple[object, ...]:
        """What a cursor of this list is bound to."""
        return ("tasks", self.sort, *self.arguments, *self.arguments.values())

    def check(self, place: Place) -> Place:
        """Return a place whose key has the form of the order's. Raises `CursorInvalid` for another one."""
        form = _INTEGER if self.sort.field in _INTEGERS else _INSTANT
        if not form.match(place.key):
            raise CursorInvalid
        return place


def in_workspace(workspace_id: UUID, filters: TaskFilters, *, sort: Sort) -> Listing:
    """The tasks of one workspace."""
    return Listing({"workspace_id": workspace_id, **_chosen(filters)}, sort)


def of_user(user_id: UUID, role: TaskRole, filters: TaskFilters, *, sort: Sort) -> Listing:
    """The tasks a user created, is assigned to, or either, in every workspace they are still a member of."""
    name = {TaskRole.CREATOR: "created_by", TaskRole.ASSIGNEE: "assignee", TaskRole.ANY: "involved"}[role]
    return Listing({name: user_id, **_chosen(filters)}, sort)


def _chosen(filters: TaskFilters) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "priority": filters.priority,
        "due_before": filters.due_before,
        "due_after": filters.due_after,
        "updated_since": filters.updated_since,
    }
    if len(filters.status) == 1:  # equality keeps the order of the status index
        wanted["status"] = filters.status[0].value
    elif filters.status:
        wanted["statuses"] = sorted(status.value for status in filters.status)
    lowest, highest = filters.priority_min, filters.priority_max
    if lowest is not None or highest is not None:
        # A list, not a range: PostgreSQL takes a range of unknown bounds for rare, and would rather sort the table.
        wanted["priorities"] = list(range(lowest or 1, (highest or 10) + 1))
    return {name: value for name, value in wanted.items() if value is not None}
