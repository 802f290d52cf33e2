"""A WebSocket client that costs little: one process holds ten thousand of them and still measures."""

from __future__ import annotations

import asyncio
import base64
import os
import random
from collections.abc import Callable, Sequence
from typing import Any, cast

import orjson

from taskbell.contract.frames import ClientFrame, ServerFrame

_PING = f'{{"t":"{ServerFrame.PING}"'.encode()
_MASK = bytes(4)
"""A mask of zeros: who measures needs no disguise."""


def _masked(text: bytes) -> bytes:
    """A short text as a frame of a client."""
    return bytes([0x81, 0x80 | len(text)]) + _MASK + text


_PONG = _masked(orjson.dumps({"t": ClientFrame.PONG}))


class LeanListener(asyncio.Protocol):
    """Collects the texts of unmasked frames in `texts`, and answers pings.

    It calls `done` after it received something, and `lost` when the connection ends.
    """

    def __init__(
        self, request: bytes, done: Callable[[LeanListener], None], lost: Callable[[LeanListener], None]
    ) -> None:
        """Take the request that opens it."""
        self.request, self.done, self.lost = request, done, lost
        self.data, self.texts, self.upgraded = bytearray(), list[bytes](), False
        self.transport: asyncio.Transport | None = None
        self.place = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.request)

    def close(self) -> None:
        """End the connection without a word."""
        if self.transport is not None:
            self.transport.abort()

    def events(self) -> list[dict[str, Any]]:
        """The frames of events, without pings."""
        return [found for found in map(orjson.loads, self.texts) if found["t"] == ServerFrame.EVENT]

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell."""
        self.lost(self)

    def data_received(self, data: bytes) -> None:
        """Collect frames, and tell."""
        self.data += data
        if not self.upgraded:
            head, found, rest = bytes(self.data).partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise ConnectionRefusedError(head.partition(b"\r\n")[0].decode(errors="replace"))
            self.upgraded, self.data = True, bytearray(rest)
        while len(self.data) >= 2:
            size, start = self.data[1], 2
            if size >= 126:
                start = {126: 4, 127: 10}[size]
                size = int.from_bytes(self.data[2:start])
            if len(self.data) < start + size:
                break
            self._take(bytes(self.data[start : start + size]))
            del self.data[: start + size]
        self.done(self)

    def _take(self, text: bytes) -> None:
        self.texts.append(text)
        if text.startswith(_PING) and self.transport is not None:
            self.transport.write(_PONG)


def handshake(token: str, query: str = "") -> bytes:
    """The request of a WebSocket; without a token it signs nobody in."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET /ws{query} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([*lines, "", ""]).encode()


async def dial(
    ports: Sequence[int], requests: Sequence[bytes], enough: Callable[[LeanListener], bool]
) -> list[LeanListener]:
    """Connect once for each request, all at once; who is cut off comes back. Wait until each has enough."""
    loop, left, all_done = asyncio.get_running_loop(), set(range(len(requests))), asyncio.Event()
    clients, dialling = dict[int, LeanListener](), set[asyncio.Task[None]]()

    def done(client: LeanListener) -> None:
        if enough(client):
            left.discard(client.place)
            if not left:
                all_done.set()

    def lost(client: LeanListener) -> None:
        if client.place in left:
            begin(client.place, pause=random.uniform(0.1, 0.5))

    def begin(place: int, *, pause: float = 0.0) -> None:
        task = asyncio.create_task(one(place, pause))
        dialling.add(task)
        task.add_done_callback(dialling.discard)

    async def one(place: int, pause: float) -> None:
        await asyncio.sleep(pause)
        client = LeanListener(requests[place], done, lost)
        client.place, clients[place] = place, client
        await loop.create_connection(lambda: client, "127.0.0.1", ports[place % len(ports)])

    for place in range(len(requests)):
        begin(place)
    await all_done.wait()
    return [clients[place] for place in sorted(clients)]
