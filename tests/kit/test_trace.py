import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskbell.kit.trace import TraceContext, Tracing, below

_GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_HEX = st.text("0123456789abcdef", min_size=32, max_size=32).filter(lambda text: set(text) != {"0"})


@given(trace_id=_HEX, span_id=_HEX.map(lambda text: "1" + text[:15]), sampled=st.booleans())
def test_a_traceparent_is_read_as_written(trace_id, span_id, sampled):
    """Writing and reading a context loses nothing."""
    context = TraceContext(trace_id=trace_id, span_id=span_id, sampled=sampled)
    assert TraceContext.parse(str(context)) == context


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        _GIVEN.upper(),
        "ff" + _GIVEN[2:],
        _GIVEN + "\n",
        _GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        _GIVEN.replace("00f067aa0ba902b7", "0" * 16),
        _GIVEN[:-1],
    ],
)
def test_a_malformed_traceparent_starts_a_new_trace(header):
    """What is not a W3C traceparent is as good as none: a new trace begins, nothing fails."""
    assert TraceContext.parse(header) is None
    begun = Tracing(service="test").begin(header)
    assert TraceContext.parse(str(begun)) == begun


@given(st.text())
def test_no_header_can_break_a_request(header):
    """Whatever a client sends, a request has a trace."""
    assert len(Tracing(service="test").begin(header).trace_id) == 32


def test_a_callers_trace_is_continued():
    """A request that belongs to a trace stays in it, sampled as the caller decided."""
    assert str(Tracing(service="test").begin(_GIVEN)) == _GIVEN


def test_without_an_exporter_nothing_is_sampled():
    """A trace that begins here is not sampled when nobody records it, and a span costs nothing."""
    tracing = Tracing(service="test")
    context = tracing.begin(None)
    assert not context.sampled
    with tracing.span("work", parent=context) as inner:
        assert inner is context
    tracing.close()


@pytest.fixture
def recorded():
    """A tracing that records into memory, and what it recorded."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(service="test", provider=provider)
    yield tracing, exporter
    tracing.close()


def test_a_span_hangs_below_its_parent(recorded):
    """Spans of a sampled trace name their parent, so that request, event and frame make one picture."""
    tracing, exporter = recorded
    given_context = tracing.begin(_GIVEN)
    with (
        tracing.span("request", parent=given_context) as request,
        tracing.span("event", parent=request, attributes={"rows": 1}),
    ):
        pass
    event, outer = exporter.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in (event, outer)} == {given_context.trace_id}
    assert f"{outer.parent.span_id:016x}" == given_context.span_id
    assert f"{event.parent.span_id:016x}" == request.span_id
    assert event.attributes == {"rows": 1}


def test_a_span_tells_what_its_block_finds_and_what_else_it_is_about(recorded):
    """Attributes may be added until the block ends; links name spans of other traces."""
    tracing, exporter = recorded
    other = TraceContext(trace_id="a" * 32, span_id="b" * 16, sampled=True)
    attributes = {"alerts": 0}
    with tracing.span("record", parent=tracing.begin(_GIVEN), attributes=attributes, links=[other]):
        attributes["alerts"] = 3
    (span,) = exporter.get_finished_spans()
    assert span.attributes == {"alerts": 3}
    ((linked,),) = ([link.context for link in span.links],)
    assert (f"{linked.trace_id:032x}", f"{linked.span_id:016x}") == (other.trace_id, other.span_id)


def test_a_span_is_found_by_what_is_done_below_it(recorded):
    """Code that knows no tracing records below the innermost span; without one it records nothing."""
    tracing, exporter = recorded
    with below("nothing"):
        pass
    with (
        tracing.span("request", parent=tracing.begin(_GIVEN)),
        tracing.span("event", parent=tracing.begin(_GIVEN)) as inner,
        below("transaction"),
    ):
        pass
    with below("nothing"):
        pass
    transaction, event, request = exporter.get_finished_spans()
    assert [span.name for span in (transaction, event, request)] == ["transaction", "event", "request"]
    assert f"{transaction.parent.span_id:016x}" == inner.span_id


def test_an_unsampled_trace_is_not_recorded(recorded):
    """A caller that chose not to sample is respected."""
    tracing, exporter = recorded
    with tracing.span("request", parent=tracing.begin(_GIVEN.removesuffix("01") + "00")):
        pass
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_the_standard_variables_switch_recording_on_and_off(monkeypatch, variable):
    """An endpoint turns recording on; `OTEL_SDK_DISABLED` turns it off again."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    assert not Tracing.from_environment(service="test").begin(None).sampled
    monkeypatch.setenv(variable, "http://127.0.0.1:9/v1/traces")
    tracing = Tracing.from_environment(service="test")
    assert tracing.begin(None).sampled
    tracing.close()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not Tracing.from_environment(service="test").begin(None).sampled
