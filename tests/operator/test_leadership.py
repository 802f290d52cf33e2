"""The Lease: one process works at a time, and stops before another can start."""

import asyncio
import contextlib
import time

import pytest

from kubernetes_emulator.proxy import Fault
from operator_places import SetClock
from taskbell.kit.clock import SystemClock
from taskbell.operator.cluster import Cluster, open_api
from taskbell.operator.lease import LEASE, Leadership, LeaseLost
from taskbell.testing.waiting import eventually

DURATION = 0.5
GROUP = "coordination.k8s.io/v1"


@pytest.fixture
def candidate(cluster, kubectl):
    """Make a candidate for the Lease."""

    def make(identity, duration=DURATION):
        return Leadership(
            cluster, namespace=kubectl.namespace, identity=identity, duration=duration, clock=SystemClock()
        )

    return make


@pytest.fixture
def lease(kubectl):
    """Read the Lease's spec."""

    async def read():
        return (await kubectl.must("GET", kubectl.at("leases", LEASE, group=GROUP)))["spec"]

    return read


@contextlib.asynccontextmanager
async def holding(leadership):
    """Hold the Lease for a block; then stop as if killed, without a release."""
    await leadership.acquire()
    task = asyncio.create_task(leadership.hold())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_only_one_holds(lease, candidate):
    """While the first process renews, the second waits, also for longer than the duration."""
    duration = 2 * DURATION  # a busy machine may keep a renewal waiting for most of a short one
    async with holding(candidate("b", duration)):
        waiting = asyncio.create_task(candidate("a", duration).acquire())
        await asyncio.wait([waiting], timeout=1.5 * duration)
        assert not waiting.done()
        waiting.cancel()
    assert (await lease())["holderIdentity"] == "b"


async def test_a_killed_holder_is_replaced(lease, candidate):
    """Without renewals another process gets the Lease, but not before its duration is over."""
    async with holding(candidate("a")):
        pass
    started = time.monotonic()
    async with asyncio.timeout(10):
        await candidate("b").acquire()
    assert time.monotonic() - started >= DURATION
    found = await lease()
    assert (found["holderIdentity"], found["leaseTransitions"]) == ("b", 1)


async def test_a_holder_that_stops_releases_it(lease, proxy, candidate):
    """After a release the next process gets the Lease at its first try."""
    first = candidate("a")
    await first.acquire()
    await first.release()
    assert (await lease())["holderIdentity"] == ""
    calls = len(proxy.calls)
    await candidate("b").acquire()
    assert len(proxy.calls) == calls + 2


async def test_the_end_does_not_wait_for_a_silent_api_server(monkeypatch):
    """A release that gets no answer is given up, long before the request itself would be."""
    monkeypatch.setattr("taskbell.operator.lease._FAREWELL", 0.05)
    monkeypatch.setattr("taskbell.operator.cluster._TIMEOUT", 3600.0)
    left = asyncio.Event()

    async def silent(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        async with await open_api(url=f"http://{host}:{port}") as api:
            names = {"namespace": "tasks", "identity": "a"}
            await Leadership(Cluster(api), **names, duration=DURATION, clock=SystemClock()).release()
        await left.wait()


async def test_a_killed_holder_is_replaced_within_its_time(cluster, kubectl, monkeypatch):
    """Whenever the holder is killed, another acquires the Lease within 1.3 durations after its last renewal.

    The clock moves with the pauses alone, so that a slow machine does not count.
    """
    clock = SetClock(still=True)

    async def pause(seconds):
        clock.pass_by(seconds)

    monkeypatch.setattr("taskbell.operator.lease.asyncio.sleep", pause)
    waits = []
    for number in range(20):
        lease = {"cluster": cluster, "namespace": kubectl.namespace, "duration": 10.0, "clock": clock}
        old = Leadership(identity=f"old-{number}", **lease)
        await old.acquire()
        standby = Leadership(identity=f"new-{number}", **lease)
        for renewal in range(number % 4):
            assert not await standby._try()
            clock.pass_by(0.7 * renewal + number / 20)
            assert await old._try()
        renewed = clock.monotonic()
        await standby.acquire()
        waits.append(clock.monotonic() - renewed)
        await standby.release()
    assert min(waits) >= 10
    assert max(waits) <= 13


async def test_a_renewal_is_one_request(proxy, candidate):
    """A holder renews without reading the Lease."""
    leadership = candidate("a", 2.0)
    await leadership.acquire()
    proxy.calls.clear()
    holding = asyncio.create_task(leadership.hold())
    await eventually(lambda: len(proxy.calls) >= 3, "renewals")
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    assert {call.method for call in proxy.calls} == {"PUT"}


async def test_a_holder_that_cannot_renew_stops_in_time(proxy, candidate):
    """If every renewal fails, the holder stops before another process can start."""
    leadership = candidate("a")
    started = time.monotonic()
    await leadership.acquire()
    proxy.faults.append(Fault(method="PUT", path_ends=LEASE, status=500, times=10_000))
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(10):
            await leadership.hold()
    assert time.monotonic() - started >= DURATION / 2


async def test_one_failed_renewal_is_retried(lease, proxy, candidate):
    """A renewal that fails once with an error or a conflict is retried."""
    async with holding(candidate("a")) as task:
        for status in (500, 409):
            fault = Fault(method="PUT", path_ends=LEASE, status=status)
            proxy.faults.append(fault)
            await eventually(lambda fault=fault: not fault.times, "it failed")
            renewed = (await lease())["renewTime"]

            async def again(renewed=renewed):
                return (await lease())["renewTime"] != renewed

            await eventually(again, "it was renewed")
        assert not task.done()


async def test_a_lease_that_was_taken_away_is_noticed(kubectl, candidate):
    """A holder that finds another name in the Lease stops."""
    leadership = candidate("a")
    await leadership.acquire()
    path = kubectl.at("leases", LEASE, group=GROUP)
    await kubectl.must_merge(path, {"spec": {"holderIdentity": "b"}})
    with pytest.raises(LeaseLost, match="another"):
        async with asyncio.timeout(10):
            await leadership.hold()
