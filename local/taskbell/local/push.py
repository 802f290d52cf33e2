"""The push simulator of a platform on this machine: its process, and the settings with which the others use it.

`local` does not import `taskbell.testing`: they meet in a folder of the data directory, where the simulator writes
`settings.json` once it serves.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from taskbell.local.server_sockets import listen, port_of

_FILE = "settings.json"
_GROUPS = ("TASKBELL_FCM_", "TASKBELL_APNS_", "TASKBELL_VAPID_")
"""Settings that belong together: who sets one of a provider's has that provider, and not the simulated one."""


class PushSimulator:
    """One simulator, on server sockets that outlive its process."""

    def __init__(self, folder: Path, *, server: socket.socket, sandbox: socket.socket, keeps: int) -> None:
        """Take the folder of its keys, the sockets of the providers and of APNs' sandbox, and how much it remembers."""
        self._folder = folder
        self._keeps = keeps
        self._server = server
        self._sandbox = sandbox

    @property
    def port(self) -> int:
        """The port of all providers on 127.0.0.1."""
        return port_of(self._server)

    @property
    def fds(self) -> tuple[int, int]:
        """The descriptors that its process inherits."""
        return self._server.fileno(), self._sandbox.fileno()

    def command(self) -> list[str]:
        """What starts it."""
        sockets = ["--fd", self._server.fileno(), "--sandbox-fd", self._sandbox.fileno()]
        options = ["--dir", self._folder, "--keep", self._keeps, *sockets]
        return [sys.executable, "-m", "taskbell.testing.pushsim", *map(str, options)]

    def forget(self) -> None:
        """Remove what an earlier process wrote, so that `is_ready` tells of the next one."""
        (self._folder / _FILE).unlink(missing_ok=True)

    async def is_ready(self) -> bool:
        """Whether it serves."""
        return (self._folder / _FILE).exists()

    def settings(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment variables with which delivery and API use it, without those that are given already.

        A provider of which one variable is given keeps all of its own.
        """
        simulated = read_simulator(self._folder)
        if simulated is None:
            return {}
        taken = tuple(group for group in _GROUPS if any(name.startswith(group) for name in environment))
        found: dict[str, str] = simulated["settings"]
        return {name: value for name, value in found.items() if name not in environment and not name.startswith(taken)}


def listen_where_before(folder: Path) -> socket.socket:
    """Listen where the last simulator of this folder did, if that port is free: browsers and hooks keep its address."""
    simulated = read_simulator(folder)
    port = urlsplit(simulated["url"]).port if simulated else None
    if port:
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    return listen(0, setting="")


def read_simulator(folder: Path) -> dict[str, Any] | None:
    """What a simulator wrote: `url`, `sandbox_url`, `ca_file`, `settings`; None where there is nothing readable."""
    try:
        found: Any = json.loads((folder / _FILE).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"url", "ca_file", "settings"} <= found.keys() else None
