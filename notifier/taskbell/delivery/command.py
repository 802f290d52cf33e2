"""What `taskbell-delivery` does."""

from __future__ import annotations

from taskbell.delivery.app import delivery
from taskbell.delivery.settings import DeliverySettings
from taskbell.kit import entry


def main() -> None:
    """Deliver until SIGTERM or SIGINT, then finish deliveries or give them back."""
    entry.run(delivery, "delivery", "Deliver events to webhooks and by e-mail.", settings=DeliverySettings, port=8003)
