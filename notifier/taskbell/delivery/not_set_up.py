"""The transport of a channel without a provider."""

from __future__ import annotations

from taskbell.delivery.claims import Claim
from taskbell.delivery.policy import Outcome


class NotSetUp:
    """Stands in for a mail server or a provider that is not set up, or not any more.

    What waits for it is retried as long as any other delivery, and then given up.
    """

    def __init__(self, channel: str) -> None:
        """Take the name of the channel."""
        self._error = "no mail server is set up" if channel == "email" else f"no provider of {channel} is set up"

    async def send(self, _claim: Claim) -> Outcome:
        """Fail with that reason."""
        return Outcome(delivered=False, error=self._error)
