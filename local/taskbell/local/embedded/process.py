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
    """Return whom a server that refuses root runs as, or None when this process is not root.

    The owner of `owned`, if that is not root; else the first existing user of `postgres` and `nobody`.
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
    """Wrap a command so that it ends with this process (by `death_signal`) and runs as `identity`."""
    uid, gid = (identity.uid, identity.gid) if identity else (-1, -1)
    wrapper = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(death_signal)), str(uid), str(gid)]
    return [*wrapper, *command]


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now and that no outgoing connection will be given."""
    for port in random.sample(_PORTS, 200):
        if port_is_free(port):
            return port
    raise ServerNotStarted(f"no free port found on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")


def port_is_free(port: int) -> bool:
    """Tell whether something could listen on the port of 127.0.0.1 now."""
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

    At the end it is asked to stop by `stop_signal` and killed after `patience` seconds.
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


def set_aside(folder: Path, *, beside: Path) -> Path:
    """Move a damaged folder to `<beside>.damaged-<UTC time>`; returns its new path. Raises `OSError`."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return folder.rename(beside.with_name(f"{beside.name}.damaged-{now}"))


def last_words(log: Path, *, since: int = 0, default: str = "nothing in the log") -> str:
    """Return the line at the end of a log that most likely tells the reason of an end: a fatal one, else the last.

    `since` is the length (bytes) of the log when the process began: what stands before was said by earlier ones.
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
