"""From the stream to the hub: reads subjects and headers, not payloads."""

from __future__ import annotations

import time
from collections.abc import Mapping

import orjson
import structlog
from opentelemetry.trace import SpanKind

from taskbell.contract.events import EventType
from taskbell.contract.subjects import HEADER_TRACEPARENT
from taskbell.gateway import metrics
from taskbell.gateway.hub import Hub
from taskbell.gateway.recent import StreamEvent
from taskbell.kit.nats_message import MESSAGE_ID
from taskbell.kit.trace import TraceContext, Tracing

_log = structlog.get_logger(__name__)


class Intake:
    """What the stream reader calls (`taskbell.kit.nats_reader.StreamHandler`)."""

    def __init__(self, hub: Hub, *, tracing: Tracing) -> None:
        """Take the hub that events go to."""
        self._hub = hub
        self._tracing = tracing

    def begin(self, *, epoch: int, position: int) -> None:
        """Start on a stream, or on its successor."""
        _log.info("stream_begun", epoch=epoch, position=position)
        self._hub.begin(epoch=epoch, position=position)

    def message(self, sequence: int, subject: str, headers: Mapping[str, str], data: bytes) -> None:
        """Route one event. A message that the relay did not write is counted and dropped."""
        try:
            event = StreamEvent.read(sequence, subject, headers, data)
        except ValueError:
            metrics.EVENTS_MALFORMED.inc()
            return
        traceparent = headers.get(HEADER_TRACEPARENT)
        context = TraceContext.parse(traceparent) if traceparent and not traceparent.endswith("-00") else None
        if context is None:
            receivers = self._hub.route(event)
        else:
            with self._tracing.span(
                "gateway.deliver", parent=context, kind=SpanKind.CONSUMER, attributes={"taskbell.event": event.type}
            ):
                receivers = self._hub.route(event)
        if receivers:
            metrics.EVENTS_DELIVERED.inc()
            metrics.FRAMES_SENT.inc(receivers)
            created = created_at(headers.get(MESSAGE_ID, ""))
            if created is not None:
                metrics.DELIVERY_LATENCY.observe(max(0.0, time.time() - created))
        else:
            metrics.EVENTS_UNWANTED.inc()
        if event.type == EventType.MEMBER_REMOVED:
            self._remove_member(event)
        elif event.type == EventType.WORKSPACE_DELETED:
            self._hub.remove_workspace(event.workspace_id)
        metrics.READER_POSITION.set(sequence)

    def detached(self, reason: str) -> None:
        """Count a lost consumer."""
        metrics.READER_RESETS.labels(reason=reason.split(":", maxsplit=1)[0]).inc()

    def lag(self, messages: int) -> None:
        """Show how far behind the reader is."""
        metrics.READER_LAG.set(messages)

    def _remove_member(self, event: StreamEvent) -> None:
        """Read the payload of this one rare event: its subject is the user who left."""
        try:
            user_id = str(orjson.loads(event.payload)["subject"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            metrics.EVENTS_MALFORMED.inc()
            return
        self._hub.remove_member(event.workspace_id, user_id)


def created_at(event_id: str) -> float | None:
    """Return when the row of an event was written, from its UUIDv7 (RFC 9562, section 5.7); None for any other id."""
    try:
        return int(event_id[:8] + event_id[9:13], 16) / 1000 if event_id[14:15] == "7" else None
    except ValueError:
        return None
