"""From the stream's headers to the hub, with plain values."""

import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from taskbell.contract.subjects import HEADER_AUDIENCE, HEADER_TRACEPARENT, event_subject
from taskbell.gateway.hub import Hub
from taskbell.gateway.intake import Intake
from taskbell.gateway.recent import RecentEvents
from taskbell.kit.ids import new_id
from taskbell.kit.nats_message import MESSAGE_ID
from taskbell.kit.trace import Tracing


def intake(tracing=None):
    """An intake at the beginning of epoch 1, with its hub."""
    hub = Hub(RecentEvents(max_events=10, max_bytes=10**6))
    made = Intake(hub, tracing=tracing or Tracing(service="test"))
    made.begin(epoch=1, position=0)
    return made, hub


def test_a_sampled_event_gets_a_span_of_its_trace():
    """The span continues the trace of the request that caused the event; an unsampled event gets none."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    taking, _ = intake(Tracing(service="test", provider=provider))
    subject = event_subject(workspace_id=new_id(), event_type="task.created")
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    for sequence, flags in enumerate(("00", "01"), 1):
        taking.message(sequence, subject, {HEADER_TRACEPARENT: f"00-{trace_id}-b7ad6b7169203331-{flags}"}, b"{}")
    taking.message(3, subject, {HEADER_TRACEPARENT: "nonsense"}, b"{}")
    (span,) = exporter.get_finished_spans()
    assert (span.name, f"{span.context.trace_id:032x}") == ("gateway.deliver", trace_id)


@pytest.mark.feature("K14")
def test_delivery_is_measured_where_somebody_listens():
    """Latency counts from the event's id; an unwanted event is only counted."""

    def count(name, **labels):
        return REGISTRY.get_sample_value(name, labels) or 0

    taking, hub = intake()

    class Client:
        user_id = "u"

        def deliver(self, frame):
            """Take it."""

    hub.register(Client())
    before = count("taskbell_gateway_delivery_latency_seconds_count"), count("taskbell_gateway_event_frames_total")
    subject = event_subject(workspace_id=new_id(), event_type="task.created")
    for sequence, audience in enumerate(("u", "v", "u"), 1):
        taking.message(sequence, subject, {HEADER_AUDIENCE: audience, MESSAGE_ID: str(new_id())}, b"{}")
    after = count("taskbell_gateway_delivery_latency_seconds_count"), count("taskbell_gateway_event_frames_total")
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 2]


@pytest.mark.parametrize("data", [b"", b"[]", b"{", orjson.dumps({"id": 1})])
def test_what_the_relay_cannot_have_written_is_passed_by(data):
    """Foreign subjects and unreadable removals are counted, and the reader goes on."""
    taking, hub = intake()
    taking.message(1, "somewhere.else", {}, b"{}")
    taking.message(2, event_subject(workspace_id=new_id(), event_type="member.removed"), {}, data)
    taking.message(3, event_subject(workspace_id=new_id(), event_type="task.created"), {}, b"{}")
    assert hub.position == 3
