"""What `taskbell-relay` does."""

from __future__ import annotations

from taskbell.kit import entry
from taskbell.relay.app import relay
from taskbell.relay.settings import RelaySettings


def main() -> None:
    """Publish events, or stand by, until SIGTERM or SIGINT."""
    entry.run(relay, "relay", "Publish committed events to the stream.", settings=RelaySettings, port=8002)
