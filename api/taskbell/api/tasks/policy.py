"""Pure decisions about tasks: what a change means, and where a moved task goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from taskbell.api.tasks.errors import ParameterInvalid
from taskbell.api.tasks.schemas import TaskFields
from taskbell.contract.events import LONG_TEXT_BYTES, EventType
from taskbell.contract.problems import FieldError

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


@dataclass(frozen=True, slots=True)
class Change:
    """What a request does to a task.

    Attributes:
        values: Every field of `FIELDS`, with its new value.
        facts: The events it causes, each with the old values of its fields.
        assigned: The new assignees.
        moves_reminders: Whether the reminders must be planned again.
    """

    values: Mapping[str, Any]
    facts: Sequence[tuple[EventType, Mapping[str, Any]]]
    assigned: Sequence[UUID] = ()
    moves_reminders: bool = False

    @property
    def changes_status(self) -> bool:
        """Whether the status changes."""
        return any(kind is EventType.TASK_STATUS_CHANGED for kind, _ in self.facts)


def change(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> Change:
    """Decide what `wanted` fields change about `current`.

    Raises:
        ParameterInvalid: The task would start after it is due.
    """
    values = {field: wanted.get(field, current[field]) for field in FIELDS}
    if set(values["assignee_ids"]) == set(current["assignee_ids"]):  # their order has no meaning
        values["assignee_ids"] = current["assignee_ids"]
    start, due = values["start_at"], values["due_at"]
    if start is not None and due is not None and start > due:
        told = FieldError(pointer="/start_at", code="start_after_due", message="start_at must not lie after due_at")
        raise ParameterInvalid(told.message, errors=(told,))
    previous = {field: current[field] for field in FIELDS if values[field] != current[field]}
    facts: list[tuple[EventType, Mapping[str, Any]]] = []
    others = {field: value for field, value in previous.items() if field not in {"status", "assignee_ids"}}
    if others:
        facts.append((EventType.TASK_UPDATED, others))
    if "status" in previous:
        facts.append((EventType.TASK_STATUS_CHANGED, {"status": previous["status"]}))
    if "assignee_ids" in previous:
        facts.append((EventType.TASK_ASSIGNED, {"assignee_ids": previous["assignee_ids"]}))
    return Change(
        values=values,
        facts=facts,
        assigned=[user for user in values["assignee_ids"] if user not in current["assignee_ids"]],
        moves_reminders="due_at" in previous or (current["status"] in OPEN) != (values["status"] in OPEN),
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


def middle(lower: int, upper: int) -> int | None:
    """The position halfway between two others, or None when the gap is used up."""
    half = (lower + upper) // 2
    for position in (half, half + 1, half - 1):
        if lower < position < upper and not is_for_new(position):
            return position
    return None


def below_first(first: int) -> int:
    """The position for a task that goes before the first one."""
    position = first - GAP
    return position + 1 if is_for_new(position) else position


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


@dataclass(frozen=True, slots=True)
class FormerValues:
    """What an event tells of how a task was.

    Attributes:
        text: The old values, as a JSON object.
        omitted: JSON Pointers, from the event's data, of those that are too long to be told.
    """

    text: str
    omitted: Sequence[str] = ()


def former_values(facts: Mapping[str, Any]) -> FormerValues:
    """Write old values as an event tells them. A long one is only named: whoever follows the task has it."""
    texts = {name: orjson.dumps(iso(old)).decode() for name, old in facts.items()}
    told = {name: text for name, text in texts.items() if len(text.encode()) <= LONG_TEXT_BYTES}
    return FormerValues(
        text="{" + ",".join(f'"{name}":{text}' for name, text in told.items()) + "}",
        omitted=[f"/previous/{name}" for name in texts if name not in told],
    )


def iso(value: Any) -> Any:
    """The old value of a field in an event: instants are RFC 3339 with microseconds, as in the task."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, list):
        return [str(user) for user in value]
    return value
