"""Claims and renewals of the Lease that are answered late, by a clock that only the API server's answers move."""

import asyncio

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.lease import LEASE, Leadership, LeaseLost


class AnswerClock:
    """A clock that the answer to the first claim moves by `first` seconds, and each failed request by `failed`."""

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
    """Make a candidate for the Lease."""

    def make(duration, clock):
        return Leadership(cluster, namespace=kubectl.namespace, identity="a", duration=duration, clock=clock)

    return make


async def test_a_claim_that_is_answered_too_late_is_made_again(proxy, claiming):
    """A process whose claim is answered after two thirds of the duration renews before it leads."""
    duration = 0.05
    async with asyncio.timeout(10):
        await claiming(duration, AnswerClock(proxy, first=0.7 * duration)).acquire()
    assert [(call.method, call.status) for call in proxy.calls] == [
        ("GET", 404),
        ("POST", 201),
        ("PUT", 200),
    ]


async def test_a_claim_that_is_answered_late_is_renewed_at_once(proxy, claiming):
    """The pause before a renewal counts from the request of the claim, not from its answer."""
    duration = 3600.0
    leadership = claiming(duration, AnswerClock(proxy, first=0.6 * duration, failed=0.1 * duration))
    await leadership.acquire()
    proxy.faults.append(Fault(method="PUT", path_ends=LEASE, status=500))
    with pytest.raises(LeaseLost, match="not renewed"):
        async with asyncio.timeout(10):
            await leadership.hold()


async def test_a_late_answer_does_not_extend_the_lease(proxy, claiming):
    """A holder stops before the duration, counted from its request: after that another process may have the Lease."""
    duration = 0.05
    clock = AnswerClock(proxy, first=0.6 * duration, failed=0.1 * duration)
    leadership = claiming(duration, clock)
    await leadership.acquire()
    assert clock.monotonic() == 0.6 * duration, "the request was at 0, the answer came late"
    proxy.faults.append(Fault(method="PUT", path_ends=LEASE, status=500, times=10_000))
    with pytest.raises(LeaseLost, match="not renewed"):
        async with asyncio.timeout(10):
            await leadership.hold()
    assert clock.monotonic() < duration
