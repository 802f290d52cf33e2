"""The entry of a program: its command line, its listening socket, its signals."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import socket
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import uvloop

from taskbell.kit.logs import configure_logs
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.settings import ProgramSettings, load
from taskbell.kit.trace import Tracing

_MOST_OPEN_FILES = 65_536
_NEW_OBJECTS = 10_000
S = TypeVar("S", bound=ProgramSettings)
S_contra = TypeVar("S_contra", bound=ProgramSettings, contravariant=True)


class Program(Protocol[S_contra]):
    """A program that runs for the length of a block and stops cleanly at its end."""

    def __call__(
        self, settings: S_contra, /, *, listening: socket.socket, tracing: Tracing
    ) -> AbstractAsyncContextManager[object]:
        """Take over the listening socket and run."""


def run(program: Program[S], name: str, about: str, *, settings: type[S], port: int) -> None:
    """Run a program from its command line and environment until SIGTERM or SIGINT.

    Before the program has started, SIGTERM ends the process at once (`taskbell.start`): it may be waiting for a store.
    A second signal ends the process at once, with status 1.

    Raises:
        SystemExit: The settings are wrong, the address is taken, or NATS cannot be reached at the start.
    """
    arguments = parser(f"taskbell-{name}", about, port=port).parse_args()
    loaded = load(settings)
    allow_open_files()
    configure_logs(service=name, level=loaded.log_level)
    tracing = Tracing.from_environment(service=f"taskbell-{name}")
    collect_rarely()

    async def until_asked(listening: socket.socket) -> None:
        async with program(loaded, listening=listening, tracing=tracing):
            await asked_to_stop().wait()

    try:
        uvloop.run(until_asked(listen(host=arguments.host, port=arguments.port, fd=arguments.fd)))
    except (BusUnavailable, OSError) as refused:
        raise SystemExit(f"taskbell-{name}: {refused}") from None
    finally:
        tracing.close()


def parser(program: str, about: str, *, port: int) -> argparse.ArgumentParser:
    """Return the command line of a program: `--host`, `--port` and `--fd`, for `listen`."""
    made = argparse.ArgumentParser(prog=program, description=about)
    made.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 -- a pod's default
    made.add_argument("--port", type=int, default=port, help="port to listen on")
    made.add_argument("--fd", type=int, help="an inherited listening socket to use instead of an address")
    return made


def listen(*, host: str, port: int, fd: int | None = None) -> socket.socket:
    """Return an inherited listening socket, or a new one; `::` means every address of the machine, IPv4 and IPv6.

    Raises:
        OSError: The address is taken, or it is not an address of this machine.
    """
    if fd is not None:
        return socket.socket(fileno=fd)
    if ":" in host:
        return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=host == "::")
    return socket.create_server((host, port))


def allow_open_files() -> None:
    """Raise the soft limit of open files to the hard one, at most 65,536.

    A connection is an open file. The soft limit is 1,024 on many systems, for programs that use `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def collect_rarely() -> None:
    """Spare the garbage collector what the program has loaded until now, and most of its rounds.

    It looks for cycles among the newest objects after 10,000 of them, instead of 700; a request leaves hardly any.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)


def asked_to_stop() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; a second signal ends the process at once, with status 1.

    Call it within the running loop, which handles these signals from then on.
    """
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def hear() -> None:
        if asked.is_set():
            os._exit(1)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hear)
    return asked
