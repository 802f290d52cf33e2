import asyncio
import contextlib
import time

import pytest

from taskbell.kit.clock import SystemClock
from taskbell.operator.cluster import Cluster, open_api
from taskbell.operator.lease import LEASE, Leadership, LeaseLost
from taskbell.testing.kubernetes import Fault

DURATION = 0.5


@pytest.fixture
async def cluster(server):
    """Requests to the emulated API server."""
    async with await open_api(url=server.url) as api:
        yield Cluster(api)


@pytest.fixture
def candidate(cluster):
    """Make a candidate by its name."""

    def make(identity):
        return Leadership(cluster, namespace="taskbell", identity=identity, duration=DURATION, clock=SystemClock())

    return make


def lease(server):
    """The Lease's spec."""
    return server.store.get(server.kind("leases"), "taskbell", LEASE)["spec"]


@contextlib.asynccontextmanager
async def holding(leadership):
    """Hold for the length of the block; then as if killed, without giving it back."""
    await leadership.acquire()
    task = asyncio.create_task(leadership.hold())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_only_one_holds(server, candidate):
    """While the first renews, the second waits, longer than the duration."""
    async with holding(candidate("b")):
        waiting = asyncio.create_task(candidate("a").acquire())
        await asyncio.wait([waiting], timeout=3 * DURATION)
        assert not waiting.done()
        waiting.cancel()
    assert lease(server)["holderIdentity"] == "b"


async def test_a_killed_holder_is_replaced(server, candidate):
    """Without renewals the Lease passes on, not before its duration is over."""
    async with holding(candidate("a")):
        pass
    started = time.monotonic()
    async with asyncio.timeout(10):
        await candidate("b").acquire()
    assert time.monotonic() - started >= DURATION
    assert (lease(server)["holderIdentity"], lease(server)["leaseTransitions"]) == ("b", 1)


async def test_a_holder_that_ends_well_gives_it_back(server, candidate):
    """After a release the next has it at its first try."""
    first = candidate("a")
    await first.acquire()
    await first.release()
    assert lease(server)["holderIdentity"] == ""
    calls = len(server.calls)
    await candidate("b").acquire()
    assert len(server.calls) == calls + 2


async def test_a_holder_that_cannot_renew_stops_in_time(server, candidate):
    """An API server that fails on every renewal ends the work before another could begin it."""
    leadership = candidate("a")
    await leadership.acquire()
    started = time.monotonic()
    server.faults.append(Fault(method="PUT", path_ends=LEASE, status=500, times=10_000))
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(10):
            await leadership.hold()
    assert time.monotonic() - started >= DURATION / 2


async def test_one_failed_renewal_is_no_loss(server, candidate, until):
    """A single error or conflict is tried again."""
    async with holding(candidate("a")) as task:
        for status in (500, 409):
            fault = Fault(method="PUT", path_ends=LEASE, status=status)
            server.faults.append(fault)
            await until(lambda fault=fault: not fault.times, what="it failed")
            renewed = lease(server)["renewTime"]
            await until(lambda renewed=renewed: lease(server)["renewTime"] != renewed, what="it was renewed")
        assert not task.done()


async def test_a_lease_that_was_taken_away_is_noticed(server, candidate):
    """A holder that finds another's name in the Lease stops."""
    leadership = candidate("a")
    await leadership.acquire()
    kind = server.kind("leases")
    body = server.store.get(kind, "taskbell", LEASE)
    body["spec"]["holderIdentity"] = "b"
    server.store.update(kind, "taskbell", LEASE, body, manager="me")
    with pytest.raises(LeaseLost, match="another"):
        async with asyncio.timeout(10):
            await leadership.hold()
