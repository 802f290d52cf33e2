"""The socket that a service listens on."""

from __future__ import annotations

import socket


def listen(*, host: str, port: int, fd: int | None = None) -> socket.socket:
    """Return an inherited listening socket, or a new one; `::` means every address of the machine, IPv4 and IPv6.

    Raises:
        OSError: The address is taken or not of this machine.
    """
    if fd is not None:
        return socket.socket(fileno=fd)
    if ":" in host:
        return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=host == "::")
    return socket.create_server((host, port))
