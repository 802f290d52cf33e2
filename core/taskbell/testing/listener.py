"""A client of the gateway for tests: collects what comes, waits for it, stops reading, breaks off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from websockets.exceptions import ConnectionClosed

from taskbell.client.connection import Connection, Frame
from taskbell.contract.frames import ServerFrame
from taskbell.testing.waiting import DEADLINE, NotInTime


class ListenerClosed(AssertionError):
    """The connection was closed while a test waited for something on it."""


@dataclass(frozen=True, slots=True)
class Received:
    """One event with its cursor, and the text of its frame."""

    cursor: str
    event: dict[str, Any]
    text: str


class Collector:
    """What came over one connection after another.

    Attributes:
        events: All events, in the order of their arrival.
        frames: Other frames, except `welcome` and `ping`.
        welcome: The newest `welcome`, or an empty dictionary.
        pings: How many pings came.
        cursor: The newest cursor of any frame; None before the first.
    """

    def __init__(self, *, cursor: str | None = None) -> None:
        """Begin with nothing, or where an earlier client stopped."""
        self.cursor = cursor
        self.events: list[Received] = []
        self.frames: list[dict[str, Any]] = []
        self.welcome: dict[str, Any] = {}
        self.pings = 0
        self._news = asyncio.Event()

    async def until(self, come: Callable[[], bool], what: str, *, within: float = DEADLINE) -> None:
        """Wait until a condition on what was collected holds.

        Raises:
            NotInTime: It does not hold within this many seconds.
            ListenerClosed: The connection of a `Listener` ended first.
        """
        try:
            async with asyncio.timeout(within):
                while not come():
                    self._check_open(what)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise NotInTime(f"{what} within {within:g} s; {len(self.events)} events, {self.frames[-3:]}") from None

    async def until_events(self, number: int, *, within: float = DEADLINE) -> list[Received]:
        """Wait until this many events have come in all; return all."""
        await self.until(lambda: len(self.events) >= number, f"{number} events", within=within)
        return self.events

    def _check_open(self, what: str) -> None:
        """Raise `ListenerClosed` if nothing more can come."""

    def _take(self, frame: Frame) -> None:
        self.cursor = frame.fields.get("cursor", self.cursor)
        match frame.kind:
            case ServerFrame.EVENT:
                self.events.append(Received(frame.fields["cursor"], frame.fields["event"], frame.text))
            case ServerFrame.PING:
                self.pings += 1
            case ServerFrame.WELCOME:
                self.welcome = frame.fields
            case _:
                self.frames.append(frame.fields)
        self._news.set()


class Listener(Collector):
    """One user's client. Every `connect` brings the cursor of the connection before; `frames` are the last one's.

    Attributes:
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
        super().__init__(cursor=cursor)
        self.url = url
        self.token = token
        self.channels = list(channels)
        self.close_code: int | None = None
        self._answer_pings = answer_pings
        self._connection: Connection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._gate = asyncio.Event()
        self._gate.set()

    async def __aenter__(self) -> Self:
        """Connect with the defaults."""
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def connect(self, *, ticket: str = "", first_frame: bool = False) -> dict[str, Any]:
        """Open a connection, sign in by ticket, first frame or header, say hello; return the welcome.

        Raises:
            NotInTime: No welcome came.
            ListenerClosed: The gateway closed the connection instead.
        """
        await self.open(ticket=ticket, with_header=not first_frame)
        assert self._connection is not None  # noqa: S101 -- just opened
        await self._connection.hello(token=self.token if first_frame else "", channels=self.channels)
        await self.until(lambda: bool(self.welcome), "a welcome")
        return self.welcome

    async def open(self, *, ticket: str = "", with_header: bool = True, **options: Any) -> None:
        """Open a connection and send nothing."""
        self.frames, self.welcome, self.close_code = [], {}, None
        self._connection = await Connection.open(
            self.url,
            bearer=self.token if with_header and not ticket else "",
            ticket=ticket,
            cursor=self.cursor,
            answer_pings=self._answer_pings,
            ping_interval=None,
            proxy=None,
            **options,
        )
        self._reading = asyncio.create_task(self._read(self._connection), name="listener")

    async def send(self, frame: dict[str, Any] | str | bytes) -> None:
        """Send a frame; text and bytes go as they are.

        Raises:
            ListenerClosed: The connection is closed.
        """
        assert self._connection is not None  # noqa: S101 -- a mistake in the test
        try:
            await self._connection.send(frame)
        except ConnectionClosed as closed:
            raise ListenerClosed(str(closed)) from None

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Send a frame with an id and return its reply."""
        request_id = f"r{len(self.frames)}-{len(self.events)}"
        await self.send({**frame, "id": request_id})

        def replies() -> list[dict[str, Any]]:
            return [one for one in self.frames if one["t"] == ServerFrame.REPLY and one.get("id") == request_id]

        await self.until(lambda: bool(replies()), f"a reply to {frame}")
        return replies()[0]

    async def until_closed(self, *, within: float = DEADLINE) -> int | None:
        """Wait for the end of the connection; return the close code."""
        assert self._reading is not None  # noqa: S101 -- a mistake in the test
        done, _ = await asyncio.wait([self._reading], timeout=within)
        if not done:
            raise NotInTime(f"the close within {within:g} s")
        return self.close_code

    async def until_closed_or_events(self, number: int, *, within: float = DEADLINE) -> int | None:
        """Wait until this many events have come in all, or the connection ends; return the close code, if it did."""
        with contextlib.suppress(ListenerClosed):
            await self.until_events(number, within=within)
            return None
        return await self.until_closed(within=within)

    def stop_reading(self) -> None:
        """Read nothing more: soon the gateway cannot write any more."""
        self._gate.clear()

    def read_on(self) -> None:
        """Read again."""
        self._gate.set()

    async def kill(self) -> None:
        """Cut the connection without a closing handshake."""
        if self._connection is not None:
            self._connection.abort()
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

    def _check_open(self, what: str) -> None:
        if self._reading is None or self._reading.done():
            raise ListenerClosed(f"closed with {self.close_code} before {what}")

    async def _read(self, connection: Connection) -> None:
        try:
            async for frame in connection:
                await self._gate.wait()
                self._take(frame)
            self.close_code = connection.close_code
        finally:
            self._news.set()
