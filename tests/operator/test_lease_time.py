"""How long a holder of the Lease may work on, by a clock that only the API server's answers move."""

import asyncio

import pytest

from taskbell.operator.cluster import ClusterRefused
from taskbell.operator.lease import Leadership, LeaseLost

DURATION = 0.05


class Time:
    """A steady clock that a test moves."""

    def __init__(self):
        self.steady = 0.0

    def now(self):
        """Unix seconds."""
        return 1_790_000_000.0 + self.steady

    def monotonic(self):
        """Seconds that never go back."""
        return self.steady


class SlowServer:
    """Takes the first claim at once and answers it late; whatever comes later fails."""

    def __init__(self, clock):
        self.clock, self.lease, self.landed = clock, None, None

    async def get(self, *_):
        """The Lease."""
        if self.landed is not None:
            self.clock.steady += DURATION / 10
            raise ClusterRefused("away")
        return self.lease

    async def create(self, _, manifest):
        """Store it, and let most of its duration pass before the answer."""
        self.lease, self.landed = manifest, self.clock.steady
        self.clock.steady += DURATION * 0.6


async def test_a_late_answer_does_not_make_the_lease_longer():
    """A holder stops before its duration, counted from when it asked: by then another may have the Lease."""
    clock = Time()
    server = SlowServer(clock)
    leadership = Leadership(server, namespace="n", identity="a", duration=DURATION, clock=clock)
    await leadership.acquire()
    with pytest.raises(LeaseLost, match="not renewed"):
        async with asyncio.timeout(10):
            await leadership.hold()
    assert clock.steady - server.landed < DURATION
