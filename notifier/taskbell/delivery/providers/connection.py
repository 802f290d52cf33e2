"""One HTTP/2 connection as a client (RFC 9113): many requests at a time, each with a bounded answer.

Written on `h2` because the HTTP/2 client of `httpx` costs about 1 ms of CPU for each request, reads up to 16 MiB that
nobody wants, never opens a second connection when streams run out, and fails requests that a server still answers
after GOAWAY. A server may be hostile: what it sends costs bounded bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import Frame, GoAwayFrame

Header = tuple[bytes, bytes]
"""A field of a request. A `NeverIndexedHeaderTuple` of `hpack` stays out of the connection's table of fields."""

MOST_BODY_BYTES: Final = 64 * 1024
"""Most bytes of an answer's body that are read; the rest is cut off."""
_MOST_PER_ANSWER: Final = 2 * MOST_BODY_BYTES
"""Bytes that a server may send for each request, its frames' heads and fields included."""
_MOST_AT_FIRST: Final = 64 * 1024
_MOST_HEAD_BYTES: Final = 16 * 1024
_MOST_STREAMS: Final = 1_000
"""Most requests at a time on one connection, whatever the server allows."""
_PATIENCE: Final = 1.0
_LAST_STREAM: Final = 2**30
"""From this id on a connection takes no new request: ids end at 2^31 (RFC 9113, section 5.1.1)."""


class NoAnswer(Exception):
    """There is no answer, or not a whole one; the server may have taken the request. The text never quotes it."""


class NotHttp2(NoAnswer):
    """The server speaks another protocol, by ALPN (RFC 7301)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The part of an answer that counts.

    Attributes:
        status: HTTP status.
        retry_after: The text of the field `Retry-After`, if there is one.
        body: At most `MOST_BODY_BYTES`.
    """

    status: int
    retry_after: str | None = None
    body: bytes = b""


@dataclass(slots=True, eq=False)
class _Stream:
    done: asyncio.Future[Answer]
    rest: memoryview
    status: int = 0
    retry_after: str | None = None
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False


class _Protocol(h2.connection.H2Connection):
    """`h2` takes nothing more after GOAWAY; RFC 9113, section 6.8, lets a server answer what it has begun."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[h2.events.Event]]:
        found = h2.events.ConnectionTerminated()
        found.last_stream_id = frame.last_stream_id
        return [], [found]


class Connection(asyncio.Protocol):
    """A connection that `asyncio` makes. It is `ready` when the server's settings have come.

    Args:
        freed: Called when a place for a request may have become free, or the connection has ended.
        idle: Seconds without a request after which it is closed.
    """

    def __init__(self, *, freed: Callable[[], None], idle: float) -> None:
        """Take what to call, and how long it is kept."""
        self._loop = asyncio.get_running_loop()
        self._freed = freed
        self._idle = idle
        self._h2 = _Protocol(
            h2.config.H2Configuration(
                header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
            )
        )
        self._transport: asyncio.WriteTransport | None = None
        self._streams: dict[int, _Stream] = {}
        self._allowance = _MOST_AT_FIRST
        self._going = False
        self._paused = False
        self._flushing = False
        self._heard = self._used = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Fails with `NoAnswer`."""
        self.ready.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # perhaps nobody waits
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.ended: NoAnswer | None = None
        """Why it takes no request any more."""

    @property
    def is_open(self) -> bool:
        """Whether it may still take requests, now or later."""
        return self._transport is not None and not self._going

    @property
    def is_free(self) -> bool:
        """Whether it has no request in flight."""
        return not self._streams

    @property
    def has_room(self) -> bool:
        """Whether it takes a request now."""
        most = min(self._h2.remote_settings.max_concurrent_streams, _MOST_STREAMS)
        return self.is_open and not self._paused and self.ready.done() and len(self._streams) < most

    async def post(self, fields: Sequence[Header], body: bytes) -> Answer:
        """Send a request; the caller bounds the time, and has asked `has_room`.

        Args:
            fields: The four pseudo-fields, then fields in lower case.
            body: The content.

        Raises:
            NoAnswer: The connection or the stream ended before the answer.
        """
        number = self._h2.get_next_available_stream_id()
        stream = _Stream(self._loop.create_future(), memoryview(body))
        self._streams[number] = stream
        most = _MOST_AT_FIRST + _MOST_PER_ANSWER * len(self._streams)
        self._allowance = min(self._allowance + _MOST_PER_ANSWER, most)
        self._going |= number >= _LAST_STREAM
        asked = self._used = self._loop.time()
        try:
            self._h2.send_headers(number, fields, end_stream=not body)
            self._push(number, stream)
            self._flush()
            return await stream.done
        except h2.exceptions.ProtocolError as refused:
            raise NoAnswer("the connection takes no request") from refused
        except asyncio.CancelledError:
            if self._heard < asked:  # nothing came since: the connection may be dead, and nobody would tell
                self._end(NoAnswer("the connection is silent"))
            raise
        finally:
            self._forget(number, stream)

    def end(self) -> None:
        """Begin to close it. Requests in flight fail."""
        self._end(NoAnswer("the connection was closed"))

    async def close(self, *, within: float) -> None:
        """End it. Requests in flight fail. After `within` seconds it waits no longer for the server's agreement."""
        transport = self._transport
        self._end(NoAnswer("the connection was closed"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.shield(self.closed)
        if transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: send the preface and the settings."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is not derived from it
        tls = transport.get_extra_info("ssl_object")
        if tls is None or tls.selected_alpn_protocol() != "h2":
            self._end(NotHttp2("the server does not speak HTTP/2"))
            return
        self._h2.local_settings = h2.settings.Settings(
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _MOST_HEAD_BYTES,
            }
        )
        self._h2.initiate_connection()
        self._flush()
        self._timer = self._loop.call_later(self._idle, self._look)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._heard = self._loop.time()
        self._allowance -= len(data)
        if self._allowance < 0:
            self._end(NoAnswer("the server sends too much"))
            return
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except h2.exceptions.ProtocolError:
            self._flush_now()
            self._end(NoAnswer("the answer is not HTTP/2"))
        else:
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is in flight."""
        if not self.closed.done():
            self.closed.set_result(None)
        self._end(NoAnswer("the connection was lost" + (f": {type(exc).__name__}" if exc else "")))

    def pause_writing(self) -> None:
        """The server reads too slowly: take no new request."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has read."""
        self._paused = False
        self._freed()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            if not self.ready.done():
                self.ready.set_result(None)
            self._push_all()
            self._freed()
        elif isinstance(event, h2.events.WindowUpdated):
            self._push_all()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._depart(event.last_stream_id or 0)
        elif (stream := self._streams.get(getattr(event, "stream_id", None) or 0)) is not None:
            self._take_part(event, stream)
        elif isinstance(event, h2.events.DataReceived):  # of a request that was given up
            self._acknowledge(event)

    def _take_part(self, event: h2.events.Event, stream: _Stream) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            for name, value in event.headers or ():
                if name == b":status" and value.isdigit():
                    stream.status = int(value[:3])
                elif name == b"retry-after":
                    stream.retry_after = bytes(value[:64]).decode("ascii", "replace")
        elif isinstance(event, h2.events.DataReceived):
            self._acknowledge(event)
            stream.body += (event.data or b"")[: MOST_BODY_BYTES + 1 - len(stream.body)]
            if len(stream.body) > MOST_BODY_BYTES:
                self._answer(stream)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = not stream.rest
            self._answer(stream)
        elif isinstance(event, h2.events.StreamReset):
            stream.ended = True
            refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
            _fail(stream, "the server refused the stream" if refused else "the server reset the stream")

    def _acknowledge(self, event: h2.events.DataReceived) -> None:
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)

    def _answer(self, stream: _Stream) -> None:
        if not stream.done.done():
            body = bytes(stream.body[:MOST_BODY_BYTES])
            stream.done.set_result(Answer(stream.status, stream.retry_after, body))

    def _depart(self, last: int) -> None:
        """The server takes no further request (RFC 9113, section 6.8), and has not taken those after `last`."""
        self._going = True
        self.ended = NoAnswer("the server closes the connection")
        if not self.ready.done():
            self.ready.set_exception(self.ended)
        for number, stream in self._streams.items():
            if number > last:
                stream.ended = True
                _fail(stream, "the server closes the connection and did not take the request")
        if not self._streams:
            self._end(NoAnswer("the server closes the connection"))
        self._freed()

    def _push_all(self) -> None:
        for number, stream in self._streams.items():
            if stream.rest and not stream.ended:
                with contextlib.suppress(h2.exceptions.StreamClosedError):  # its own event comes next
                    self._push(number, stream)

    def _push(self, number: int, stream: _Stream) -> None:
        """Send as much of a body as the server's windows allow; it goes on when they open."""
        while stream.rest:
            size = min(len(stream.rest), self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if size <= 0:
                return
            part, stream.rest = stream.rest[:size], stream.rest[size:]
            self._h2.send_data(number, bytes(part), end_stream=not stream.rest)

    def _forget(self, number: int, stream: _Stream) -> None:
        self._used = self._loop.time()
        del self._streams[number]
        if self._transport is None:
            return
        if not stream.ended:
            with contextlib.suppress(h2.exceptions.ProtocolError):  # both sides have ended it meanwhile
                self._h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
            self._flush()
        if self._going and not self._streams:
            self._end(NoAnswer("the server closed the connection"))
        self._freed()

    def _flush(self) -> None:
        """Write once for all that this turn of the loop brings."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = False
        if self._transport is not None and (data := self._h2.data_to_send()):
            self._transport.write(data)

    def _look(self) -> None:
        """Close it when it has been idle for long."""
        left = self._used + self._idle - self._loop.time()
        if self._streams or left > 0:
            self._timer = self._loop.call_later(max(left, 1.0), self._look)
        else:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.close_connection()
            self._flush_now()
            self._end(NoAnswer("the connection was idle"))

    def _end(self, reason: NoAnswer) -> None:
        transport, self._transport = self._transport, None
        self._going = True
        self.ended = self.ended or reason
        if self._timer is not None:
            self._timer.cancel()
        if transport is not None:
            transport.close()
            self._loop.call_later(_PATIENCE, transport.abort)  # a server that reads nothing would keep it
        if not self.ready.done():
            self.ready.set_exception(reason)
        for stream in self._streams.values():
            stream.ended = True
            _fail(stream, str(reason))
        self._freed()


def _fail(stream: _Stream, reason: str) -> None:
    if not stream.done.done():
        stream.done.set_exception(NoAnswer(reason))
