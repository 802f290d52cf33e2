"""Connections that never become WebSockets: they are bounded in number and in bytes, and keep nobody out."""

import asyncio
import contextlib

import pytest

from taskbell.gateway import wire
from taskbell.testing.waiting import eventually

HALF = b"GET /ws HTTP/1.1\r\nHost: x\r\n"
WHOLE = (
    HALF + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.fixture
async def half_open():
    """Opens connections to a gateway that send some bytes, and leaves them as they are."""
    writers = []

    async def connect(running, sent=HALF):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writers.append(writer)
        writer.write(sent)
        return reader

    yield connect
    for writer in writers:
        writer.close()


async def test_half_a_handshake_gives_way_to_a_new_connection(run_gateway, people, listener, half_open):
    """However many begin a handshake and do not go on, the next client connects; the oldest of them is cut."""
    user = await people.user()
    async with run_gateway() as running:
        running.server.handshakes.most = 8
        halves = [await half_open(running) for _ in range(20)]
        async with listener(running, user) as one:
            await one.connect()
            assert len(running.server.handshakes) <= 8
            with contextlib.suppress(ConnectionResetError):
                assert await halves[0].read() == b""
        await half_open(running, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        for each in list(running.server.handshakes._open):
            each.transport.abort()
        await eventually(lambda: not running.server.handshakes, "nothing that is over is counted")


async def test_a_long_head_of_a_handshake_is_cut_off(run_gateway, half_open):
    """The library would hold 1 MiB for each connection."""
    async with run_gateway() as running:
        reader = await half_open(running, HALF + b"X: 1234567890\r\n" * (wire.HEAD_BYTES // 15 + 1))
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        await eventually(lambda: not running.server.handshakes, "it is gone")


async def test_who_does_not_sign_in_keeps_nobody_out(run_gateway, people, listener, half_open):
    """As many WebSockets as a gateway holds, none signed in: the next clients connect, and the oldest are cut."""
    user = await people.user()
    async with run_gateway(gateway_max_connections=2) as running:
        idle = [await half_open(running, WHOLE) for _ in range(2)]
        for reader in idle:
            assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        async with listener(running, user) as one, listener(running, user) as other:
            await one.connect()
            await other.connect()
            assert running.server.is_full()
        for reader in idle:
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
