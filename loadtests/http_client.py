"""A lean HTTP/1.1 load client: keep-alive connections, one request in flight on each, requests built beforehand.

It costs a tenth of a full client, so that a run on a small machine measures the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast


class UnexpectedAnswer(Exception):
    """The server answered with another status than expected."""


@dataclass(slots=True)
class Load:
    """The durations of all answers and of the run, in seconds."""

    durations: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.durations) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the percentile `share` (0 to 1) of the durations, in milliseconds."""
        ordered = sorted(self.durations)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def request(method: str, path: str, *, token: str = "", body: bytes = b"") -> bytes:
    """Build a request's bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class HttpConnection(asyncio.Protocol):
    """One connection; `exchange` sends a request and waits for its answer."""

    def __init__(self) -> None:
        """Begin without a transport."""
        self._buffer = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole."""
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or self._answer is None or self._answer.done():
            return
        mark = self._buffer.find(b"content-length: ", 0, head)
        length = int(self._buffer[mark + 16 : self._buffer.index(b"\r\n", mark)]) if mark >= 0 else 0
        if len(self._buffer) >= head + 4 + length:
            answer = bytes(self._buffer)
            self._buffer.clear()
            self._answer.set_result(answer)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Fail what waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))

    async def exchange(self, raw: bytes) -> bytes:
        """Send a request, return the whole answer."""
        if self._transport is None:
            raise ConnectionResetError("not connected")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


async def connect(host: str, port: int) -> HttpConnection:
    """Open a connection."""
    _, protocol = await asyncio.get_running_loop().create_connection(HttpConnection, host, port)
    return protocol


async def saturate(
    *, host: str, port: int, make: Callable[[int], bytes], seconds: float, connections: int, status: int
) -> Load:
    """Keep `connections` busy for `seconds`; `make(n)` builds request number n.

    Raises:
        UnexpectedAnswer: An answer had another status than `status`.
    """
    load = Load()
    started = time.perf_counter()
    deadline = started + seconds
    expected = f"HTTP/1.1 {status}".encode()
    number = 0

    async def work() -> None:
        nonlocal number
        connection = await connect(host, port)
        try:
            while (before := time.perf_counter()) < deadline:
                number += 1
                answer = await connection.exchange(make(number))
                load.durations.append(time.perf_counter() - before)
                if not answer.startswith(expected):
                    raise UnexpectedAnswer(answer[:400].decode(errors="replace"))
        finally:
            connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())
    load.seconds = time.perf_counter() - started
    return load


async def paced(
    *, host: str, port: int, make: Callable[[int], bytes], rate: float, seconds: float, connections: int, status: int
) -> Load:
    """Send `rate` requests a second for `seconds`; `make(n)` builds request number n.

    A duration begins when the request was due: waiting for one of the `connections` counts.

    Raises:
        UnexpectedAnswer: An answer had another status than `status`.
    """
    load, expected = Load(), f"HTTP/1.1 {status}".encode()
    free = asyncio.Queue[HttpConnection]()
    for _ in range(connections):
        free.put_nowait(await connect(host, port))

    async def one(connection: HttpConnection, number: int, due: float) -> None:
        answer = await connection.exchange(make(number))
        load.durations.append(time.perf_counter() - due)
        if not answer.startswith(expected):
            raise UnexpectedAnswer(answer[:400].decode(errors="replace"))
        free.put_nowait(connection)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(await free.get(), number, due))
    load.seconds = time.perf_counter() - started
    while not free.empty():
        free.get_nowait().close()
    return load
