"""Listening sockets that outlive the processes that serve them, so that a crash drops no waiting connection."""

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
        StartRefused: The port is taken or not allowed; the line names the variable that sets it.
    """
    try:
        return socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    except OSError as refused:
        why = "in use" if refused.errno == errno.EADDRINUSE else f"not usable ({os.strerror(refused.errno or 0)})"
        line = f"port {port} is {why}: stop what listens there, or set {setting} to another port (0 takes any free one)"
        raise StartRefused(line, status=2) from None


def listen_for_each(count: int, port: int, *, setting: str) -> list[socket.socket]:
    """Listen on one port with a socket for each of several processes.

    Linux then spreads connections over them (SO_REUSEPORT); processes that accept from one socket leave nearly all to
    whichever wakes first. What waits for a process that died is served when it is back. Elsewhere they share a socket.

    Raises:
        StartRefused: As `listen` does. A port that is shared already counts as taken.
    """
    first = listen(port, setting=setting)
    if count == 1 or sys.platform != "linux":
        return [first] * count
    port = port_of(first)
    first.close()
    return [socket.create_server(("127.0.0.1", port), backlog=_BACKLOG, reuse_port=True) for _ in range(count)]


def port_of(listener: socket.socket) -> int:
    """Return the port a socket listens on."""
    port: int = listener.getsockname()[1]
    return port
