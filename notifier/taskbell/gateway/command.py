"""What `taskbell-gateway` does."""

from __future__ import annotations

from taskbell.gateway.app import gateway
from taskbell.gateway.settings import GatewaySettings
from taskbell.kit import entry


def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    entry.run(gateway, "gateway", "Serve the Taskbell WebSocket gateway.", settings=GatewaySettings, port=8001)
