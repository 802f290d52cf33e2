"""Accepts connections, turns the timer wheel, drains."""

from __future__ import annotations

import asyncio
import math
import random
import socket as sockets
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from taskbell.gateway import metrics
from taskbell.gateway.http import HttpSide, credential_of
from taskbell.gateway.session import TRY_AGAIN_LATER
from taskbell.gateway.socket import Socket, Surroundings
from taskbell.gateway.wire import GatewayConnection, Handshakes

_log = structlog.get_logger(__name__)

WHEEL_SECONDS = 0.1
"""Resolution of all session times."""
_WAVE_SECONDS = 0.1
_BACKLOG = 4096


class GatewayServer:
    """The WebSocket server with its connections."""

    def __init__(
        self, around: Surroundings, *, http_side: Callable[[GatewayServer], HttpSide], max_connections: int
    ) -> None:
        """Take what connections share. Nothing listens before `start`."""
        self._around = around
        self._http = http_side(self)
        self._max_connections = max_connections
        self._open: set[Socket] = set()
        self._arrived: dict[Socket, None] = {}  # those of them that had not signed in yet, oldest first
        around.unsent.connections = lambda: self._open
        self._server: Server | None = None
        self._draining = False
        self.handshakes = Handshakes()

    def is_full(self) -> bool:
        """Whether one more connection would be too many, because all have signed in: of the others the oldest is cut.

        So nobody without an account keeps clients out.
        """
        while len(self._open) >= self._max_connections and self._arrived:
            oldest = next(iter(self._arrived))
            del self._arrived[oldest]
            if not oldest.is_signed_in:
                metrics.CONNECTIONS_REFUSED.labels(reason="not_signed_in").inc()
                self._open.discard(oldest)
                oldest.cut()
        return len(self._open) >= self._max_connections

    def is_draining(self) -> bool:
        """Whether the gateway is draining."""
        return self._draining

    async def start(self, listening: sockets.socket) -> None:
        """Accept connections on a server socket, and own it from now on."""
        self._server = await serve(
            self._serve,
            process_request=self._answer,
            create_connection=partial(  # type: ignore[arg-type]  # the library only calls it
                GatewayConnection, handshakes=self.handshakes
            ),
            compression=None,
            ping_interval=None,
            open_timeout=10,
            close_timeout=2,
            max_queue=16,
            server_header=None,
            backlog=_BACKLOG,
            sock=listening,
        )

    async def turn_wheel(self) -> None:
        """Role: tick the sessions that are due."""
        loop = asyncio.get_running_loop()
        while True:
            for socket in self._around.wheel.due(loop.time()):
                socket.tick()
            await asyncio.sleep(WHEEL_SECONDS)

    async def drain(self, *, within: float) -> None:
        """Admit nobody, send `goaway`, and close connections in random order, evenly over `within` seconds.

        Until then plain requests are answered, so that the metrics tell how many are left. Then nothing listens, and
        connections that are still open two seconds later are cut.
        """
        self._draining = True
        if self._server is None:
            return
        open_now = list(self._open)
        _log.info("drain_begun", connections=len(open_now), within_s=within)
        random.shuffle(open_now)
        for socket in open_now:
            socket.go_away()
        waves = max(1, math.ceil(within / _WAVE_SECONDS))
        size = math.ceil(len(open_now) / waves)
        for start in range(0, len(open_now), size or 1):
            for socket in open_now[start : start + size]:
                socket.drained()
            await asyncio.sleep(within / waves)
        self._server.close(close_connections=False)
        try:
            async with asyncio.timeout(2):
                await self._server.wait_closed()
        except TimeoutError:
            for connection in list(self._server.all_connections):
                connection.transport.abort()
            await self._server.wait_closed()
        _log.info("drain_ended")

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a plain request. For a handshake, note the place from which its connection gets events."""
        assert isinstance(connection, GatewayConnection)  # noqa: S101 -- what `create_connection` made
        connection.came_at = self._around.hub.place
        return await self._http(connection, request)

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, GatewayConnection)  # noqa: S101 -- what `create_connection` made
        assert connection.request is not None  # noqa: S101 -- the handshake is over
        self.handshakes.ended(connection)
        if self.is_full():  # several handshakes may have passed the first check at once
            metrics.CONNECTIONS_REFUSED.labels(reason="full").inc()
            connection.close_now(TRY_AGAIN_LATER, "the gateway is full")
            return
        socket = Socket(connection, self._around, connection_id=uuid4().hex, handshake=connection.came_at)
        connection.socket = socket
        self._open.add(socket)
        self._arrived[socket] = None
        metrics.CONNECTIONS.inc()
        metrics.STREAMS.inc(connection.is_stream)
        metrics.CONNECTIONS_OPENED.inc()
        try:
            if self._draining:
                socket.go_away()
                socket.drained()
            request = connection.request
            last_id = request.headers.get("Last-Event-ID") if connection.is_stream else None
            await socket.run(credential_of(request), request.path, last_id=last_id)
        finally:
            self._open.discard(socket)
            self._arrived.pop(socket, None)
            metrics.CONNECTIONS.dec()
            metrics.STREAMS.dec(connection.is_stream)
