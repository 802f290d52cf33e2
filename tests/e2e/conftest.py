"""The real platform with a trace collector, for the whole module, and a proxy in front of it that terminates TLS."""

import asyncio
import contextlib
import dataclasses
import email
import ssl
import threading
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from front_door.certificate import certify
from taskbell.local.embedded.process import free_port
from taskbell.testing.platform import Platform


@dataclasses.dataclass(frozen=True)
class Span:
    """What a test wants to know of a span."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict


class Collector:
    """Takes spans by OTLP over HTTP, as a real collector does."""

    def __init__(self):
        self.spans = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/traces"
                collector.spans += decoded(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, name="collector")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def url(self):
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def of_trace(self, trace_id):
        """The spans of one trace that have come until now."""
        return [span for span in self.spans if span.trace_id == trace_id]


def decoded(request):
    """The spans of an export request."""
    return [
        Span(
            service=next(
                entry.value.string_value for entry in resource.resource.attributes if entry.key == "service.name"
            ),
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes={entry.key: entry.value.string_value or entry.value.int_value for entry in span.attributes},
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


@pytest.fixture(scope="module")
def collector():
    """A collector of traces."""
    with Collector() as running:
        yield running


class Mailroom:
    """A mail server that keeps what it gets."""

    def __init__(self):
        self.messages = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self.url = f"smtp://127.0.0.1:{self._controller.port}"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 -- aiosmtpd's name
        """Take a message."""
        self.messages.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()

    def texts_to(self, address):
        """The plain text of each message to an address."""
        return [one.get_body(("plain",)).get_content() for one in self.messages if str(one["to"]) == address]


@pytest.fixture(scope="module")
def mailroom():
    """A mail server."""
    with Mailroom() as running:
        yield running


@pytest.fixture(scope="module")
def platform(tmp_path_factory, collector, mailroom):
    """A running platform that samples no trace by itself but records those of clients that ask for it."""
    traced = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER_ARG": "0",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "TASKBELL_SMTP_URL": mailroom.url,
    }
    with Platform(tmp_path_factory.mktemp("platform"), **traced).up() as running:
        yield running


@pytest.fixture
def certificate(tmp_path):
    """A file with a key and a certificate that it signed for 127.0.0.1 itself."""
    return certify(tmp_path / "proxy.pem", "127.0.0.1")


@pytest.fixture
async def proxy(platform, certificate):
    """The one public address `127.0.0.1:<port>`: ends TLS, and passes `/ws` to the gateway, all else to the API."""

    async def pump(reader, writer):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
        writer.close()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        part = "gateway" if head.split(b" ", 2)[1].startswith(b"/ws") else "api"
        inner, outer = await asyncio.open_connection("127.0.0.1", platform.port(part))
        line, rest = head.split(b"\r\n", 1)
        outer.write(line + b"\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.7\r\n" + rest)
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # either side may go first
            await asyncio.gather(pump(reader, outer), pump(inner, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
