"""A delivery that a worker has taken, as the ledger gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from taskbell.contract.events import EventRecord, EventType, envelope
from taskbell.delivery.alerts import AlertMalformed, Endpoint, read_alert
from taskbell.delivery.shares import QueueKey
from taskbell.delivery.targets import due_at

_ADDRESSES = frozenset({"webhook", "webpush", "slack", "teams"})
"""Channels whose endpoints are addresses that users chose: each has a queue of its own."""
_MOST_LINKS = 100


class Row(Protocol):
    """A row of the ledger."""

    def __getitem__(self, column: str, /) -> Any:
        """Return the value of a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery that this worker may attempt until its lease ends.

    Attributes:
        id: The delivery's own id.
        event_id: The same in all attempts; receivers know the delivery by it.
        payload: The event's CloudEvents document; empty when the event is not kept any more.
        attempts: How many there were, with this one.
        remaining: Seconds until it is given up.
        age: Seconds since it was written.
        url: The webhook's URL; None when the webhook is deleted or switched off.
        secrets: The webhook's secrets, the newest first.
        email: The user's address; None when the user is gone or wants no e-mail.
        endpoint: Where an alert goes; None when it was removed, and for webhooks and e-mail.
        others: How many further notifications an alert speaks for.
        deferred: It waited for the end of quiet hours.
        zone: The reader's time zone.
        quiet_until: The end of the reader's quiet hours, if it was taken within them.
        unsubscribe_token: Switches the reader's e-mail off; only for e-mail.
        spoken_for: Traces of the further notifications that it began to speak for with this claim, some of them.
    """

    id: UUID
    event_id: UUID
    channel: str
    endpoint_id: UUID
    workspace_id: UUID
    event_type: str
    payload: str
    traceparent: str | None
    attempts: int
    remaining: float
    age: float
    url: str | None
    secrets: tuple[str, ...]
    email: str | None
    endpoint: Endpoint | None = None
    others: int = 0
    deferred: bool = False
    zone: str = "UTC"
    quiet_until: datetime | None = None
    unsubscribe_token: UUID | None = None
    spoken_for: tuple[str, ...] = ()

    @property
    def waits_until(self) -> datetime | None:
        """The end of the quiet hours, unless they do not concern this delivery: then None."""
        if self.quiet_until is None or self.event_type != EventType.NOTIFICATION_CREATED:
            return None
        try:
            return None if read_alert(self.payload).urgent else self.quiet_until
        except AlertMalformed:
            return None  # the attempt will tell

    @property
    def queue_key(self) -> QueueKey:
        """The queue that it waited in."""
        return self.channel, self.endpoint_id if self.channel in _ADDRESSES else self.workspace_id


def document_of(row: Row) -> str:
    """Return the event's document, from the delivery or from the event that it refers to, byte for byte the same."""
    if row["payload"] is not None:
        return str(row["payload"])
    if row["data"] is None:
        return ""
    event = EventRecord(
        id=row["event_id"],
        workspace_id=row["workspace_id"],
        type=row["event_type"],
        subject_id=row["subject_id"],
        actor_id=row["actor_id"],
        audience=(),
        traceparent=row["event_traceparent"],
        created_at=row["event_time"],
        data=row["data"],
    )
    return envelope(event).decode()


def claim_of(row: Row, spared: Mapping[tuple[str, UUID], Sequence[str]]) -> Claim:
    """Return the claim that a row of `claim_due` is; `spared` are traces of those that it speaks for, by endpoint."""
    is_on = row["enabled"] is True
    return Claim(
        id=row["id"],
        event_id=row["event_id"],
        channel=row["channel"],
        endpoint_id=row["endpoint_id"],
        workspace_id=row["workspace_id"],
        event_type=row["event_type"],
        payload=document_of(row),
        traceparent=row["traceparent"],
        attempts=row["attempts"],
        remaining=row["remaining"],
        age=row["age"],
        url=row["url"] if is_on else None,
        secrets=tuple(secret for secret in (row["secret"], row["previous"]) if secret) if is_on else (),
        email=row["email"],
        endpoint=_endpoint(row),
        others=row["collapsed"],
        deferred=row["deferred"],
        zone=row["time_zone"] or "UTC",
        quiet_until=due_at(row, urgent=False),
        unsubscribe_token=row["unsubscribe_token"],
        spoken_for=tuple(spared.get((row["channel"], row["endpoint_id"]), ())[:_MOST_LINKS])
        if row["collapsed"]
        else (),
    )


def _endpoint(row: Row) -> Endpoint | None:
    if row["alert_endpoint_id"] is None:
        return None
    return Endpoint(
        id=row["alert_endpoint_id"],
        kind=row["channel"],
        address=row["address"],
        p256dh=row["p256dh"],
        auth=row["auth"],
        environment=row["environment"],
        registered_at=row["registered_at"],
    )
