"""The HTTP/2 server: listens, and holds the open connections."""

from __future__ import annotations

import asyncio
import socket
import ssl

from taskbell.testing.pushsim.http2 import Connection
from taskbell.testing.pushsim.wire import Handle


class Http2Server:
    """Listens on one or more ports; all their requests go to one function."""

    def __init__(self, handle: Handle, *, tls: ssl.SSLContext, max_streams: int = 250) -> None:
        """Take what answers. `max_streams` is what a client may have open on one connection."""
        self._handle = handle
        self._tls = tls
        self._max_streams = max_streams
        self._servers: list[asyncio.Server] = []
        self.connections: set[Connection] = set()
        """Those that are open."""

    async def listen(self, host: str, port: int) -> int:
        """Listen; return the port, which is a free one for 0."""
        return self._began(
            await asyncio.get_running_loop().create_server(self._connection, host, port, ssl=self._tls, backlog=1024)
        )

    async def listen_on(self, fd: int) -> int:
        """Listen on a server socket that this process inherited; return its port."""
        inherited = socket.socket(fileno=fd)
        return self._began(
            await asyncio.get_running_loop().create_server(self._connection, sock=inherited, ssl=self._tls)
        )

    def _connection(self) -> Connection:
        return Connection(self._handle, self.connections, max_streams=self._max_streams)

    def _began(self, server: asyncio.Server) -> int:
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Break every connection."""
        for connection in [*self.connections]:
            connection.cut()

    def go_away(self, *, code: int = 0) -> None:
        """Send GOAWAY on every connection; each ends when its streams are done."""
        for connection in [*self.connections]:
            connection.go_away(code=code)

    async def stop(self) -> None:
        """Listen no more, and break every connection."""
        for server in self._servers:
            server.close()
        self.cut()
        self._servers.clear()
