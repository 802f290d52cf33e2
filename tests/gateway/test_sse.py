"""Server-sent events: what a WebSocket brings, for clients and networks without one."""

import asyncio
import contextlib

import httpx
import orjson
import pytest
from prometheus_client import REGISTRY

from taskbell.contract.subjects import STREAM
from taskbell.kit.ids import new_id
from taskbell.testing.waiting import DEADLINE, eventually

pytestmark = pytest.mark.feature("F3", "K4", "P14")

ORIGIN = "https://app.example"


class Source:
    """An `EventSource` as the HTML Living Standard describes it (section 9.2.6), written from its text."""

    def __init__(self, running, token="", **headers):
        self.address = f"http://127.0.0.1:{running.port}/sse"
        self.headers = {"Accept": "text/event-stream", **headers}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        self.last_id, self.retry, self.messages, self.comments = "", None, [], []
        self.answer = None
        self._stack = contextlib.AsyncExitStack()
        self._reading = None
        self._news = asyncio.Event()
        self._lines = []

    async def open(self, query="", method="GET"):
        """Send the request; return the answer, of which only a stream is left open."""
        client = await self._stack.enter_async_context(httpx.AsyncClient(timeout=DEADLINE, trust_env=False))
        if self.last_id:
            self.headers["Last-Event-ID"] = self.last_id
        stream = client.stream(method, self.address + query, headers=self.headers)
        self.answer = await self._stack.enter_async_context(stream)
        if self.answer.headers.get("content-type") != "text/event-stream":
            await self.answer.aread()
            await self.close()
            return self.answer
        self._reading = asyncio.create_task(self._read())
        return self.answer

    async def close(self):
        """Close the connection."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self._stack.aclose()

    async def until(self, come):
        """Wait until something has come; return all messages."""
        async with asyncio.timeout(DEADLINE):
            while not come():
                self._news.clear()
                await self._news.wait()
        return self.messages

    async def until_events(self, number):
        """Wait for so many events; return their numbers."""
        await self.until(lambda: len(self.events) >= number)
        return [message["event"]["data"]["number"] for message in self.events]

    async def ended(self):
        """Wait for the end of the body."""
        await asyncio.wait([self._reading], timeout=DEADLINE)
        assert self._reading.done()

    @property
    def events(self):
        """The frames of all events."""
        return [data for name, data, _ in self.messages if name == "event"]

    @property
    def names(self):
        """The names of all messages."""
        return [name for name, _, _ in self.messages]

    async def _read(self):
        fields = {"data": []}
        async for line in self.answer.aiter_lines():
            if not line:
                self.last_id = fields.get("id", self.last_id)
                if fields["data"]:
                    data = orjson.loads("\n".join(fields["data"]))
                    self.messages.append((fields.get("event", "message"), data, self.last_id))
                fields = {"data": []}
                self._news.set()
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not name:
                self.comments.append(value)
            elif name == "data":
                fields["data"].append(value)
            elif name == "retry":
                self.retry = int(value)
            else:
                fields[name] = value


@pytest.fixture
async def source(people):
    """Makes event sources; all are closed at the end."""
    made = []

    def make(running, user=None, **headers):
        made.append(Source(running, people.token(user) if user else "", **headers))
        return made[-1]

    yield make
    for one in made:
        await one.close()


def gauge(name, **labels):
    """A metric of this process."""
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.parametrize("way", ["header", "ticket"])
async def test_events_come_with_their_cursors(run_gateway, people, stream, source, listener, way):
    """The same events as over a WebSocket, in the same frames, each with its cursor as its id."""
    workspace, other = new_id(), new_id()
    user = await people.user(workspaces=[workspace])
    channels = [f"workspace:{workspace}"]
    async with run_gateway() as running, listener(running, user, channels=channels) as socket:
        await socket.connect()
        one = source(running, user if way == "header" else None)
        ticket = f"ticket={people.ticket(user)}&" if way == "ticket" else ""
        answer = await one.open(f"?{ticket}channels={channels[0]},workspace:{other},x")
        assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        await stream.publish(workspace, number=1, audience=[user], pad="é\r\n\n" * 5)
        await stream.publish(other, number=2)
        await stream.publish(workspace, number=3)
        await stream.publish(other, number=4, audience=[user])
        assert await one.until_events(3) == [1, 3, 4]
        await socket.until_events(3)
        assert one.events == [orjson.loads(received.text) for received in socket.events]
        welcome, *rest = one.messages
        assert (welcome[0], welcome[1]["resume"], welcome[1]["channels"]) == ("welcome", "new", ["me", channels[0]])
        assert [(name, data["code"]) for name, data, _ in rest if name == "problem"] == [
            ("problem", "forbidden"),
            ("problem", "unknown_channel"),
        ]
        assert [at for name, _, at in rest if name == "event"] == ["1-1", "1-3", "1-4"]
        assert (one.last_id, one.retry) == ("1-4", 1000)
        assert gauge("taskbell_gateway_event_streams") == 1
        await one.close()
        await eventually(lambda: running.hub.connections_of(str(user)) == 1)
        assert gauge("taskbell_gateway_event_streams") == 0


@pytest.mark.parametrize("memory", [{}, {"gateway_recent_events": 0}], ids=["from memory", "from the stream"])
@pytest.mark.parametrize("way", ["header", "address"])
async def test_last_event_id_resumes_exactly(run_gateway, people, stream, source, way, memory):
    """Everything after it, each once and in order, then what is new; `Last-Event-ID` wins over the address."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(6))
    async with run_gateway(**memory) as running:
        one = source(running, user)
        one.last_id = "1-2" if way == "header" else ""
        resume = "1-5" if way == "header" else "1-2"
        await one.open(f"?channels=workspace:{workspace}&resume={resume}")
        assert await one.until_events(4) == [2, 3, 4, 5]
        assert one.messages[0][1]["resume"] == "ok"
        await one.close()
        await stream.publish_many(workspace, range(6, 300), pad="x" * 2000)
        again = source(running, user)
        again.last_id = one.last_id
        await again.open(f"?channels=workspace:{workspace}")
        assert await again.until_events(294) == list(range(6, 300))
        await stream.publish(workspace, number=300)
        assert (await again.until_events(295))[-1] == 300


@pytest.mark.parametrize("cursor", ["9-1", "1-99", "nonsense"])
async def test_what_cannot_be_replayed_is_a_gap(run_gateway, people, stream, source, cursor):
    """Then the first message is `gap`, with the cursor to go on from."""
    user = await people.user()
    await stream.publish(new_id())
    async with run_gateway() as running:
        one = source(running, user)
        one.last_id = cursor
        await one.open()
        await one.until(lambda: bool(one.messages))
        name, data, at = one.messages[0]
        assert (name, data["t"], data["resume"], at) == ("gap", "welcome", "gap", "1-1")


REFUSED = {
    "nothing": ("", {}, 401, "sign_in_required"),
    "garbage": ("", {"Authorization": "Bearer a.b.c"}, 401, "sign_in_refused"),
    "token in the address": ("?access_token=x", {}, 401, None),
    "repeated channels": ("?channels=a&channels=b", {"Authorization": "Bearer a.b.c"}, 400, "bad_frame"),
    "long cursor": ("", {"Last-Event-ID": "1" * 200, "Authorization": "Bearer a.b.c"}, 400, "bad_frame"),
    "foreign page": ("", {"Origin": "https://evil.example"}, 403, None),
    "another path": ("/x", {}, 404, None),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_refusal_is_an_http_error(run_gateway, source, kind):
    """An `EventSource` that gets one does not connect again; a program reads a problem document."""
    query, headers, status, code = REFUSED[kind]
    async with run_gateway(allowed_origins=ORIGIN) as running:
        answer = await source(running, **headers).open(query)
        assert answer.status_code == status
        if code:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == code
            assert ("www-authenticate" in answer.headers) == (status == 401)
        await eventually(lambda: not running.server.handshakes)


async def test_a_used_ticket_is_refused(run_gateway, people, source):
    """It is good for one connection, of whatever kind."""
    user = await people.user()
    async with run_gateway() as running:
        ticket = people.ticket(user)
        assert (await source(running).open(f"?ticket={ticket}")).status_code == 200
        assert (await source(running).open(f"?ticket={ticket}")).status_code == 401


async def test_limits_are_those_of_sockets(run_gateway, people, source, listener):
    """Streams and sockets of a user count together; a full gateway asks to come again."""
    user, other = await people.user(), await people.user()
    async with (
        run_gateway(gateway_max_connections_per_user=1, gateway_max_connections=2) as running,
        listener(running, user) as socket,
    ):
        await socket.connect()
        answer = await source(running, user).open()
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_connections")
        assert (await source(running, other).open()).status_code == 200
        answer = await source(running, await people.user()).open()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_pages_of_allowed_origins_may_read(run_gateway, people, source):
    """Also refusals, and also with a header that needs to be asked for first."""
    user = await people.user()
    async with run_gateway(allowed_origins=ORIGIN) as running:
        answer = await source(running, user, Origin=ORIGIN).open()
        assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (ORIGIN, "Origin")
        assert "access-control-allow-credentials" not in answer.headers
        refused = await source(running, Origin=ORIGIN).open()
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        allowed = await source(running, Origin=ORIGIN, **asked).open(method="OPTIONS")
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
        assert (await source(running, Origin="https://evil.example").open(method="OPTIONS")).status_code == 403
        assert (await source(running).open(method="POST")).status_code == 405


async def test_an_idle_stream_lives_and_its_cursor_moves(run_gateway, people, stream, source):
    """Pings are comments; nobody answers them, and the connection goes on."""
    user = await people.user()
    async with run_gateway(gateway_ping_interval="PT1S") as running:
        one = source(running, user)
        await one.open()
        await one.until(lambda: bool(one.messages))
        await stream.publish(new_id())
        await running.hub.reached(1)
        pings = len(one.comments)
        await one.until(lambda: len(one.comments) >= pings + 5)
        assert (one.last_id, one.names) == ("1-1", ["welcome"])


async def test_a_drain_says_goodbye(run_gateway, people, stream, source):
    """`goaway` sets the pause, `close` tells why, and the body ends."""
    user = await people.user()
    async with run_gateway() as running:
        one = source(running, user)
        await one.open()
        await one.until(lambda: bool(one.messages))
    await one.ended()
    assert one.names == ["welcome", "goaway", "close"]
    assert one.messages[1][1]["retry_after_ms"] == one.retry
    assert one.messages[2][1]["code"] == 4200


async def test_an_old_stream_and_an_expired_token_end(run_gateway, people, source):
    """The bounds of a session hold for streams, too."""
    user = await people.user()
    async with run_gateway(gateway_max_connection_age="PT1S") as running:
        one = source(running, user)
        await one.open()
        await one.ended()
        assert one.messages[-1][1]["code"] == 4200
    async with run_gateway() as running:
        two = Source(running)
        while not two.messages:  # on a busy machine a token of two seconds may be over before it is taken
            two = Source(running, people.token(user, ttl=2))
            if (await two.open()).status_code == 200:
                await two.ended()
        assert [(name, data["code"]) for name, data, _ in two.messages[-2:]] == [
            ("problem", "token_expired"),
            ("close", 4401),
        ]
        await two.close()


async def test_a_slow_reader_is_coalesced_and_then_closed(run_gateway, people, stream):
    """It costs a bounded queue; who comes back with the last id gets everything after it."""
    user, task, workspace = await people.user(), new_id(), new_id()
    token = people.token(user)
    async with run_gateway(gateway_queue_messages=10) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=2**16)
        writer.write(f"GET /sse HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        assert b"200" in await reader.readline()
        await eventually(lambda: running.hub.connections_of(str(user)))
        writer.transport.pause_reading()
        before = [gauge("taskbell_gateway_events_coalesced_total"), gauge("taskbell_gateway_closes_total", code="4408")]

        async def publish(subject=None):
            pad = "x" * 60_000
            await stream.publish(workspace, audience=[user], subject=subject, event_type="task.updated", pad=pad)

        while gauge("taskbell_gateway_events_coalesced_total") < before[0] + 50:
            await publish(task)
        assert gauge("taskbell_gateway_closes_total", code="4408") == before[1]
        while gauge("taskbell_gateway_closes_total", code="4408") == before[1]:
            await publish()
        await eventually(lambda: not running.hub.connections_of(str(user)))
        writer.close()


async def test_nobody_can_send_much_on_a_stream(run_gateway, people, stream):
    """What a client sends after its request is dropped, and a flood ends the connection; nothing of it is a frame."""
    user = await people.user()
    async with run_gateway() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        head = f"GET /sse HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {people.token(user)}\r\n\r\n".encode()
        writer.write(head)
        assert b"200" in await reader.readline()
        await reader.readuntil(b"event: welcome\n")
        writer.write(b"\x88\x80\0\0\0\0" + b"\xff" * 100)  # a close frame, and nonsense
        await stream.publish(new_id(), audience=[user])
        await reader.readuntil(b"event: event\n")
        writer.write(b"\x81" * 200_000)
        with contextlib.suppress(ConnectionResetError):
            await writer.drain()
            await reader.read()
        await eventually(lambda: not running.hub.connections_of(str(user)))
        writer.close()
        _, early = await asyncio.open_connection("127.0.0.1", running.port)
        early.write(head * 2)  # there is no pipelining behind a response without an end
        await eventually(lambda: not running.server.handshakes)
        early.close()


async def test_a_removed_member_loses_the_channel(run_gateway, people, stream, source):
    """As on a WebSocket: the end of the membership is the last that it hears of the workspace."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    async with run_gateway() as running:
        one = source(running, user)
        await one.open(f"?channels=workspace:{workspace}")
        await one.until(lambda: bool(one.messages))
        await people.remove(user, workspace)
        await stream.publish(workspace, number=1, event_type="member.removed", subject=user)
        await stream.publish(workspace, number=2)
        await one.until(lambda: "problem" in one.names)
        await stream.publish(new_id(), number=3, audience=[user])
        assert await one.until_events(2) == [1, 3]
        info = await stream.jetstream.stream_info(STREAM)
        assert info.state.last_seq == 3


@pytest.mark.feature("M35")
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_an_origin_that_is_no_text_is_refused(run_gateway, method):
    """A browser's origin is ASCII: other bytes get an answer, also when the `Host` has the same ones."""
    async with run_gateway() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"%b /sse HTTP/1.1\r\nHost: \xff\r\nOrigin: http://\xff\r\n\r\n" % method.encode())
        async with asyncio.timeout(DEADLINE):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 403 "), answer
