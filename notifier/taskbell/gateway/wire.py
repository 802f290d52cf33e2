"""`websockets` as the gateway needs it: finished frames, back-pressure without waiting, our close codes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.frames import CloseCode as StandardCode
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CLOSED, CLOSING, CONNECTING, OPEN, Event
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from taskbell.contract.cursors import EventCursor
from taskbell.contract.frames import MAX_CLIENT_FRAME_BYTES, SUBPROTOCOL, CloseCode
from taskbell.gateway import frames, metrics
from taskbell.gateway.formats import EventStreamFormat, Format, WebSocketFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbell.gateway.socket import Socket

CLOSE_SECONDS = 5.0
"""How long a peer has to answer a close frame before its connection is cut."""
HEAD_BYTES = 16 * 1024
"""The longest head of a handshake."""
MOST_HANDSHAKES = 4_096
"""Connections at a time that are no WebSockets (yet). Each has 10 s for its head, and 2 s to go after an answer."""
_WEB_SOCKET = WebSocketFormat()
_WRITE_BUFFER_BYTES = 64 * 1024
_MAX_UNREAD_BYTES = 256 * 1024
"""Bytes beyond the write buffer for a client that does not read. Events and replays wait, so these are replies and
pongs."""


def negotiate(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose our subprotocol if the client offers it; a client may offer none."""
    ours = Subprotocol(SUBPROTOCOL)
    return ours if ours in offered else None


class EventStream(Response):
    """Returned by `process_request`: the connection becomes a stream of server-sent events, and is handled as one."""

    def __init__(self) -> None:
        """Begin without a head: `EventStreamFormat` writes it, once the outcome is known."""
        super().__init__(HTTPStatus.OK.value, HTTPStatus.OK.phrase, Headers(), b"")


class GatewayProtocol(ServerProtocol):
    """Closes with an `error` frame and `BAD_FRAME` where the library would use its own code."""

    is_stream = False
    """Whether the connection is a response of server-sent events, and no WebSocket."""

    def send_response(self, response: Response) -> None:
        """Send the answer to a handshake. An `EventStream` begins instead, with nothing written yet."""
        if not isinstance(response, EventStream):
            super().send_response(response)
            return
        if self.eof_sent:  # what came behind the request was parsed as frames before the answer was known
            return
        self.is_stream = True
        self.state = OPEN
        self.parser = self._drop()
        next(self.parser)

    def send_close(self, code: int | None = None, reason: str = "") -> None:
        """Begin the end: a WebSocket by a close frame, a stream by the end of its body."""
        if not self.is_stream:
            super().send_close(code, reason)
        elif self.state is OPEN:
            self.state = CLOSING
            self.send_eof()

    def _drop(self) -> Generator[None, None, None]:
        """Take the place of the parser: whatever the client of a stream sends is dropped."""
        while not (yield from self.reader.at_eof()):
            self.reader.discard()
        if not self.eof_sent:
            self.send_eof()
        self.state = CLOSED
        yield

    def fail(self, code: StandardCode | int, reason: str = "") -> None:
        """Fail the connection (RFC 6455, section 7.1.7)."""
        if code in {StandardCode.MESSAGE_TOO_BIG, StandardCode.INVALID_DATA, StandardCode.PROTOCOL_ERROR}:
            message = (
                f"a frame has at most {MAX_CLIENT_FRAME_BYTES} bytes"
                if code == StandardCode.MESSAGE_TOO_BIG
                else "not a text frame of this protocol"
            )
            if self.state is OPEN:
                self.writes.append(frames.text_frame(frames.error("bad_frame", message)))
            code, reason = CloseCode.BAD_FRAME, message
        super().fail(code, reason)


class Handshakes:
    """The connections that are no WebSockets yet, or never will be, oldest first: at most `most`."""

    def __init__(self, *, most: int = MOST_HANDSHAKES) -> None:
        """Begin without connections."""
        self.most = most
        self._open: dict[GatewayConnection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def began(self, connection: GatewayConnection) -> None:
        """Count a new connection. If there are too many, the oldest is cut."""
        self._open[connection] = None
        if len(self._open) > self.most:
            oldest = next(iter(self._open))
            self.ended(oldest)
            metrics.CONNECTIONS_REFUSED.labels(reason="handshakes").inc()
            oldest.transport.abort()

    def ended(self, connection: GatewayConnection) -> None:
        """It has become a WebSocket, or is gone."""
        self._open.pop(connection, None)


class GatewayConnection(ServerConnection):
    """A connection that takes finished frames, and tells its `Socket` about back-pressure and signs of life."""

    def __init__(self, protocol: ServerProtocol, server: Any, *, handshakes: Handshakes, **options: Any) -> None:
        """Replace the library's protocol by ours; called by `websockets.asyncio.server.serve`."""
        ours = GatewayProtocol(select_subprotocol=negotiate, max_size=MAX_CLIENT_FRAME_BYTES, logger=protocol.logger)
        options["write_limit"] = _WRITE_BUFFER_BYTES
        super().__init__(ours, server, **options)
        self.socket: Socket | None = None
        self.format: Format = _WEB_SOCKET
        self.came_at = EventCursor(0, 0)
        """The hub's place before the answer to the handshake."""
        self.unread = 0
        """Bytes of replies that wait behind a full write buffer."""
        self._room: asyncio.Future[None] | None = None
        self._is_cut = False
        self._handshakes = handshakes
        self._head = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        super().connection_made(transport)
        self._handshakes.began(self)

    def data_received(self, data: bytes) -> None:
        """Take what arrives. The head of a handshake, and all that a stream's client sends, has a limit."""
        if self.protocol.state is CONNECTING or self.is_stream:
            self._head += len(data)
            if self._head > HEAD_BYTES:
                metrics.CONNECTIONS_REFUSED.labels(reason="head").inc()
                self.transport.abort()
                return
        super().data_received(data)

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of server-sent events."""
        return isinstance(self.protocol, GatewayProtocol) and self.protocol.is_stream

    def begin_stream(self, format_: EventStreamFormat, *, patience: float) -> EventStream:
        """Return what makes the connection a stream. A client that takes no bytes for `patience` seconds is gone."""
        self.format = format_
        own = self.transport.get_extra_info("socket")
        if own is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # nobody answers pings: TCP tells (RFC 5482)
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))
        return EventStream()

    def write_frames(self, encoded: bytes) -> None:
        """Write finished frames without waiting, unless the connection is closing."""
        if encoded and self.protocol.state is OPEN:
            self._count_unread(len(encoded))
            self.transport.write(encoded)

    async def writable(self) -> bool:
        """Wait until the transport takes more; return False if the connection is closing."""
        while self.paused and self.protocol.state is OPEN:
            if self._room is None:
                self._room = self.loop.create_future()
            await asyncio.shield(self._room)
        return self.protocol.state is OPEN

    def close_now(self, code: int, reason: str) -> None:
        """Send a close frame without waiting, and cut the connection if its answer does not come in time."""
        if self.protocol.state is not OPEN:
            return
        if isinstance(self.format, EventStreamFormat):
            self.transport.write(self.format.end(code, reason))
        self.protocol.send_close(code, reason)
        self.send_data()
        self._make_room()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def process_event(self, event: Event) -> None:
        """Take a frame. Whole messages are counted when they are read, all other frames here."""
        super().process_event(event)
        if not isinstance(event, Frame) or self.socket is None:
            return
        if event.opcode is Opcode.PING:
            self._count_unread(len(event.data))  # the library has answered already
        if event.opcode in {Opcode.PING, Opcode.PONG} or not event.fin:
            self.socket.wire_frame()

    def pause_writing(self) -> None:
        """The write buffer is full."""
        super().pause_writing()
        if self.socket is not None:
            self.socket.transport_full()

    def resume_writing(self) -> None:
        """The write buffer has room."""
        super().resume_writing()
        self._forget_unread()
        self._make_room()
        if self.socket is not None:
            self.socket.transport_ready()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._handshakes.ended(self)
        super().connection_lost(exc)
        self._forget_unread()
        self._make_room()

    def _count_unread(self, size: int) -> None:
        """Cut the connection of a client that sends requests and does not read the answers."""
        if not self.paused or self._is_cut:
            return
        self.unread += size
        if self.socket is not None:
            self.socket.replies_wait(size)
        if self.unread > _MAX_UNREAD_BYTES:
            self.cut()

    def cut(self) -> None:
        """End the connection without a close frame, which its client would not read."""
        if not self._is_cut:
            self._is_cut = True
            self._forget_unread()
            metrics.CLOSES.labels(code=str(int(StandardCode.ABNORMAL_CLOSURE))).inc()
            self.transport.abort()

    def _forget_unread(self) -> None:
        if self.unread and self.socket is not None:
            self.socket.replies_wait(-self.unread)
        self.unread = 0

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)
