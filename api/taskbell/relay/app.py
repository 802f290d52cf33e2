"""Composition: builds the relay and its probes from the settings, runs both, and stops them."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskbell.kit.looper import running
from taskbell.kit.probes.server import serving_probes
from taskbell.kit.trace import Tracing
from taskbell.relay.settings import RelaySettings
from taskbell.relay.supervision import Supervision

_STOP_SECONDS = 1.2
"""How long a clean end may take; then the relay is cancelled, which loses nothing."""


@asynccontextmanager
async def relay(settings: RelaySettings, *, listening: socket.socket, tracing: Tracing) -> AsyncIterator[None]:
    """Publish events or stand by for the length of the block. Takes over the listening socket, for its probes."""
    supervision = Supervision(settings, holder=_holder_name(), tracing=tracing)
    async with (
        serving_probes(supervision.checks(), listening=listening),
        running(supervision.run, name="relay") as task,
    ):
        try:
            yield
        finally:
            supervision.stop()
            await asyncio.wait([task], timeout=_STOP_SECONDS)


def _holder_name() -> str:
    """Return a name that no other process has, nor an earlier one with this id: the lease tells them apart by it."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
