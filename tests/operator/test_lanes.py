"""One kind of object never waits for another kind."""

import asyncio

from taskbell.operator.reconcile.worker_pool import PoolKeeper
from taskbell.testing.waiting import eventually


async def test_pools_that_hang_do_not_delay_schedules(place, operate, monkeypatch):
    """While all workers of WorkerPools wait for signals, as with a NATS that hangs, schedules are still kept."""
    hanging = []

    async def hang(_self, key):
        hanging.append(key.name)
        await asyncio.Event().wait()

    monkeypatch.setattr(PoolKeeper, "keep", hang)
    spec = {"targetRef": {"name": "x"}, "engine": "Manual", "replicas": {"max": 1}}
    for number in range(9):
        body = {"apiVersion": "taskbell.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": f"p{number}"}}
        await place.kubectl.must("POST", place.kubectl.at("workerpools"), body | {"spec": spec})
    async with operate():
        await eventually(lambda: len(hanging) >= 4, "all workers hang")
        await place.make()
        await place.settled()
