"""Lists that several passes share: asked for once, not older than promised, and never a failure of somebody else."""

import asyncio

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.cluster import AUTOSCALERS, SCALED_OBJECTS, WORKER_POOLS, ClusterRefused
from taskbell.operator.listings import Listings


@pytest.fixture
def listings(cluster, still_clock):
    """Lists that are shared for five seconds."""
    return Listings(cluster, fresh_for=5, clock=still_clock)


@pytest.mark.feature("K6")
async def test_many_passes_ask_once(kubectl, listings, proxy, still_clock):
    """Passes within five seconds share one request for each kind; after that it is asked again."""
    proxy.calls.clear()
    for seconds in (0, 4.9):
        still_clock.pass_by(seconds)
        await asyncio.gather(*(listings.all(WORKER_POOLS, kubectl.namespace) for _ in range(20)))
    assert len(proxy.calls) == 1
    assert await listings.all(AUTOSCALERS, kubectl.namespace) == []
    assert await listings.all(SCALED_OBJECTS, kubectl.namespace) == []
    assert len(proxy.calls) == 3
    pool = {"targetRef": {"name": "x"}, "replicas": {"max": 1}, "engine": "Manual"}
    body = {"apiVersion": "taskbell.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": "x"}, "spec": pool}
    await kubectl.must("POST", kubectl.at("workerpools"), body)
    assert await listings.all(WORKER_POOLS, kubectl.namespace) == []
    still_clock.pass_by(0.2)
    (found,) = await listings.all(WORKER_POOLS, kubectl.namespace)
    assert found["metadata"]["name"] == "x"


async def test_own_changes_show_at_once(kubectl, listings, proxy):
    """After a change by this process the next pass asks again, also when a request was on its way meanwhile."""
    await listings.all(WORKER_POOLS, kubectl.namespace)
    listings.renew("elsewhere")
    proxy.calls.clear()
    await listings.all(WORKER_POOLS, kubectl.namespace)
    assert proxy.calls == []
    listings.renew(kubectl.namespace)
    asking = asyncio.create_task(listings.all(WORKER_POOLS, kubectl.namespace))
    await asyncio.sleep(0)
    listings.renew(kubectl.namespace)
    await asking
    await listings.all(WORKER_POOLS, kubectl.namespace)
    await listings.all(WORKER_POOLS, kubectl.namespace)
    assert len(proxy.calls) == 2


async def test_a_failure_is_not_remembered(kubectl, listings, proxy):
    """Who asks after a failed request asks the API server again; who is cancelled takes the list from nobody."""
    proxy.faults.append(Fault(method="GET", path_ends="/workerpools", status=500, times=1))
    with pytest.raises(ClusterRefused):
        await listings.all(WORKER_POOLS, kubectl.namespace)
    assert await listings.all(AUTOSCALERS, kubectl.namespace) == []
    first, second = (asyncio.create_task(listings.all(WORKER_POOLS, kubectl.namespace)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == []
