"""Entry of one gateway process: `taskbell-gateway` or `python -m taskbell.gateway`."""

from __future__ import annotations

import socket

import uvloop

from taskbell.gateway.app import gateway
from taskbell.gateway.settings import GatewaySettings
from taskbell.kit import entry
from taskbell.kit.logs import configure_logs
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.settings import load
from taskbell.kit.trace import Tracing


def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once (status 1)."""
    arguments = entry.parser("taskbell-gateway", "Serve the Taskbell WebSocket gateway.", port=8001).parse_args()
    settings = load(GatewaySettings)
    configure_logs(service="gateway", level=settings.log_level)
    tracing = Tracing.from_environment(service="taskbell-gateway")
    try:
        listening = entry.listen(host=arguments.host, port=arguments.port, fd=arguments.fd)
        uvloop.run(_serve(settings, tracing=tracing, listening=listening))
    except (BusUnavailable, OSError) as refused:
        raise SystemExit(f"taskbell-gateway: {refused}") from None
    finally:
        tracing.close()


async def _serve(settings: GatewaySettings, *, tracing: Tracing, listening: socket.socket) -> None:
    stop = entry.asked_to_stop()
    async with gateway(settings, listening=listening, tracing=tracing):
        await stop.wait()


if __name__ == "__main__":
    main()
