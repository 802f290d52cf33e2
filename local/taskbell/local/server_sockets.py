"""Server sockets that outlive the processes that serve them: a crash drops no waiting connection."""

from __future__ import annotations

import errno
import os
import socket
import sys

from taskbell.local.data_dir import StartRefused

_BACKLOG = 2048


def listen(port: int, *, setting: str) -> socket.socket:
    """Listen on a port of 127.0.0.1; 0 takes any free one.

    Raises:
        StartRefused: The port is taken or not allowed; the message names the variable that sets it.
    """
    try:
        return socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    except OSError as refused:
        why = "in use" if refused.errno == errno.EADDRINUSE else f"not usable ({os.strerror(refused.errno or 0)})"
        line = f"port {port} is {why}: stop what listens there, or set {setting} to another port (0 takes any free one)"
        raise StartRefused(line, status=2) from None


def listen_for_each(count: int, port: int, *, setting: str) -> list[socket.socket]:
    """Listen on one port with one socket for each of several processes.

    Linux then spreads connections over them (SO_REUSEPORT). From a single socket, the process that wakes first takes
    nearly all of them. Connections to a process that died wait until it runs again. Other systems share one socket.

    Raises:
        StartRefused: The port is taken or not allowed.
    """
    first = listen(port, setting=setting)
    if count == 1 or sys.platform != "linux":
        return [first] * count
    port = port_of(first)
    first.close()
    return [socket.create_server(("127.0.0.1", port), backlog=_BACKLOG, reuse_port=True) for _ in range(count)]


def port_of(server: socket.socket) -> int:
    """Return the port a socket listens on."""
    port: int = server.getsockname()[1]
    return port
