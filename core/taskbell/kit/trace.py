"""W3C Trace Context (https://www.w3.org/TR/trace-context/), without cost for what is not sampled.

Every request gets a trace id for logs and events. Spans are recorded through OpenTelemetry only for sampled traces
and only when an exporter is configured by the standard `OTEL_*` variables.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_TRACEPARENT = re.compile(r"\A00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The place of the current work in a trace.

    Attributes:
        trace_id: 32 lower-case hexadecimal digits.
        span_id: 16 lower-case hexadecimal digits.
        sampled: Whether spans of this trace are recorded.
    """

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @classmethod
    def parse(cls, header: str | None) -> TraceContext | None:
        """Read a `traceparent` header; None when it is absent or malformed (the standard says: start a new trace)."""
        found = _TRACEPARENT.match(header) if header else None
        if found is None or found[1] == "0" * 32 or found[2] == "0" * 16:
            return None
        return cls(trace_id=found[1], span_id=found[2], sampled=bool(int(found[3], 16) & 1))

    @property
    def identity(self) -> SpanContext:
        """The same as OpenTelemetry writes it."""
        return SpanContext(
            int(self.trace_id, 16), int(self.span_id, 16), is_remote=True, trace_flags=TraceFlags(int(self.sampled))
        )


current: ContextVar[TraceContext | None] = ContextVar("taskbell_trace", default=None)
_innermost: ContextVar[tuple[Tracing, TraceContext] | None] = ContextVar("taskbell_span", default=None)
"""The innermost span that is being recorded, and who records it."""


def traceparent() -> str | None:
    """The current context as a `traceparent` header, or None outside a trace."""
    context = current.get()
    return None if context is None else str(context)


def records() -> bool:
    """Whether this task records a span."""
    return _innermost.get() is not None


def below(name: str, *, kind: SpanKind = SpanKind.INTERNAL) -> AbstractContextManager[object]:
    """Record a span below the innermost one that this task records; nothing, and almost for free, if there is none."""
    innermost = _innermost.get()
    return nullcontext() if innermost is None else innermost[0].span(name, parent=innermost[1], kind=kind)


class Tracing:
    """Starts traces and records spans of sampled ones."""

    def __init__(self, *, service: str, provider: TracerProvider | None = None, ratio: float = 1.0) -> None:
        """Take the provider to record with (None records nothing) and the share of new traces to sample, 0 to 1."""
        self._provider = provider
        self._tracer = provider.get_tracer(service) if provider else None
        self._ratio = ratio if provider else 0.0

    @classmethod
    def from_environment(cls, *, service: str) -> Tracing:
        """Read OpenTelemetry's `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SDK_DISABLED` and `OTEL_TRACES_SAMPLER_ARG`.

        Without an endpoint nothing is recorded, but logs and events still carry trace ids.
        """
        endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        if not endpoint or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return cls(service=service)
        provider = _exporting(name=os.environ.get("OTEL_SERVICE_NAME", service))
        return cls(service=service, provider=provider, ratio=float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1.0")))

    def begin(self, traceparent: str | None) -> TraceContext:
        """Continue the caller's trace, or start one."""
        given = TraceContext.parse(traceparent)
        if given is not None:
            return given
        return TraceContext(
            trace_id=f"{random.getrandbits(128) or 1:032x}",
            span_id=f"{random.getrandbits(64) or 1:016x}",
            sampled=self._ratio > 0 and random.random() < self._ratio,  # noqa: S311 -- sampling, not a secret
        )

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: TraceContext,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: dict[str, str | int] | None = None,
        links: Iterable[TraceContext] = (),
    ) -> Iterator[TraceContext]:
        """Record a span of a sampled trace around the block; yields the context that children continue.

        Args:
            name: Few different ones: what is done, not to what.
            parent: The span, here or elsewhere, that caused it.
            kind: Its role between processes.
            attributes: Read when the block ends, so that the block may add to them.
            links: Spans of other traces that it is also about.
        """
        if self._tracer is None or not parent.sampled:
            yield parent
            return
        context = trace.set_span_in_context(NonRecordingSpan(parent.identity))
        linked = [Link(link.identity) for link in links]
        with self._tracer.start_as_current_span(name, context=context, kind=kind, links=linked) as span:
            identity = span.get_span_context()
            inner = TraceContext(f"{identity.trace_id:032x}", f"{identity.span_id:016x}", sampled=True)
            token = _innermost.set((self, inner))
            try:
                yield inner
            finally:
                _innermost.reset(token)
                span.set_attributes(dict(attributes or {}))

    def close(self) -> None:
        """Send what is buffered and stop."""
        if self._provider is not None:
            self._provider.shutdown()


def _exporting(*, name: str) -> TracerProvider:
    """A provider that sends spans by OTLP over HTTP. Its libraries load here: most programs start without them."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 -- the same
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 -- the same
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- the same

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
