"""HTTP/1.1 with bounds on heads, on slow clients and on connections, and problem documents for malformed requests."""

from __future__ import annotations

import asyncio
import secrets
from enum import Enum, auto
from typing import ClassVar, cast

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from taskbell.api import metrics
from taskbell.api.http.connections import SLOWEST_READING, ConnectionLimits, Held, Late, oldest
from taskbell.api.http.problem import problem_response
from taskbell.contract.problems import ProblemCode
from taskbell.kit.trace import TraceContext, current

HEAD_BYTES = 64 * 1024
"""The longest head of a request: its target and header fields; trailer fields of a body as well."""
LINGER_SECONDS = 2.0
"""How long a refused client may go on sending. Closing at once would reset the connection, and the client could not
read the answer."""
FAREWELL_SECONDS = 1.0
"""How long idle connections of a server that stops may still bring a request. A client that sends one in the moment in
which its connection is closed cannot know whether it was received."""

_log = structlog.get_logger(__name__)


class HeadTooLarge(Exception):
    """The head of a request is longer than `HEAD_BYTES`."""


class _Stage(Enum):
    """What a connection receives next."""

    REQUEST = auto()
    """A request, when the client likes: the keep-alive timeout of uvicorn ends this."""
    HEAD = auto()
    BODY = auto()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, bounded: in bytes of a head, in time and in connections.

    uvicorn's parser holds a head of any length, in time that grows with the square of it, and waits forever for its
    rest, for the rest of a body, and for a client that does not read.
    """

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    held: ClassVar[Held] = Held()
    _unparsed = 0
    """Bytes since the parser last reported a whole head, a part of a body, or the end of a request."""
    _too_large = False
    _refused = False
    _stops = False
    """Whether the server stops: the next response is the last one."""
    _stage = _Stage.HEAD
    _since = 0.0
    """When the request that is received began, else the last one."""
    _unread_since: float | None = None
    _unread = 0
    _received = 0
    """Bytes of a body whose end is still to come."""
    _watch: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection. If there are too many, others give way, or this one is refused."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
        metrics.CONNECTIONS.inc()
        self._since = self.loop.time()
        self._watch = self.loop.call_later(self.limits.shortest, self._check)
        if len(self.connections) > self.limits.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._watch.cancel()
        self._hold(received=0, unread=0)
        metrics.CONNECTIONS.dec()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrives; at most `HEAD_BYTES` and one read (256 KiB) are held of a head."""
        if self._refused:
            return
        if self._stage is _Stage.REQUEST:
            self._stage, self._since = _Stage.HEAD, self.loop.time()
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > HEAD_BYTES and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Begin a head; without this, one that follows a request in the same read would wait as long as it likes."""
        self._stage = _Stage.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin the request. Raises `HeadTooLarge`, which the parser turns into `send_400_response`."""
        self._unparsed = 0
        self._stage = _Stage.BODY
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES:
            self._too_large = True
            raise HeadTooLarge
        super().on_headers_complete()
        if self._stops:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unparsed = 0
        super().on_body(body)
        self._hold(received=self._received + len(body), unread=self._unread)

    def on_message_complete(self) -> None:
        """End the request."""
        self._unparsed = 0
        if self._received:
            self._hold(received=0, unread=self._unread)
        self._stage = _Stage.REQUEST
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        self._unread_since = self.loop.time()
        super().pause_writing()
        self._hold(received=self._received, unread=self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has read."""
        self._unread_since = None
        self._hold(received=self._received, unread=0)
        super().resume_writing()

    def shutdown(self) -> None:
        """End after the response that is under way, or after one that is asked for within `FAREWELL_SECONDS`."""
        self._stops = True
        if self._is_busy():
            super().shutdown()
        else:
            self.loop.call_later(FAREWELL_SECONDS, self._part)

    def _part(self) -> None:
        if not self._is_busy():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        code = ProblemCode.HEADERS_TOO_LARGE if self._too_large else ProblemCode.INVALID_REQUEST
        detail = f"The target and headers are longer than {HEAD_BYTES} bytes." if self._too_large else msg
        request_id = self._refuse(code, detail)
        if request_id:
            _log.warning("request_not_parsed", status=code.value.status, request_id=request_id)

    def gives_way(self) -> bool:
        """Whether this connection waits for its client: for a request, the rest of one, or until it reads."""
        return not self._is_busy() or self._owes_body() or self._unread_since is not None

    def rank(self) -> tuple[bool, float]:
        """Smallest for the connection that gives way first."""
        return self._newest() is not None and not self._refused, self._since

    def _newest(self) -> RequestResponseCycle | None:
        return cast("RequestResponseCycle | None", self.cycle)

    def _is_busy(self) -> bool:
        newest = self._newest()
        return newest is not None and not newest.response_complete

    def _owes_body(self) -> bool:
        return self._stage is _Stage.BODY and not self.flow.read_paused

    def _hold(self, *, received: int, unread: int) -> None:
        """Count what is held for this client. If all together hold too much, the oldest of them are cut."""
        self.held.bytes += received + unread - self._received - self._unread
        self._received, self._unread = received, unread
        if received + unread == 0 or self.held.bytes <= self.limits.held_bytes:
            return
        holding = [each for each in self._siblings() if each.gives_way() and each.holds()]
        for each in sorted(holding, key=lambda each: each.rank()):
            metrics.CONNECTIONS_CUT.labels(reason="memory").inc()
            each.give_up()
            if self.held.bytes <= self.limits.held_bytes:
                return

    def holds(self) -> bool:
        """Whether something is held for the client."""
        return self._received + self._unread > 0

    def give_up(self) -> None:
        """Cut the connection, and hold nothing more for it."""
        self._hold(received=0, unread=0)
        self.connections.discard(self)
        self.transport.abort()

    def _make_room(self) -> None:
        others = oldest((each for each in self._siblings() if each is not self), most=self.limits.most)
        for each in others:
            metrics.CONNECTIONS_CUT.labels(reason="full").inc()
            each.give_up()
        if not others:
            metrics.CONNECTIONS_CUT.labels(reason="refused").inc()
            self._refuse(ProblemCode.UNAVAILABLE, "All connections of this process are busy.", retry_after=1)

    def _siblings(self) -> list[BoundedProtocol]:
        return [each for each in self.connections if isinstance(each, BoundedProtocol)]

    def _check(self) -> None:
        """Cut the connection of a client that is late, and look again when it may be."""
        if self._refused or self.transport.is_closing():  # which takes forever if the client reads nothing more
            self._watch = self.loop.call_later(self.limits.reading_seconds, self.transport.abort)
            return
        now = self.loop.time()
        late, at = self._next_deadline(now)
        if late is not None and at <= now:
            self._cut(late)
            at = now + LINGER_SECONDS
        self._watch = self.loop.call_at(min(at, now + self.limits.shortest), self._check)

    def _next_deadline(self, now: float) -> tuple[Late | None, float]:
        """What the client owes, and until when; None while it owes nothing."""
        limits = self.limits
        if self._unread_since is not None:
            return Late.READING, self._unread_since + limits.reading_seconds + self._unread / SLOWEST_READING
        if self._stage is _Stage.HEAD and not self._is_busy():
            return Late.HEAD, self._since + limits.head_seconds
        if self._owes_body():
            return Late.BODY, self._since + limits.request_seconds
        if self._stage is not _Stage.REQUEST:
            self._since = now  # the client waits for us: for the request before, or until its body is read
        return None, now + limits.shortest

    def _cut(self, late: Late) -> None:
        metrics.CONNECTIONS_CUT.labels(reason=late.value).inc()
        if late is Late.READING:
            self.transport.abort()
        elif late is Late.HEAD and (self._unparsed or self._newest() is not None):
            self._refuse(ProblemCode.REQUEST_TIMEOUT, "The head of the request did not arrive in time.")
        elif late is Late.BODY and self._is_busy():
            self._refuse(ProblemCode.REQUEST_TIMEOUT, "The body of the request did not arrive in time.")
        else:
            self.transport.close()

    def _refuse(self, code: ProblemCode, detail: str, *, retry_after: int | None = None) -> str:
        """Answer with a problem document, unless an answer is on its way already, and let the connection end.

        Returns its request id; an empty one if nothing was answered.
        """
        if self._refused:
            return ""
        self._refused = True
        cycle = self._newest()
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # so that the application ends, and answers nothing after this
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return ""
        identity = TraceContext(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8), sampled=False)
        token = current.set(identity)
        headers = {"Connection": "close"} | ({"Retry-After": str(retry_after)} if retry_after else {})
        try:
            answer = problem_response(code, detail=detail, instance="", headers=headers)
        finally:
            current.reset(token)
        fields = [*answer.raw_headers, (b"x-request-id", identity.trace_id.encode())]
        lines = b"".join(b"%s: %s\r\n" % field for field in fields)
        self.transport.write(STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
        return identity.trace_id


def bounded_by(limits: ConnectionLimits) -> type[BoundedProtocol]:
    """The protocol with these limits; uvicorn makes its instances."""
    return type("LimitedProtocol", (BoundedProtocol,), {"limits": limits, "held": Held()})
