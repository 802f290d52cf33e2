"""Names and configuration of everything on NATS. Programs reconcile it at their start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

STREAM = "TASKBELL_EVENTS"
EVENTS_ROOT = "taskbell.events"
RELAY_POKE = "taskbell.relay.poke"
"""Core NATS, empty body: "there are new event rows". It may be lost: the relay also polls."""

GATEWAY_CONNECTIONS = "taskbell.gateways.connections"
"""Core NATS: each gateway tells the others how many connections its users have, so that the cap of a user holds for all
together. Messages may be lost."""

TICKET_BUCKET = "TASKBELL_TICKETS"
"""Key-value bucket of used realtime tickets: creating a ticket's id in it succeeds once."""
TICKET_BUCKET_TTL = timedelta(minutes=2)

RATE_STREAM = "TASKBELL_RATES"
RATE_ROOT = "taskbell.rates"
"""Counters of requests by user and minute, in memory, if processes of the API share them."""
RATE_AGE = timedelta(minutes=3)

HEADER_AUDIENCE = "Taskbell-Audience"
"""Comma-separated ids of the users whose `me` channel carries the event; so no gateway parses a body."""
HEADER_TRACEPARENT = "traceparent"

DELIVERY_CONSUMER = "delivery"
"""Durable pull consumer that all delivery workers share; scale them on its backlog."""
REDRIVE_CONSUMER = "delivery-redrive"
"""Durable pull consumer of what `taskbell deadletters redrive` sends again."""
DEAD_LETTER_STREAM = "TASKBELL_DEAD_LETTERS"
DEAD_LETTER_SUBJECT = "taskbell.deadletters.delivery"
REDRIVE_SUBJECT = "taskbell.redrive.delivery"
"""Not a subject of the event stream: only the relay writes there."""
DEAD_LETTER_AGE = timedelta(days=30)
REDRIVE_DELIVERIES = 100
"""How often a redriven message is delivered at most; workers give it up earlier, by their setting."""
ACK_WAIT = timedelta(seconds=30)
"""After which a message that a delivery worker has not answered goes to another one."""

METADATA_EPOCH = "taskbell.epoch"
"""Stream metadata key that holds the epoch as a decimal number."""


@dataclass(frozen=True, slots=True)
class StreamConfiguration:
    """The desired event stream.

    Attributes:
        max_age: How long events stay resumable; PostgreSQL keeps them at least as long.
        duplicate_window: How long JetStream remembers message ids.
        replicas: Copies in a NATS cluster.
    """

    max_age: timedelta = timedelta(days=7)
    duplicate_window: timedelta = timedelta(minutes=10)
    replicas: int = 1


def event_subject(*, workspace_id: UUID | str, event_type: str) -> str:
    """The subject of one event: `taskbell.events.<workspace>.<type>`."""
    return f"{EVENTS_ROOT}.{workspace_id}.{event_type}"


def workspace_filter(workspace_id: UUID | str) -> str:
    """A filter for all events of one workspace."""
    return f"{EVENTS_ROOT}.{workspace_id}.>"


def parse_event_subject(subject: str) -> tuple[str, str]:
    """Split an event subject into workspace id and event type.

    Raises:
        ValueError: It is not an event subject.
    """
    parts = subject.split(".", 3)
    if len(parts) != 4 or not subject.startswith(f"{EVENTS_ROOT}."):
        raise ValueError(f"not an event subject: {subject!r}")
    return parts[2], parts[3]
