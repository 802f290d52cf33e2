"""The HTTP/2 server frame by frame, with a client made of h2 alone."""

import asyncio
import contextlib
import ssl

import h2.config
import h2.connection
import h2.events
import pytest
from h2.settings import SettingCodes

from taskbell.testing.pushsim.http2 import MAX_BODY
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("K4")


class RawClient:
    """One connection; events are kept as they come."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.events = []

    def send(self, path="/control", *, method="GET", body=b"", end=True):
        """Send a request; return its stream."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        self.h2.send_headers(stream, head, end_stream=end and not body)
        if body:
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def flush(self):
        """Write what h2 has to say."""
        self.writer.write(self.h2.data_to_send())

    async def until(self, kind, stream=None, *, acknowledge=True):
        """Read until an event of this kind comes; None at the end of the connection."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and stream in {None, getattr(event, "stream_id", None)}:
                    return event
            data = await self.reader.read(65536)
            if not data:
                return None
            events = self.h2.receive_data(data)
            for event in events:
                if acknowledge and isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.events += events
            self.flush()

    def body(self, stream):
        """What came as the body of an answer."""
        parts = [e.data for e in self.events if isinstance(e, h2.events.DataReceived) and e.stream_id == stream]
        return b"".join(parts)


@pytest.fixture
async def raw(sim):
    """Connects."""
    async with contextlib.AsyncExitStack() as stack:

        async def connected(protocols=("h2",)):
            trust = ssl.create_default_context(cafile=sim.ca_file)
            trust.set_alpn_protocols([*protocols])
            port = int(sim.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            stack.callback(writer.close)
            return RawClient(reader, writer)

        yield connected


async def test_only_h2_is_spoken(sim, raw):
    """A client that offers HTTP/1.1 alone is hung up on."""
    client = await raw(("http/1.1",))
    with contextlib.suppress(ConnectionError):
        assert await client.reader.read() == b""
    assert not sim.server.connections


async def test_rubbish_ends_the_connection(sim, raw):
    """What is no HTTP/2 gets a GOAWAY and the end, and no exception."""
    client = await raw()
    client.writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
    with contextlib.suppress(ConnectionError):
        await client.reader.read()
    client = await raw()
    client.flush()
    await client.until(h2.events.RemoteSettingsChanged)
    client.writer.write(b"\0\0\1\4\0\0\0\0\0x")  # SETTINGS of one byte
    assert await client.until(h2.events.ConnectionTerminated)


async def test_a_goaway_names_what_was_not_processed(sim, raw):
    """With an error: the code, the data, and a last stream before the request; then the connection ends."""
    client = await raw()
    await client.until(h2.events.StreamEnded, client.send())
    sim.fail("goaway_error", provider="slack", code=11, debug=b'{"reason":"Shutdown"}')
    stream = client.send("/services/x", method="POST")
    event = await client.until(h2.events.ConnectionTerminated)
    assert (event.error_code, event.last_stream_id, event.additional_data) == (11, stream - 2, b'{"reason":"Shutdown"}')
    assert await client.reader.read() == b""


async def test_a_graceful_goaway_ends_after_the_streams(sim, raw):
    """Streams until then are answered, then the connection ends."""
    client = await raw()
    sim.fail("slow", provider="teams", seconds=0.05)
    slow = client.send("/workflows/x", method="POST")
    await client.until(h2.events.RemoteSettingsChanged)
    sim.fail("goaway", provider="slack")
    quick = client.send("/services/x", method="POST")
    came = await client.reader.read()  # h2 reads nothing after GOAWAY, so the answers are looked for in the bytes
    assert (slow, quick) == (1, 3)
    assert came.index(b"no_service") < came.index(b"WorkflowNotFound")


async def test_an_idle_connection_can_be_ended_politely(sim, raw):
    """`go_away` sends GOAWAY without an error, and ends the connection."""
    client = await raw()
    stream = client.send()
    await client.until(h2.events.StreamEnded, stream)
    sim.server.go_away()
    event = await client.until(h2.events.ConnectionTerminated)
    assert (event.error_code, event.last_stream_id) == (0, stream)
    assert await client.reader.read() == b""


async def test_all_connections_can_break_at_once(sim, raw):
    """`cut` breaks what is open, without a word."""
    clients = [await raw() for _ in range(3)]
    for client in clients:
        await client.until(h2.events.StreamEnded, client.send())
    sim.server.cut()
    for client in clients:
        with contextlib.suppress(ConnectionError):
            assert await client.reader.read() == b""
    await eventually(lambda: not sim.server.connections, "no connection is open")


async def test_a_reset_has_its_code(sim, raw):
    """RST_STREAM carries the scripted error code, and other streams go on."""
    client = await raw()
    sim.fail("reset", provider="slack", code=7)
    event = await client.until(h2.events.StreamReset, client.send("/services/x", method="POST"))
    assert event.error_code == 7
    assert await client.until(h2.events.StreamEnded, client.send())


async def test_a_large_answer_waits_for_the_clients_window(sim, raw):
    """An answer of more than the client's window comes in parts, as the client makes room."""
    sim.devices.new("fcm")
    client = await raw()
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
    client.flush()
    await client.until(h2.events.SettingsAcknowledged)
    stream = client.send("/control/ca")
    await client.until(h2.events.StreamEnded, stream)
    assert client.body(stream).decode() == sim.credentials.authority


async def test_a_body_is_bounded(sim, raw):
    """More than 256 KB are answered with 413 while they still come."""
    client = await raw()
    client.flush()
    await client.until(h2.events.RemoteSettingsChanged)
    stream = client.send("/services/x", method="POST", body=b"x", end=False)
    sent, event = 0, None
    while sent <= MAX_BODY:
        room = min(client.h2.local_flow_control_window(stream), 16_000)
        if room:
            client.h2.send_data(stream, b"x" * room)
            client.flush()
            sent += room
        else:
            client.events.clear()
            await client.until(h2.events.WindowUpdated)
    event = await client.until(h2.events.ResponseReceived, stream)
    assert dict(event.headers)[b":status"] == b"413"


async def test_a_request_that_the_client_resets_is_forgotten(sim, raw):
    """A client that gives up a slow request costs no answer, and the connection goes on."""
    client = await raw()
    sim.fail("slow", provider="slack", seconds=3600)
    stream = client.send("/services/x", method="POST")
    client.h2.reset_stream(stream)
    client.flush()
    assert await client.until(h2.events.StreamEnded, client.send())
    (connection,) = sim.server.connections
    assert connection.waiting == 0


async def test_streams_are_limited(sim, raw):
    """The server says how many streams a client may have open."""
    client = await raw()
    client.flush()
    await client.until(h2.events.RemoteSettingsChanged)
    assert client.h2.remote_settings.max_concurrent_streams == 250
