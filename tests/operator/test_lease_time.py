"""How long a holder of the Lease may work on, by a clock that only the API server's answers move."""

import asyncio

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.lease import LEASE, Leadership, LeaseLost

DURATION = 0.05


class AnswersTime:
    """A steady clock by what the API server answered: the first claim late, each failed request somewhat later."""

    def __init__(self, proxy):
        self.proxy = proxy

    def now(self):
        """Unix seconds."""
        return 1_790_000_000.0 + self.monotonic()

    def monotonic(self):
        """Seconds that never go back."""
        claims = sum(call.method == "POST" for call in self.proxy.calls)
        failed = sum(call.status == 500 for call in self.proxy.calls)
        return DURATION * (0.6 * claims + 0.1 * failed)


async def test_a_late_answer_does_not_make_the_lease_longer(cluster, proxy, kubectl):
    """A holder stops before its duration, counted from when it asked: by then another may have the Lease."""
    clock = AnswersTime(proxy)
    leadership = Leadership(cluster, namespace=kubectl.namespace, identity="a", duration=DURATION, clock=clock)
    await leadership.acquire()
    assert clock.monotonic() == 0.6 * DURATION, "it asked at 0, and most of the duration passed before the answer"
    proxy.faults.append(Fault(method="GET", path_ends=LEASE, status=500, times=10_000))
    with pytest.raises(LeaseLost, match="not renewed"):
        async with asyncio.timeout(10):
            await leadership.hold()
    assert clock.monotonic() < DURATION
