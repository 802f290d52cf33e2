"""Entry of one delivery worker: `taskbell-delivery` or `python -m taskbell.delivery`."""

from __future__ import annotations

import logging
import socket

import uvloop

from taskbell.delivery.app import delivery
from taskbell.delivery.settings import DeliverySettings
from taskbell.kit import entry
from taskbell.kit.logs import configure_logs
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.settings import load
from taskbell.kit.trace import Tracing


def main() -> None:
    """Deliver until SIGTERM or SIGINT, then finish or give back; a second signal ends the process at once."""
    arguments = entry.parser("taskbell-delivery", "Deliver events to webhooks and by e-mail.", port=8003).parse_args()
    settings = load(DeliverySettings)
    configure_logs(service="delivery", level=settings.log_level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write every receiver's address into the log
    tracing = Tracing.from_environment(service="taskbell-delivery")
    try:
        listening = entry.listen(host=arguments.host, port=arguments.port, fd=arguments.fd)
        uvloop.run(_deliver(settings, tracing=tracing, listening=listening))
    except (BusUnavailable, OSError) as refused:
        raise SystemExit(f"taskbell-delivery: {refused}") from None
    finally:
        tracing.close()


async def _deliver(settings: DeliverySettings, *, tracing: Tracing, listening: socket.socket) -> None:
    stop = entry.asked_to_stop()
    async with delivery(settings, listening=listening, tracing=tracing):
        await stop.wait()


if __name__ == "__main__":
    main()
