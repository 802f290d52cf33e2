"""One WebSocket connection to the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from taskbell.contract.frames import SUBPROTOCOL, ClientFrame, ServerFrame

_MAX_FRAME_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame from the gateway: its JSON text, and the fields in it."""

    text: str
    fields: dict[str, Any]

    @property
    def kind(self) -> str:
        """One of `ServerFrame`, or a newer type that a client may ignore."""
        return str(self.fields["t"])


class Connection:
    """An open connection. Iterate over it to receive frames until it is closed; pings are answered on the way.

    Attributes:
        socket: The library's connection below.
        cursor: Where the client stands. It moves past a frame when the next one is asked for, so that a client that
            fails in the middle of an event receives the event again.
    """

    def __init__(self, socket: ClientConnection, *, cursor: str | None = None, answer_pings: bool = True) -> None:
        """Take an open WebSocket; `open` makes one."""
        self.cursor = cursor
        self.socket = socket
        self._answer_pings = answer_pings

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        bearer: str = "",
        ticket: str = "",
        cursor: str | None = None,
        answer_pings: bool = True,
        **options: Any,
    ) -> Self:
        """Connect and send nothing yet.

        Args:
            url: The gateway's `ws://.../ws`.
            bearer: An access token to sign in with by header.
            ticket: A one-time ticket to sign in with by address.
            cursor: The last cursor of an earlier connection.
            answer_pings: False makes the gateway close the connection as dead.
            options: Further arguments of `websockets.asyncio.client.connect`.

        Raises:
            OSError: The gateway cannot be reached.
            TimeoutError: It does not answer the handshake.
            websockets.exceptions.InvalidHandshake: It refuses the connection.
        """
        headers = dict(options.pop("additional_headers", {}))
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        socket = await connect(
            f"{url}?ticket={ticket}" if ticket else url,
            additional_headers=headers,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            close_timeout=2,
            max_size=_MAX_FRAME_BYTES,
            **options,
        )
        return cls(socket, cursor=cursor, answer_pings=answer_pings)

    async def hello(self, *, token: str = "", channels: Sequence[str] = (), coalesce: bool = True) -> None:
        """Send the first frame: the cursor, the wanted channels, and an access token if nothing else signed in.

        Without `coalesce` every event comes, or the connection ends: for a client that keeps a record, not a view.

        A closed connection is no error here: iterating over it ends at once, and `close_code` tells why.
        """
        hello: dict[str, Any] = {"t": ClientFrame.HELLO, "channels": list(channels)}
        if token:
            hello["token"] = token
        if not coalesce:
            hello["coalesce"] = False
        if self.cursor is not None:
            hello["resume"] = self.cursor
        try:
            await self.send(hello)
        except ConnectionClosed:
            return

    async def send(self, frame: dict[str, Any] | str | bytes) -> None:
        """Send a frame; text and bytes go as they are.

        Raises:
            websockets.exceptions.ConnectionClosed: The connection is closed.
        """
        await self.socket.send(orjson.dumps(frame).decode() if isinstance(frame, dict) else frame)

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """Yield frames until the connection is closed."""
        while True:
            try:
                text = await self.socket.recv(decode=True)
                frame = Frame(text, orjson.loads(text))
                if frame.kind == ServerFrame.PING and self._answer_pings:
                    await self.send({"t": ClientFrame.PONG})
            except ConnectionClosed:
                return
            yield frame
            self.cursor = frame.fields.get("cursor", self.cursor)

    @property
    def close_code(self) -> int | None:
        """The code that the connection was closed with; 1006 if it was cut, None while it is open."""
        return self.socket.close_code

    @property
    def close_reason(self) -> str:
        """The text after the code."""
        return self.socket.close_reason or ""

    async def close(self) -> None:
        """Close in order; closing twice is fine."""
        await self.socket.close()

    def abort(self) -> None:
        """Cut the connection without a closing handshake."""
        self.socket.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
