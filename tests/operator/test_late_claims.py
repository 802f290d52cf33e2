"""Claims of the Lease that are answered late, by a clock that only the API server's answers move."""

import asyncio

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.lease import LEASE, Leadership, LeaseLost


class LateAnswers:
    """A clock that a first claim's answer takes on by `first` seconds, and each failed request by `failed`."""

    def __init__(self, proxy, *, first, failed=0.0):
        self.proxy, self.first, self.failed = proxy, first, failed

    def now(self):
        """Unix seconds."""
        return 1_790_000_000.0 + self.monotonic()

    def monotonic(self):
        """Seconds that never go back."""
        claims = sum(call.method == "POST" for call in self.proxy.calls)
        failed = sum(call.status == 500 for call in self.proxy.calls)
        return self.first * claims + self.failed * failed


@pytest.fixture
def claiming(cluster, kubectl):
    """Make a candidate."""

    def make(duration, clock):
        return Leadership(cluster, namespace=kubectl.namespace, identity="a", duration=duration, clock=clock)

    return make


async def test_a_claim_that_is_answered_too_late_is_made_again(proxy, claiming):
    """Who learns of its claim after two thirds of the duration does not lead yet: it renews first."""
    duration = 0.05
    async with asyncio.timeout(10):
        await claiming(duration, LateAnswers(proxy, first=0.7 * duration)).acquire()
    assert [(call.method, call.status) for call in proxy.calls] == [
        ("GET", 404),
        ("POST", 201),
        ("GET", 200),
        ("PUT", 200),
    ]


async def test_a_claim_that_is_answered_late_is_renewed_at_once(proxy, claiming):
    """The pause before a renewal is counted from when the claim was asked for, not from its answer."""
    duration = 3600.0
    leadership = claiming(duration, LateAnswers(proxy, first=0.6 * duration, failed=0.1 * duration))
    await leadership.acquire()
    proxy.faults.append(Fault(method="GET", path_ends=LEASE, status=500))
    with pytest.raises(LeaseLost, match="not renewed"):
        async with asyncio.timeout(10):
            await leadership.hold()
