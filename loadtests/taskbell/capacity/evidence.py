"""What a run leaves behind, as plain values: rows, events, feeds, frames, and what the API accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from taskbell.contract.cursors import EventCursor
from taskbell.contract.events import EventType

ASSIGNED, STATUS_CHANGED = "assigned", "status_changed"
OVERDUE = "overdue"
BY_CLOCK = ("due_soon", OVERDUE)
"""Kinds that the clock causes, and no request."""


class NotCounted(Exception):
    """The evidence could not be read; the message says why."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task in the database."""

    id: str
    title: str
    version: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification in the database."""

    id: str
    user: str
    task: str
    kind: str
    is_read: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event in the database, about a task or a notification.

    Attributes:
        workspace: Its members may read the event, unless it is personal.
        personal_to: The only user who may read it, or None.
        title: The task's title then; empty for notifications.
        version: The task's version then; 0 for notifications.
        owes: The users whom the change must notify, with the kind.
    """

    id: str
    type: str
    subject: str
    workspace: str
    personal_to: str | None = None
    title: str = ""
    version: int = 0
    owes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One event of a change feed."""

    cursor: EventCursor
    event: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener received: event ids in order, after the cursor of its first welcome."""

    user: str
    joined: EventCursor
    events: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What the API accepted.

    Attributes:
        attempted: Titles of all tasks that clients tried to create, one request each.
        created: Title and id of those that were answered with 201.
        versions: Task and version of every PATCH and move that was answered with 200.
        deleted: Tasks whose deletion was answered with 204.
        read: Notifications whose marking as read was answered with 200.
        due: Tasks that nobody changes, with the user who must hear when they fall due, and that time (Unix seconds).
    """

    attempted: AbstractSet[str]
    created: Mapping[str, str]
    versions: AbstractSet[tuple[str, int]] = frozenset()
    deleted: AbstractSet[str] = frozenset()
    read: AbstractSet[str] = frozenset()
    due: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was found.

    Attributes:
        members: All users with their workspaces.
        feeds: Their change feeds.
        heard: What the listeners received; None if unknown.
        has_mates: Whether users assign tasks to others, so that there are notifications.
    """

    promised: Promised
    members: Mapping[str, str]
    rows: Sequence[TaskRow]
    notices: Sequence[Notice]
    event_rows: Sequence[EventRow]
    feeds: Mapping[str, Sequence[FeedItem]]
    heard: Sequence[Heard] | None
    has_mates: bool = True


@dataclass(frozen=True, slots=True)
class Database:
    """What the database, or the API, holds of the run."""

    rows: list[TaskRow]
    notices: list[Notice]
    event_rows: list[EventRow]

    @property
    def titles(self) -> set[str]:
        """Titles of all present and deleted tasks."""
        return {row.title for row in self.rows} | {row.title for row in self.event_rows if row.title}


def is_followed(event_type: str) -> bool:
    """Tell whether events of a type are counted."""
    return event_type.startswith(("task.", "notification."))


def owed(event_type: str, data: Mapping[str, Any], actor: str | None) -> list[tuple[str, str]]:
    """Return the users whom a task's event must notify, with the kind; never its actor."""
    match event_type:
        case EventType.TASK_ASSIGNED:
            former = data["previous"]["assignee_ids"]
            return [(user, ASSIGNED) for user in data["assignee_ids"] if user not in former and user != actor]
        case EventType.TASK_STATUS_CHANGED:
            concerned = dict.fromkeys((data["created_by"], *data["assignee_ids"]))
            return [(user, STATUS_CHANGED) for user in concerned if user != actor]
        case _:
            return []
