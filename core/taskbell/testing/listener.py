"""A WebSocket client of the gateway for tests: signs in, collects, answers pings, comes back with its cursor."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from taskbell.contract.frames import SUBPROTOCOL, ClientFrame, ServerFrame


class NothingCame(AssertionError):
    """What a test waited for did not come before its deadline."""


class ListenerClosed(AssertionError):
    """The connection was closed while a test waited on it."""


@dataclass(frozen=True, slots=True)
class Received:
    """One event with the cursor it came under, and the frame's text as it was."""

    cursor: str
    event: dict[str, Any]
    text: str


class Listener:
    """One user's client over any number of connections.

    Attributes:
        cursor: Where it stands, to be brought at the next connect; None until the first welcome.
        events: All events of all connections, in the order of their arrival.
        frames: All other frames of the present connection, pings left out.
        welcome: The present connection's welcome.
        close_code: How the last connection was closed, or None.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        channels: Sequence[str] = (),
        cursor: str | None = None,
        answer_pings: bool = True,
    ) -> None:
        """`url` is the gateway's `ws://.../ws`; nothing is opened before `connect`."""
        self.url = url
        self.token = token
        self.channels = list(channels)
        self.cursor = cursor
        self.events: list[Received] = []
        self.frames: list[dict[str, Any]] = []
        self.pings = 0
        self.welcome: dict[str, Any] = {}
        self.close_code: int | None = None
        self.close_reason = ""
        self._answer_pings = answer_pings
        self._connection: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._gate = asyncio.Event()
        self._gate.set()
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Connect with the defaults."""
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def connect(self, *, ticket: str | None = None, first_frame: bool = False) -> dict[str, Any]:
        """Open a connection, sign in, say hello with the cursor and channels; return the welcome.

        Signs in by ticket in the address, by the first frame, or by header.

        Raises:
            NothingCame: No welcome came.
            ListenerClosed: The gateway closed instead.
        """
        await self.open(ticket=ticket, with_header=not first_frame and ticket is None)
        hello: dict[str, Any] = {"t": ClientFrame.HELLO}
        if first_frame:
            hello["token"] = self.token
        if self.cursor is not None:
            hello["resume"] = self.cursor
        if self.channels:
            hello["channels"] = self.channels
        await self.send(hello)
        await self.until(lambda: bool(self.welcome), "a welcome")
        return self.welcome

    async def open(self, *, ticket: str | None = None, with_header: bool = True, **options: Any) -> None:
        """Open a connection and say nothing."""
        address = self.url if ticket is None else f"{self.url}?ticket={ticket}"
        headers = {"Authorization": f"Bearer {self.token}"} if with_header and ticket is None and self.token else {}
        headers |= options.pop("additional_headers", {})
        self.frames, self.welcome, self.close_code, self.close_reason = [], {}, None, ""
        self._connection = await connect(
            address,
            additional_headers=headers,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            ping_interval=None,
            proxy=None,
            close_timeout=2,
            max_size=2**24,
            **options,
        )
        self._reading = asyncio.create_task(self._read(self._connection), name="listener")

    async def send(self, frame: dict[str, Any] | str | bytes) -> None:
        """Send a frame; a text or bytes go as they are.

        Raises:
            ListenerClosed: The connection is closed.
        """
        assert self._connection is not None  # noqa: S101 -- a mistake in the test
        try:
            await self._connection.send(orjson.dumps(frame).decode() if isinstance(frame, dict) else frame)
        except ConnectionClosed as closed:
            raise ListenerClosed(str(closed)) from None

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Send a frame with an id and return its reply."""
        request_id = f"r{len(self.frames)}-{len(self.events)}"
        await self.send({**frame, "id": request_id})
        await self.until(lambda: self._reply(request_id) is not None, f"a reply to {frame}")
        reply = self._reply(request_id)
        assert reply is not None  # noqa: S101 -- just waited for
        return reply

    async def until(self, come: Callable[[], bool], what: str, *, within: float = 10.0) -> None:
        """Wait until a condition on what was collected holds.

        Raises:
            NothingCame: It does not hold in time (seconds).
            ListenerClosed: The connection ended first.
        """
        try:
            async with asyncio.timeout(within):
                while not come():
                    if self._reading is None or self._reading.done():
                        raise ListenerClosed(f"closed with {self.close_code} {self.close_reason!r} before {what}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise NothingCame(f"{what} within {within:g} s; {len(self.events)} events, {self.frames[-3:]}") from None

    async def until_events(self, number: int, *, within: float = 10.0) -> list[Received]:
        """Wait for so many events in all; return all."""
        await self.until(lambda: len(self.events) >= number, f"{number} events", within=within)
        return self.events

    async def until_closed(self, *, within: float = 10.0) -> int | None:
        """Wait for the end of the connection; return the close code."""
        assert self._reading is not None  # noqa: S101 -- a mistake in the test
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(self._reading)
        except TimeoutError:
            raise NothingCame(f"the close within {within:g} s") from None
        return self.close_code

    def stop_reading(self) -> None:
        """Read nothing more: soon the gateway cannot write any more."""
        self._gate.clear()

    def read_on(self) -> None:
        """Read again."""
        self._gate.set()

    async def kill(self) -> None:
        """Cut the connection without a goodbye."""
        if self._connection is not None:
            self._connection.transport.abort()
        await self._ended()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        self.read_on()
        if self._connection is not None:
            await self._connection.close()
        await self._ended()

    async def _ended(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        self._connection = self._reading = None

    def _reply(self, request_id: str) -> dict[str, Any] | None:
        found = (frame for frame in self.frames if frame["t"] == ServerFrame.REPLY and frame.get("id") == request_id)
        return next(found, None)

    async def _read(self, connection: ClientConnection) -> None:
        try:
            while True:
                await self._gate.wait()
                text = await connection.recv(decode=True)
                await self._gate.wait()
                await self._take(connection, text)
        except ConnectionClosed:
            self.close_code = connection.close_code
            self.close_reason = connection.close_reason or ""
        finally:
            self._news.set()

    async def _take(self, connection: ClientConnection, text: str) -> None:
        frame = orjson.loads(text)
        match frame["t"]:
            case ServerFrame.EVENT:
                self.cursor = frame["cursor"]
                self.events.append(Received(frame["cursor"], frame["event"], text))
            case ServerFrame.PING:
                self.pings += 1
                self.cursor = frame.get("cursor", self.cursor)
                if self._answer_pings:
                    await connection.send('{"t":"pong"}')
            case ServerFrame.WELCOME:
                self.welcome = frame
                self.cursor = frame["cursor"]
            case _:
                self.cursor = frame.get("cursor", self.cursor)
                self.frames.append(frame)
        self._news.set()
