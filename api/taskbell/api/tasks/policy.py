"""Pure decisions about tasks: what an answer of PostgreSQL means, and how a used-up gap gets room."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from taskbell.api.tasks.errors import AssigneeNotMember, MoveInvalid, ParameterInvalid, TaskVersionMismatch
from taskbell.api.tasks.schemas import TaskFields
from taskbell.contract.problems import FieldError, Refused

GAP = 1000
"""Distance between a task and the one before it when there is room to choose; the sequence's increment."""
ROOMY = 256
"""A re-spread includes neighbours until its gaps are at least this wide, so that it serves many moves."""
WIDEST = 8192
"""With this many neighbours on a side, any gap is wide enough."""
FIELDS = tuple(TaskFields.model_fields)
"""The fields that a client may change."""
OPEN = frozenset({"pending", "in_progress"})
"""Statuses of tasks that are not done yet: these have reminders."""


class Outcome(StrEnum):
    """What PostgreSQL answers to a change or a move (`schema/functions`: `change_task.sql`, `move_task.sql`).

    Everything but the first two left the task as it was.
    """

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    """The task is already as it is wanted, and nothing was written."""
    REFUSED = "refused"
    """The actor sees no such task, or may only read it."""
    OTHER_VERSION = "other_version"
    OTHER_WORKSPACE = "other_workspace"
    START_AFTER_DUE = "start_after_due"
    OVER_QUOTA = "over_quota"
    NOT_MEMBERS = "not_members"
    """A new assignee is not a member of the workspace."""
    NO_PLACE = "no_place"
    """The other task is not one of the workspace, or is the same."""
    USED_UP = "used_up"
    """There is no free position at the place: neighbours must make room first."""


def rule_broken(outcome: Outcome, *, assignees: Sequence[UUID] = (), strangers: Container[UUID] = ()) -> Refused | None:
    """The rule that a change breaks by itself, whoever asks; None for another outcome.

    `assignees` are those that were asked for, `strangers` those of them who are not members.
    """
    if outcome is Outcome.OTHER_VERSION:
        return TaskVersionMismatch()
    if outcome is Outcome.OTHER_WORKSPACE:
        message = "a task does not move to another workspace"
        return MoveInvalid(message, errors=(FieldError("/workspace_id", "workspace_immutable", message),))
    if outcome is Outcome.START_AFTER_DUE:
        told = FieldError(pointer="/start_at", code="start_after_due", message="start_at must not lie after due_at")
        return ParameterInvalid(told.message, errors=(told,))
    if outcome is Outcome.NOT_MEMBERS:
        return not_members(assignees, strangers)
    return None


def not_members(assignees: Sequence[UUID], strangers: Container[UUID]) -> AssigneeNotMember:
    """Which of the wanted assignees are not members, by their places."""
    message = "only members of the workspace can be assigned"
    return AssigneeNotMember(
        errors=tuple(
            FieldError(f"/assignee_ids/{place}", "assignee_not_member", message)
            for place, user in enumerate(assignees)
            if user in strangers
        )
    )


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A task next to a gap."""

    id: UUID
    position: int


def is_for_new(position: int) -> bool:
    """Whether the sequence gives this position to a new task: it gives positive multiples of `GAP`.

    A move never takes such a position, even if it looks free: the task on it may not be committed yet.
    """
    return position > 0 and position % GAP == 0


@dataclass(frozen=True, slots=True)
class Spread:
    """New positions around a used-up gap: for the moved task and for the neighbours that make room."""

    position: int
    neighbours: Sequence[Neighbour]


def spread(below: Sequence[Neighbour], above: Sequence[Neighbour], *, take: int) -> Spread | None:
    """Place the moved task between `below` and `above`, moving up to `take` neighbours on each side.

    The outermost task on each side stays where it is and bounds the rest. Below the first task of a list there is
    always room; past the last one only the sequence gives positions, so the last task is such a bound.

    Args:
        below: Tasks under the gap, nearest first: `take + 1` of them, or all there are.
        above: Tasks over the gap, nearest first, likewise; never empty.
        take: How many of each side may move.

    Returns:
        None when the gaps would be narrower than `ROOMY`: try again with more neighbours.
    """
    movable_above = list(above[: min(take, len(above) - 1)])
    ceiling = above[len(movable_above)].position
    movable_below = list(below[:take])
    ordered: list[Neighbour | None] = [*reversed(movable_below), None, *movable_above]
    floor = below[take].position if len(below) > take else ceiling - GAP * (len(ordered) + 1)
    step = (ceiling - floor) // (len(ordered) + 1)
    if step < (ROOMY if take < WIDEST else 2):
        return None
    even = [floor + step * place for place in range(1, len(ordered) + 1)]
    placed = [(task, at + 1 if is_for_new(at) else at) for task, at in zip(ordered, even, strict=True)]
    moved = [Neighbour(id=task.id, position=position) for task, position in placed if task is not None]
    return Spread(position=next(position for task, position in placed if task is None), neighbours=moved)
