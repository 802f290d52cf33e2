"""One kind of object never waits for another."""

import asyncio

from taskbell.operator.reconcile.worker_pool import PoolKeeper


async def test_pools_that_hang_hold_no_schedule_up(place, operate, until, monkeypatch):
    """While every worker waits for signals of pools, as with a NATS that hangs, schedules are kept all the same."""
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
        await until(lambda: len(hanging) >= 4, what="all workers hang")
        await place.make()
        await place.settled()
