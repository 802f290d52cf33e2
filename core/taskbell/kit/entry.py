"""What the entries of all services share: where they listen, and how they are asked to stop."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket


def parser(program: str, about: str, *, port: int) -> argparse.ArgumentParser:
    """The command line of a service: `--host`, `--port` and `--fd`, for `listen`."""
    made = argparse.ArgumentParser(prog=program, description=about)
    made.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 -- a pod's default
    made.add_argument("--port", type=int, default=port, help="port to listen on")
    made.add_argument("--fd", type=int, help="an inherited listening socket to use instead of an address")
    return made


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


def asked_to_stop() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; a second signal ends the process at once, with status 1.

    To be called within the running loop, which from then on handles these signals.
    """
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def hear() -> None:
        if asked.is_set():
            os._exit(1)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hear)
    return asked
