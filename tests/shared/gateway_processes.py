"""Gateways as processes of their own, each on a server socket that it inherits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from websockets.exceptions import InvalidHandshake

from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually


class GatewayProcess:
    """A gateway process on a socket that it inherits."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listening.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/ws"
        number = self.listening.fileno()
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "taskbell.gateway", "--fd", str(number)],
                env={**os.environ, **environment},
                pass_fds=[number],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def end(self, *, within: float = 60) -> int:
        """Wait for the exit status."""
        return await asyncio.to_thread(self.child.wait, within)

    def close(self) -> None:
        """Leave nothing behind."""
        self.listening.close()
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(10)


async def connected(listener: Listener) -> dict[str, Any]:
    """Connect as soon as the gateway serves."""

    async def welcome() -> dict[str, Any] | None:
        with contextlib.suppress(OSError, InvalidHandshake, AssertionError):
            return await listener.connect()
        await listener.kill()
        return None

    found = await eventually(welcome, "a welcome")
    assert found is not None
    return found
