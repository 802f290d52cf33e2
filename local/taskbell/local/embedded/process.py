"""Child processes that end with their parent, and the ordinary user that PostgreSQL needs."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_LAUNCHER = Path(__file__).with_name("launch.py")
_PORTS = range(20_000, 32_000)  # below the ranges from which systems take the ports of outgoing connections


class ServerNotStarted(Exception):
    """A server did not start or did not become ready. The message is one line and names the log."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The user and group ids that a child runs as."""

    uid: int
    gid: int


def ordinary_identity(owned: Path) -> Identity | None:
    """Return the user for a server that refuses root; None if this process is not root.

    It is the owner of `owned` unless that is root, else `postgres` or `nobody`, whichever exists.
    Raises `ServerNotStarted` if there is none.
    """
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(FileNotFoundError, KeyError):
        owner = pwd.getpwuid(owned.stat().st_uid)
        if owner.pw_uid != 0:
            return Identity(uid=owner.pw_uid, gid=owner.pw_gid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return Identity(uid=user.pw_uid, gid=user.pw_gid)
    raise ServerNotStarted("PostgreSQL refuses to run as root and neither user 'postgres' nor 'nobody' exists here")


def launched(
    command: Sequence[str], *, identity: Identity | None = None, death_signal: signal.Signals = signal.SIGKILL
) -> list[str]:
    """Wrap a command so that it runs as `identity` and gets `death_signal` when this process ends."""
    uid, gid = (identity.uid, identity.gid) if identity else (-1, -1)
    wrapper = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(death_signal)), str(uid), str(gid)]
    return [*wrapper, *command]


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1, outside the range of outgoing connections."""
    for port in random.sample(_PORTS, 200):
        if port_is_free(port):
            return port
    raise ServerNotStarted(f"no free port found on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")


def port_is_free(port: int) -> bool:
    """Tell whether a port of 127.0.0.1 is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def running(
    command: Sequence[str], *, log: Path, stop_signal: signal.Signals, patience: float = 20.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in its own process group for the length of the block, its output appended to `log`.

    At the end it gets `stop_signal`, and SIGKILL after `patience` seconds.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 -- our own command line
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield child
    finally:
        child.send_signal(stop_signal)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Server(Protocol):
    """A server from a wheel."""

    @property
    def stop_signal(self) -> signal.Signals:
        """The signal that asks it to end."""

    def prepare(self) -> None:
        """Make its folder and its configuration."""

    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""

    def accepts_connections(self) -> bool:
        """Tell whether it serves."""


@contextlib.contextmanager
def serving(server: Server, *, name: str, log: Path, deadline: float) -> Iterator[None]:
    """Prepare and run a server for the length of the block, which begins when it accepts connections.

    Raises:
        ServerNotStarted: It ended, or does not accept connections within `deadline` seconds.
    """
    server.prepare()
    earlier = log.stat().st_size if log.exists() else 0
    with running(server.command(), log=log, stop_signal=server.stop_signal) as child:
        until = time.monotonic() + deadline
        while not server.accepts_connections():
            if child.poll() is not None or time.monotonic() > until:
                raise ServerNotStarted(f"{name} did not start: {last_words(log, since=earlier)} (log: {log})")
            time.sleep(0.05)
        yield


def set_aside(folder: Path, *, next_to: Path) -> Path:
    """Move a damaged folder to `<next_to>.damaged-<UTC time>`; returns its new path. Raises `OSError`."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return folder.rename(next_to.with_name(f"{next_to.name}.damaged-{now}"))


def last_words(log: Path, *, since: int = 0, default: str = "nothing in the log") -> str:
    """Return the line of a log that most likely tells why a process ended: a fatal one, else the last.

    `since` is the length (bytes) of the log when the process started.
    """
    try:
        with log.open("rb") as lines:
            lines.seek(max(since, log.stat().st_size - 8192))
            text = lines.read().decode(errors="replace").strip()
    except FileNotFoundError:
        return default
    end = text.splitlines()[-12:]
    fatal = [line for line in end if "FATAL" in line or "PANIC" in line or "[FTL]" in line]
    return [default, *end, *fatal][-1].strip()
