"""Entry of one delivery worker: `taskbell-delivery` or `python -m taskbell.delivery`."""

from __future__ import annotations

import logging

from taskbell.delivery.app import delivery
from taskbell.delivery.settings import DeliverySettings
from taskbell.kit import entry


def main() -> None:
    """Deliver until SIGTERM or SIGINT, then finish deliveries or give them back."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it logs the address of every receiver
    entry.run(delivery, "delivery", "Deliver events to webhooks and by e-mail.", settings=DeliverySettings, port=8003)


if __name__ == "__main__":
    main()
