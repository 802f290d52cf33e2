"""Reads events from the stream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from taskbell.contract.events import EventType
from taskbell.contract.subjects import HEADER_AUDIENCE, HEADER_TRACEPARENT
from taskbell.kit.nats_pull import WorkItem


class EventMalformed(ValueError):
    """The message is not an event of the relay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An event as the ledger takes it.

    Attributes:
        id: Of the event.
        workspace_id: Whose event it is.
        type: Of the event.
        time: When it was written.
        payload: Its CloudEvents document.
        traceparent: The trace that caused it.
        kind: The kind of the notification that was created; None for all other events.
        audience: The users who are told; only of a notification that was created.
        notification_id: The notification that was created or read; None for all other events.
        urgent: Whether the notification passes quiet hours.
    """

    id: UUID
    workspace_id: UUID
    type: str
    time: datetime
    payload: str
    traceparent: str | None
    kind: str | None
    audience: tuple[UUID, ...]
    notification_id: UUID | None = None
    urgent: bool = False

    @property
    def is_read(self) -> bool:
        """Whether a user read a notification."""
        return self.type == EventType.NOTIFICATION_READ


def read_event(item: WorkItem) -> Incoming:
    """Read a message of the stream.

    Raises:
        EventMalformed: The message is not an event of the relay.
    """
    try:
        document: dict[str, Any] = orjson.loads(item.data)
        event_type = str(document["type"])
        is_created = event_type == EventType.NOTIFICATION_CREATED
        notice = document["data"] if is_created or event_type == EventType.NOTIFICATION_READ else None
        audience = item.headers.get(HEADER_AUDIENCE, "") if is_created else ""
        return Incoming(
            id=UUID(document["id"]),
            workspace_id=UUID(document["workspaceid"]),
            type=event_type,
            time=datetime.fromisoformat(document["time"]).astimezone(UTC),
            payload=item.data.decode(),
            traceparent=item.headers.get(HEADER_TRACEPARENT) or document.get("traceparent"),
            kind=str(notice["kind"]) if is_created and notice else None,
            audience=tuple(UUID(user) for user in audience.split(",") if user),
            notification_id=UUID(notice["id"]) if notice else None,
            urgent=bool(notice and notice.get("urgent")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise EventMalformed(f"{type(wrong).__name__}: {wrong}") from wrong
