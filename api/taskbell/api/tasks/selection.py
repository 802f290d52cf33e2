"""Which tasks a list holds, as conditions over the task `t`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskbell.api.tasks.schemas import TaskFilters


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tasks a list holds: SQL conditions over `t` with `{}` for their arguments, in order."""

    conditions: Sequence[str]
    arguments: Sequence[Any]


def in_workspace(workspace_id: UUID, filters: TaskFilters) -> Selection:
    """The tasks of one workspace."""
    return _selection("t.workspace_id = {}", workspace_id, filters)


def created_by(user_id: UUID, filters: TaskFilters) -> Selection:
    """The tasks a user created, in every workspace they are still a member of."""
    return _selection("t.created_by = {}", user_id, filters)


def _selection(first: str, argument: UUID, filters: TaskFilters) -> Selection:
    wanted: list[tuple[str, Any]] = [(first, argument)]
    if len(filters.status) == 1:  # equality keeps the order of the status index
        wanted.append(("t.status = {}", filters.status[0].value))
    elif filters.status:
        wanted.append(("t.status = ANY ({}::text[])", sorted(status.value for status in filters.status)))
    lowest, highest = filters.priority_min, filters.priority_max
    if lowest is not None or highest is not None:
        # As a list, not as a range: PostgreSQL takes a range of unknown bounds for rare, and would rather sort it all.
        wanted.append(("t.priority = ANY ({}::smallint[])", list(range(lowest or 1, (highest or 10) + 1))))
    for condition, value in (
        ("t.priority = {}", filters.priority),
        ("t.due_at < {}", filters.due_before),
        ("t.due_at >= {}", filters.due_after),
        ("t.updated_at >= {}", filters.updated_since),
    ):
        if value is not None:
            wanted.append((condition, value))
    return Selection(conditions=[condition for condition, _ in wanted], arguments=[value for _, value in wanted])
