"""Events: past facts about tasks, members and notifications, in a CloudEvents 1.0 envelope (JSON format).

The envelope is assembled around the `data` text that PostgreSQL wrote, byte for byte: nothing between the
database and the client parses or rebuilds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import orjson

SPEC_VERSION = "1.0"
LONG_TEXT_BYTES = 4096
"""A field of a task that is longer than this as JSON text is in an event only if the event gives it its new value."""
MAX_DATA_BYTES = 160 * 1024
"""The longest `data` of an event, as JSON text. The database refuses a longer one together with its change."""
MAX_MESSAGE_BYTES = 256 * 1024
"""What NATS must take in one message, headers included: an event of the largest size, with room to spare."""
SCHEMA_BASE = "https://taskbell.dev/schemas/events"


class EventType(StrEnum):
    """Every type of event. A type is a past fact and is never renamed."""

    TASK_CREATED = "task.created"
    TASK_UPDATED = "task.updated"
    TASK_STATUS_CHANGED = "task.status_changed"
    TASK_ASSIGNED = "task.assigned"
    TASK_MOVED = "task.moved"
    TASK_DELETED = "task.deleted"
    COMMENT_CREATED = "comment.created"
    COMMENT_DELETED = "comment.deleted"
    MEMBER_ADDED = "member.added"
    MEMBER_REMOVED = "member.removed"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    WORKSPACE_RENAMED = "workspace.renamed"
    WORKSPACE_DELETED = "workspace.deleted"
    WORKSPACE_RESTORED = "workspace.restored"
    NOTIFICATION_CREATED = "notification.created"
    NOTIFICATION_READ = "notification.read"
    NOTIFICATION_UNREAD = "notification.unread"


_TASK_STATES = frozenset(
    {
        EventType.TASK_CREATED,
        EventType.TASK_UPDATED,
        EventType.TASK_STATUS_CHANGED,
        EventType.TASK_ASSIGNED,
        EventType.TASK_MOVED,
        EventType.TASK_DELETED,
    }
)
_HEAD_BYTES = 1024
_SUBJECT = re.compile(rb'"subject":"([0-9a-f-]{36})"')
_OMITTED = re.compile(rb'"omitted"\s*:\s*\[([^\]]*)\]')


def is_personal(event_type: str) -> bool:
    """Tell whether an event is for its audience alone, not for all members of its workspace.

    The prefix decides, so that it also holds for newer types.
    """
    return event_type.startswith("notification.")


def tells_task_state(event_type: str) -> bool:
    """Tell whether the data of an event is a task as it is then, so that a later one of the task replaces it.

    A newer type of event does not, whatever its prefix: nobody here knows what its data is.
    """
    return event_type in _TASK_STATES


def subject_of(text: bytes) -> str:
    """Return the subject of an event in a text that begins with its envelope; empty if there is none.

    Nothing that a user wrote comes before it in an envelope, so that it need not be parsed.
    """
    found = _SUBJECT.search(text, 0, _HEAD_BYTES)
    return found[1].decode() if found else ""


def omits_state(text: bytes) -> bool:
    """Tell whether the data of a task's event leaves out a field that did not change, by the text of the event.

    A quotation mark in a JSON string is escaped, so that the key is found nowhere else.
    """
    found = _OMITTED.search(text) if b'"omitted"' in text else None
    return found is not None and any(
        not pointer.startswith(b'"/previous/') for pointer in found[1].replace(b" ", b"").split(b",") if pointer
    )


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event as PostgreSQL holds it.

    Attributes:
        id: UUIDv7, made under the lock of the changed row; it orders the events of one task.
        workspace_id: The tenant it belongs to.
        type: One of `EventType`, or a newer one.
        subject_id: The task, comment, user or notification that it is about.
        actor_id: The user who caused it; None for the platform.
        audience: The users whose `me` channel carries it.
        traceparent: W3C Trace Context of the request that caused it, or None.
        created_at: When the row was written.
        data: The object that it is about, as JSON text.
    """

    id: UUID
    workspace_id: UUID
    type: str
    subject_id: UUID
    actor_id: UUID | None
    audience: tuple[UUID, ...]
    traceparent: str | None
    created_at: datetime
    data: str


def envelope(record: EventRecord) -> bytes:
    """Return the CloudEvents 1.0 JSON document of an event.

    `workspaceid`, `actorid` and `traceparent` are extension attributes (CloudEvents 1.0, section 3.1: lower-case
    letters and digits); `traceparent` follows the Distributed Tracing extension.
    """
    attributes: dict[str, str] = {
        "specversion": SPEC_VERSION,
        "id": str(record.id),
        "source": f"/workspaces/{record.workspace_id}",
        "type": record.type,
        "subject": str(record.subject_id),
        "time": record.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": f"{SCHEMA_BASE}/{record.type}.json",
        "workspaceid": str(record.workspace_id),
    }
    if record.actor_id is not None:
        attributes["actorid"] = str(record.actor_id)
    if record.traceparent is not None:
        attributes["traceparent"] = record.traceparent
    return orjson.dumps(attributes)[:-1] + b',"data":' + record.data.encode() + b"}"
