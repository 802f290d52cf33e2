"""A connection of an HTTP/2 server (RFC 9113) on asyncio and h2, which also does what servers should not do.

One request is one call of a function, and the reply tells how the stream or the connection ends.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from taskbell.testing.pushsim.wire import Answer, Ending, Handle, Reply, Request

MAX_BODY = 256 * 1024
"""Bytes of a request's body. More than any provider takes, so that each can refuse in its own words."""
_MAX_CONNECTIONS = 2_000
_MAX_HEADERS = 32 * 1024  # bytes


_TOO_LARGE = Reply(Answer(413, b"the request is too large", {"content-type": "text/plain"}))


@dataclass(slots=True)
class _Stream:
    fields: list[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)


class Connection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, handle: Handle, others: set[Connection], *, max_streams: int) -> None:
        """Take what answers, and the set of open connections, which it joins while it is open."""
        self._handle = handle
        self._others = others
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        limits = {SettingCodes.MAX_CONCURRENT_STREAMS: max_streams, SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_HEADERS}
        self._h2.local_settings = Settings(client=False, initial_values=limits)
        self._streams: dict[int, _Stream] = {}
        self._waiting: dict[int, asyncio.TimerHandle | None] = {}
        self._unsent: dict[int, bytes] = {}
        self._last: int | None = None
        self._port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or hang up on a client that did not choose `h2` by ALPN, and on one too many."""
        self._transport = cast("asyncio.Transport", transport)
        tls = transport.get_extra_info("ssl_object")
        if len(self._others) >= _MAX_CONNECTIONS or tls is None or tls.selected_alpn_protocol() != "h2":
            self._transport.abort()
            return
        self._others.add(self)
        self._port = transport.get_extra_info("sockname")[1]
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, _: Exception | None) -> None:
        """Forget its streams."""
        self._others.discard(self)
        for timer in self._waiting.values():
            if timer is not None:
                timer.cancel()
        self._waiting.clear()
        self._streams.clear()
        self._unsent.clear()

    def pause_writing(self) -> None:
        """Read no further requests of a client that does not read its answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take frames, call the function for each request that is complete."""
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._flush()  # it wrote a GOAWAY
            self._transport.close()
            return
        for event in events:
            if self._transport.is_closing():
                return
            self._on(event)
        self._flush()

    @property
    def waiting(self) -> int:
        """How many requests wait for their answer: slow and silent ones."""
        return len(self._waiting)

    def cut(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def go_away(self, *, code: int = 0, last: int | None = None, debug: bytes = b"") -> None:
        """Tell the client that no stream after `last` (by default none after those so far) will be processed."""
        self._last = self._h2.highest_inbound_stream_id if last is None else last
        frame = GoAwayFrame(0, last_stream_id=self._last, error_code=code, additional_data=debug)
        self._flush()
        self._transport.write(frame.serialize())
        self._close_when_done()

    def _on(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            if self._last is None or event.stream_id <= self._last:
                self._streams[event.stream_id] = _Stream(event.headers)
        elif isinstance(event, DataReceived):
            self._collect(event)
        elif isinstance(event, StreamEnded) and event.stream_id in self._streams:
            self._complete(event.stream_id, self._streams.pop(event.stream_id))
        elif isinstance(event, StreamReset):
            self._streams.pop(event.stream_id, None)
            self._done(event.stream_id)
        elif isinstance(event, WindowUpdated):
            for stream_id in [*self._unsent] if not event.stream_id else [event.stream_id]:
                try:
                    self._send_rest(stream_id)
                except ProtocolError:  # the client has reset the stream; its own event comes next
                    self._done(stream_id)
        elif isinstance(event, ConnectionTerminated):
            self._transport.close()

    def _collect(self, event: DataReceived) -> None:
        stream_id = event.stream_id
        if event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.body += event.data or b""
        if len(stream.body) > MAX_BODY:
            del self._streams[stream_id]
            self._finish(stream_id, _TOO_LARGE)

    def _complete(self, stream_id: int, stream: _Stream) -> None:
        reply = self._handle(_request(stream, self._port))
        if reply.ending is Ending.SILENT:
            self._waiting[stream_id] = None
        elif reply.delay:
            loop = asyncio.get_running_loop()
            self._waiting[stream_id] = loop.call_later(reply.delay, self._later, stream_id, reply)
        else:
            self._finish(stream_id, reply)

    def _later(self, stream_id: int, reply: Reply) -> None:
        self._finish(stream_id, reply)
        self._flush()

    def _finish(self, stream_id: int, reply: Reply) -> None:
        if self._transport.is_closing():
            return
        if reply.ending is Ending.CUT:
            self._transport.abort()
        elif reply.ending is Ending.GOAWAY_ERROR:
            self.go_away(code=reply.code, last=max(0, stream_id - 2), debug=reply.debug)
            self._transport.close()
        else:
            try:
                self._answer(stream_id, reply)
            except ProtocolError:  # the client reset the stream, or closed the connection, before the answer
                self._done(stream_id)

    def _answer(self, stream_id: int, reply: Reply) -> None:
        if reply.ending is Ending.RESET:
            self._h2.reset_stream(stream_id, reply.code)
            self._done(stream_id)
            return
        if reply.ending is Ending.GOAWAY:
            self._waiting.setdefault(stream_id, None)
            self.go_away(debug=reply.debug)
        answer = reply.answer
        head = [(":status", str(answer.status)), *answer.headers.items(), ("content-length", str(len(answer.body)))]
        self._h2.send_headers(stream_id, head, end_stream=not answer.body)
        if answer.body:
            self._unsent[stream_id] = answer.body
            self._send_rest(stream_id)
        else:
            self._done(stream_id)

    def _send_rest(self, stream_id: int) -> None:
        rest = self._unsent.get(stream_id)
        while rest:
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._unsent[stream_id] = rest
                return
            part, rest = rest[:room], rest[room:]
            self._h2.send_data(stream_id, part, end_stream=not rest)
            if not rest:
                self._done(stream_id)

    def _done(self, stream_id: int) -> None:
        self._unsent.pop(stream_id, None)
        timer = self._waiting.pop(stream_id, None)
        if timer is not None:
            timer.cancel()
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._last is not None and not (self._streams or self._waiting or self._unsent):
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)


def _request(stream: _Stream, port: int) -> Request:
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in stream.fields:
        known = name.decode("latin-1")
        if known in headers:
            repeated.add(known)
        headers[known] = value.decode("latin-1")
    return Request(
        method=headers.pop(":method", ""),
        path=headers.pop(":path", ""),
        headers=headers,
        repeated=frozenset(repeated),
        body=bytes(stream.body),
        port=port,
    )
