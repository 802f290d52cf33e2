"""Entry of one gateway process: `taskbell-gateway` or `python -m taskbell.notifier`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket

import uvloop

from taskbell.kit.listening import listen
from taskbell.kit.logs import configure_logs
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.settings import load
from taskbell.kit.trace import Tracing
from taskbell.notifier.app import gateway
from taskbell.notifier.settings import GatewaySettings


def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once (status 1)."""
    parser = argparse.ArgumentParser(prog="taskbell-gateway", description="Serve the Taskbell WebSocket gateway.")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 -- a pod's default
    parser.add_argument("--port", type=int, default=8001, help="port to listen on")
    parser.add_argument("--fd", type=int, help="an inherited listening socket to use instead of an address")
    arguments = parser.parse_args()
    settings = load(GatewaySettings)
    configure_logs(service="gateway", level=settings.log_level)
    tracing = Tracing.from_environment(service="taskbell-gateway")
    try:
        listening = listen(host=arguments.host, port=arguments.port, fd=arguments.fd)
        uvloop.run(_serve(settings, tracing=tracing, listening=listening))
    except (BusUnavailable, OSError) as refused:
        raise SystemExit(f"taskbell-gateway: {refused}") from None
    finally:
        tracing.close()


async def _serve(settings: GatewaySettings, *, tracing: Tracing, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def asked_to_stop() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop)
    async with gateway(settings, listening=listening, tracing=tracing):
        await stop.wait()


if __name__ == "__main__":
    main()
