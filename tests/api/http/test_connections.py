"""Over real sockets: clients that are slow on purpose, and too many of them, hold no connection for long."""

import asyncio
import contextlib
import json
import socket
from types import SimpleNamespace

import pytest
import uvicorn

from taskbell.api.http import protocol
from taskbell.api.http.connections import ConnectionLimits
from taskbell.api.http.protocol import bounded_by
from taskbell.testing.waiting import eventually

SHORT = 0.2
"""Seconds, for limits that a test waits for."""
LONG = 60.0
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


def limits(**given):
    """Limits that no test reaches, but for those it names."""
    return ConnectionLimits(**({"most": 100, "head_seconds": LONG, "request_seconds": LONG} | given))


@pytest.fixture
async def serve():
    """Serves an application that answers with `size` bytes once `go` is set; it notes requests and disconnects."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(within, *, size=2):
            made = SimpleNamespace(go=asyncio.Event(), began=asyncio.Event(), left=asyncio.Event())
            made.go.set()

            async def application(_scope, receive, send):
                made.began.set()
                while (message := await receive())["type"] == "http.request" and message["more_body"]:
                    pass
                if message["type"] == "http.disconnect":
                    made.left.set()
                    return
                await made.go.wait()
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"." * size})

            kind = bounded_by(within)
            config = uvicorn.Config(application, log_config=None, lifespan="off", ws="none", http=kind)
            config.load()
            state = uvicorn.server.ServerState()
            server = await asyncio.get_running_loop().create_server(
                lambda: kind(config=config, server_state=state, app_state={}), "127.0.0.1", 0
            )
            stack.callback(server.close)
            made.connections = state.connections

            async def connect(*parts):
                ours = socket.socket()
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # some kernels take in whole responses
                ours.setblocking(False)
                await asyncio.get_running_loop().sock_connect(ours, server.sockets[0].getsockname())
                reader, writer = await asyncio.open_connection(sock=ours)
                stack.callback(writer.close)
                for part in parts:
                    writer.write(part)
                return SimpleNamespace(reader=reader, writer=writer)

            made.connect = connect
            return made

        async with asyncio.timeout(LONG):
            yield start


async def ended(client):
    """All that still comes on a connection until the server closes it."""
    try:
        return await client.reader.read()
    except ConnectionResetError:
        return b""


async def trickle(client, byte):
    """Send a byte now and then, until the server closes the connection."""
    sending = asyncio.create_task(ended(client))
    while not sending.done():
        with contextlib.suppress(ConnectionError):
            client.writer.write(byte)
        await asyncio.sleep(SHORT / 8)
    return await sending


def problem(answer):
    """Status and code of a problem document."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


async def test_a_server_that_stops_answers_what_its_idle_connections_bring(serve, monkeypatch):
    """A request that crosses the end of the server is answered as the last one; silent connections are closed."""
    monkeypatch.setattr(protocol, "FAREWELL_SECONDS", SHORT)
    server = await serve(limits())
    silent, unused, client = (
        await server.connect(HEAD + b"\r\n"),
        await server.connect(),
        await server.connect(HEAD + b"\r\n"),
    )
    for each in (silent, client):
        assert b"connection: close" not in await each.reader.readuntil(b"0\r\n\r\n")
    await eventually(lambda: len(server.connections) == 3)
    for connection in list(server.connections):
        connection.shutdown()
    client.writer.write(HEAD + b"\r\n")
    answer = await ended(client)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert await ended(silent) == await ended(unused) == b""
    assert not server.connections


async def test_a_connection_that_sends_nothing_is_closed(serve):
    """It may stay silent for as long as a head may take."""
    server = await serve(limits(head_seconds=SHORT))
    assert await ended(await server.connect()) == b""


async def test_half_a_head_is_given_up(serve):
    """What began and does not go on is answered with 408 and closed."""
    server = await serve(limits(head_seconds=SHORT))
    assert problem(await ended(await server.connect(HEAD))) == (408, "request_timeout")
    assert not server.began.is_set()


@pytest.mark.parametrize(("begin", "byte"), [(HEAD + b"X: ", b"x"), (b"", b"\r\n")], ids=["head", "empty lines"])
async def test_a_head_that_trickles_is_given_up(serve, begin, byte):
    """The time of a head counts from its first byte, also after a request, and in what is not yet a head."""
    server = await serve(limits(head_seconds=SHORT))
    client = await server.connect(HEAD + b"\r\n")
    first = await client.reader.readuntil(b"0\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    client.writer.write(begin)
    assert problem(await trickle(client, byte)) == (408, "request_timeout")


async def test_a_head_in_the_read_of_a_request_is_given_up(serve):
    """Half a head that came with the request before it has the same time."""
    server = await serve(limits(head_seconds=SHORT))
    answer = await ended(await server.connect(HEAD + b"\r\n" + HEAD))
    assert answer.startswith(b"HTTP/1.1 200")
    assert problem(answer[answer.index(b"HTTP/1.1 408") :]) == (408, "request_timeout")


async def test_a_body_that_trickles_is_given_up(serve):
    """The whole request has its time; then it is answered with 408, and the application sees that nobody waits."""
    server = await serve(limits(request_seconds=SHORT))
    assert problem(await trickle(await server.connect(POST), b"x")) == (408, "request_timeout")
    await server.left.wait()


async def test_a_client_is_not_blamed_for_the_server(serve):
    """While a request is worked on, nothing is due: neither its answer nor the head that came after it."""
    server = await serve(limits(head_seconds=SHORT, request_seconds=SHORT))
    server.go.clear()
    asyncio.get_running_loop().call_later(SHORT * 4, server.go.set)
    client = await server.connect(HEAD + b"\r\n" + HEAD)
    assert (await client.reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")
    client.writer.write(b"\r\n")
    assert (await client.reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_response_that_is_not_read_is_given_up(serve, monkeypatch):
    """A client that asks and does not read is cut off, and what it would not read is freed."""
    monkeypatch.setattr(protocol, "SLOWEST_READING", 2**40)
    server = await serve(limits(reading_seconds=SHORT), size=32 * 2**20)
    client = await server.connect(HEAD + b"\r\n")
    client.reader._transport.pause_reading()  # asyncio's reader would read ahead
    await server.began.wait()
    await eventually(lambda: not server.connections, "the connection is gone")


async def test_a_new_connection_takes_the_place_of_the_oldest_that_waits(serve):
    """Half heads fill a process, and whoever comes next is served; requests at work are not disturbed."""
    server = await serve(limits(most=16))
    server.go.clear()
    busy = await server.connect(HEAD + b"\r\n")
    await server.began.wait()
    halves = [await server.connect(HEAD) for _ in range(40)]
    late = await server.connect(HEAD + b"\r\n")
    server.go.set()
    for client in (busy, late):
        assert (await client.reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert len(server.connections) <= 16
    assert await ended(halves[0]) == b""


async def test_a_connection_too_many_is_refused_while_all_are_busy(serve):
    """A request at work never gives way: the new connection gets 503, however many come."""
    server = await serve(limits(most=4))
    server.go.clear()
    busy = [await server.connect(HEAD + b"\r\n") for _ in range(4)]
    await eventually(lambda: sum(not each.gives_way() for each in server.connections) == 4, "all are busy")
    refused = [await server.connect() for _ in range(3)]
    answer = await ended(refused[0])
    assert problem(answer) == (503, "unavailable")
    assert b"\r\nretry-after: 1\r\n" in answer.lower()
    assert len(server.connections) <= 5
    server.go.set()
    for client in busy:
        assert (await client.reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_half_bodies_give_way_to_a_new_connection(serve):
    """Bodies that never come fill a process no more than half heads do: whoever comes next is served."""
    server = await serve(limits(most=16))
    halves = [await server.connect(POST) for _ in range(40)]
    late = await server.connect(HEAD + b"\r\n")
    assert (await late.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    assert await ended(halves[0]) == b""


async def test_unfinished_bodies_hold_a_bounded_number_of_bytes(serve):
    """The oldest of them are cut when they hold too much together, and the newest is served."""
    server = await serve(limits(held_bytes=10_000))
    halves = [await server.connect(POST + b"." * 999) for _ in range(11)]
    assert await ended(halves[0]) == b""
    halves[-1].writer.write(b".")
    assert (await halves[-1].reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    (kind,) = {type(each) for each in server.connections}
    assert kind.held.bytes <= 10_000


async def test_unread_responses_hold_a_bounded_number_of_bytes(serve):
    """The oldest of them is cut when they hold too much together."""
    server = await serve(limits(held_bytes=45_000_000), size=30_000_000)  # the kernel takes some megabytes of each
    clients = []
    for _ in range(2):
        clients.append(await server.connect())
        clients[-1].reader._transport.pause_reading()  # asyncio's reader would read ahead
        clients[-1].writer.write(HEAD + b"\r\n")
        await eventually(lambda: any(each.holds() for each in server.connections), "the response waits for its client")
    await eventually(lambda: len(server.connections) == 1, "the oldest is cut")
