"""From the stream to the hub: reads what the headers say, never the body."""

from __future__ import annotations

import time
from collections.abc import Mapping

import orjson
import structlog
from opentelemetry.trace import SpanKind

from taskbell.contract.events import EventType, is_personal
from taskbell.contract.subjects import (
    HEADER_AUDIENCE,
    HEADER_MESSAGE_ID,
    HEADER_TRACEPARENT,
    parse_event_subject,
)
from taskbell.gateway import metrics
from taskbell.gateway.hub import Hub
from taskbell.kit.trace import TraceContext, Tracing

_log = structlog.get_logger(__name__)


class Intake:
    """The stream reader's listener (`taskbell.kit.nats_reader.Listener`)."""

    def __init__(self, hub: Hub, *, tracing: Tracing) -> None:
        """Route into a hub."""
        self._hub = hub
        self._tracing = tracing

    def begin(self, *, epoch: int, position: int) -> None:
        """Start on a stream, or on another one."""
        _log.info("stream_begun", epoch=epoch, position=position)
        self._hub.begin(epoch=epoch, position=position)

    def message(self, sequence: int, subject: str, headers: Mapping[str, str], data: bytes) -> None:
        """Route one event. One that the relay cannot have written is counted and passed by."""
        try:
            workspace_id, event_type = parse_event_subject(subject)
        except ValueError:
            metrics.EVENTS_MALFORMED.inc()
            return
        traceparent = headers.get(HEADER_TRACEPARENT)
        context = TraceContext.parse(traceparent) if traceparent and not traceparent.endswith("-00") else None
        audience, personal = headers.get(HEADER_AUDIENCE, ""), is_personal(event_type)
        if context is None:
            receivers = self._hub.route(sequence, workspace_id, audience, data, personal=personal)
        else:
            with self._tracing.span(
                "gateway.deliver", parent=context, kind=SpanKind.CONSUMER, attributes={"taskbell.event": event_type}
            ):
                receivers = self._hub.route(sequence, workspace_id, audience, data, personal=personal)
        if receivers:
            metrics.EVENTS_DELIVERED.inc()
            metrics.FRAMES_SENT.inc(receivers)
            created = created_at(headers.get(HEADER_MESSAGE_ID, ""))
            if created is not None:
                metrics.DELIVERY_LATENCY.observe(max(0.0, time.time() - created))
        else:
            metrics.EVENTS_UNWANTED.inc()
        if event_type == EventType.MEMBER_REMOVED:
            self._remove_member(workspace_id, data)
        metrics.READER_POSITION.set(sequence)

    def detached(self, reason: str) -> None:
        """Count a lost consumer."""
        metrics.READER_RESETS.labels(reason=reason.split(":", maxsplit=1)[0]).inc()

    def lag(self, messages: int) -> None:
        """Publish how far behind we are."""
        metrics.READER_LAG.set(messages)

    def _remove_member(self, workspace_id: str, data: bytes) -> None:
        """The one rare event whose body is read: its subject is the user who left."""
        try:
            user_id = str(orjson.loads(data)["subject"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            metrics.EVENTS_MALFORMED.inc()
            return
        self._hub.remove_member(workspace_id, user_id)


def created_at(event_id: str) -> float | None:
    """When an event's row was written, from its UUIDv7 (RFC 9562, section 5.7); None for any other id."""
    try:
        return int(event_id[:8] + event_id[9:13], 16) / 1000 if event_id[14:15] == "7" else None
    except ValueError:
        return None
