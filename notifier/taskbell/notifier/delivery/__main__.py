"""Entry of one delivery worker: `taskbell-delivery` or `python -m taskbell.notifier.delivery`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket

import uvloop

from taskbell.kit.listening import listen
from taskbell.kit.logs import configure_logs
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.settings import load
from taskbell.kit.trace import Tracing
from taskbell.notifier.delivery.app import delivery
from taskbell.notifier.delivery.settings import DeliverySettings


def main() -> None:
    """Deliver until SIGTERM or SIGINT, then finish or give back; a second signal ends the process at once."""
    parser = argparse.ArgumentParser(prog="taskbell-delivery", description="Deliver events to webhooks and by e-mail.")
    parser.add_argument("--host", default="0.0.0.0", help="address of the probes")  # noqa: S104 -- a pod's default
    parser.add_argument("--port", type=int, default=8003, help="port of the probes")
    parser.add_argument("--fd", type=int, help="an inherited listening socket to use instead of an address")
    arguments = parser.parse_args()
    settings = load(DeliverySettings)
    configure_logs(service="delivery", level=settings.log_level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write every receiver's address into the log
    tracing = Tracing.from_environment(service="taskbell-delivery")
    try:
        listening = listen(host=arguments.host, port=arguments.port, fd=arguments.fd)
        uvloop.run(_deliver(settings, tracing=tracing, listening=listening))
    except (BusUnavailable, OSError) as refused:
        raise SystemExit(f"taskbell-delivery: {refused}") from None
    finally:
        tracing.close()


async def _deliver(settings: DeliverySettings, *, tracing: Tracing, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def asked_to_stop() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop)
    async with delivery(settings, listening=listening, tracing=tracing):
        await stop.wait()


if __name__ == "__main__":
    main()
