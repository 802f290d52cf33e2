"""WorkerPools on the emulated API server and a real NATS; passes are made one by one, so that time is the test's."""

import asyncio
import base64
import contextlib
import os
import time

import httpx
import nats
import pytest
from nats.js.api import ConsumerConfig
from prometheus_client import generate_latest

from taskbell.contract.worker_pools import WorkerPoolStatus
from taskbell.kit.nats_consumers import Consumers
from taskbell.operator.cluster import Cluster, ClusterRefused, open_api
from taskbell.operator.events import Events
from taskbell.operator.queue import Key
from taskbell.operator.reconcile.worker_pool import PoolKeeper
from taskbell.operator.signals.readings import Signals
from taskbell.testing.kubernetes import Fault

BACKLOG = int(os.environ.get("TASKBELL_TEST_BACKLOG", "2000"))
"""Messages of the large backlog. The promise speaks of 100,000; that many take a minute and scale the same."""


QUICK = {"scaleUp": {"policies": []}, "scaleDown": {"stabilizationWindowSeconds": 0, "policies": []}}
"""No window and no policy."""


class PoolPlace:
    """A namespace with a Deployment, a pool, and passes over it."""

    def __init__(self, server, keeper, clock):
        self.server, self.keeper, self.clock = server, keeper, clock
        self.pools, self.deployments = server.kind("workerpools"), server.kind("deployments")

    def deploy(self, name="delivery", replicas=1):
        """Make a Deployment with all its pods."""
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
        self.server.store.create(
            self.deployments, "default", {"metadata": {"name": name}, "spec": spec}, manager="helm"
        )
        self.start_pods(name)

    def start_pods(self, name="delivery"):
        """What the Deployment's controller would do: as many pods as are wanted."""
        body = self.server.store.get(self.deployments, "default", name)
        body["status"] = {"replicas": body["spec"]["replicas"]}
        self.server.store.update(self.deployments, "default", name, body, manager="controller", subresource="status")

    def make(self, name="delivery", *, backlog_per_replica=100, **spec):
        """Make a pool with one backlog signal."""
        signal = {"stream": "WORK", "consumer": "delivery", "backlogPerReplica": backlog_per_replica}
        given = {
            "targetRef": {"name": name},
            "replicas": {"min": 1, "max": 30},
            "signals": [{"name": "backlog", "jetStream": signal}],
        }
        self.server.store.create(
            self.pools, "default", {"metadata": {"name": name}, "spec": given | spec}, manager="me"
        )

    async def look(self, *, after=15.0, name="delivery"):
        """One pass, some time later, with the pods started before it; returns the size then."""
        self.start_pods(name)
        self.clock.time += after
        await self.keeper.keep(Key("WorkerPool", "default", name))
        return self.size(name)

    def size(self, name="delivery"):
        """The size that the Deployment shall have."""
        return self.server.store.get(self.deployments, "default", name)["spec"]["replicas"]

    def status(self, name="delivery"):
        """The pool's status."""
        return self.server.store.get(self.pools, "default", name).get("status", {})

    def condition(self, type_, name="delivery"):
        """Status and reason of a condition, or None."""
        found = (c for c in self.status(name).get("conditions", []) if c["type"] == type_)
        return next(((c["status"], c["reason"]) for c in found), None)

    def events(self):
        """Reasons and messages of all events."""
        kind = self.server.kind("events", "")
        return [(event["reason"], event["message"]) for event in self.server.store.all(kind)]


@pytest.fixture
def clock(clock):
    """Time whose monotonic clock goes along when a test sets it: windows and intervals are counted by that one."""
    began = clock.time
    clock.monotonic = lambda: time.monotonic() + clock.time - began
    return clock


@pytest.fixture
async def work(nats_url):
    """A connection, and a stream with a durable pull consumer."""
    connection = await nats.connect(nats_url)
    context = connection.jetstream()
    await context.add_stream(name="WORK", subjects=["work"])
    await context.add_consumer("WORK", ConsumerConfig(durable_name="delivery", max_ack_pending=500))
    yield context
    await connection.close()


async def fill(work, count):
    """Publish messages and wait until all are stored."""
    for _ in range(count // 100):
        await asyncio.gather(*(work.publish("work", b"x") for _ in range(100)))


async def drain(work, count):
    """Take and acknowledge messages."""
    pull = await work.pull_subscribe_bind("delivery", "WORK")
    while count > 0:
        messages = await pull.fetch(min(count, 200), timeout=5)
        await asyncio.gather(*(message.ack_sync() for message in messages))
        count -= len(messages)
    await pull.unsubscribe()


@contextlib.asynccontextmanager
async def keeping(server, clock, nats_url):
    """A keeper of pools without Kopf."""
    async with await open_api(url=server.url) as api, Consumers(name="test") as consumers, httpx.AsyncClient() as http:
        cluster = Cluster(api)
        signals = Signals(cluster, consumers, http, nats_url=nats_url, clock=clock)
        events = Events(cluster, clock=clock, reporter="test")
        yield PoolPlace(server, PoolKeeper(cluster, events, signals, interval=15, clock=clock), clock)


@pytest.fixture
async def place(server, clock, nats_url):
    """A Deployment `delivery` and a keeper."""
    async with keeping(server, clock, nats_url) as place:
        place.deploy()
        yield place


@pytest.mark.feature("K6")
async def test_a_backlog_scales_drains_and_comes_down_stabilized(place, work):
    """By the defaults a backlog grows the pool 1, 5, 10, 20; drained, it stays for 300 s and then is the least size."""
    await fill(work, BACKLOG)
    place.make(backlog_per_replica=BACKLOG // 20)
    assert [await place.look() for _ in range(4)] == [5, 10, 20, 20]
    status = place.status()
    assert (status["recommended"], status["desiredReplicas"], status["limitedBy"]) == (20, 20, "")
    assert status["signals"] == [{"name": "backlog", "value": BACKLOG, "desired": 20}]
    assert ("ScaledUp", f"from 10 to 20 pods: backlog = {BACKLOG} asks for 20") in place.events()
    await drain(work, BACKLOG)
    assert [await place.look(after=60) for _ in range(4)] == [20, 20, 20, 20]
    assert place.status()["limitedBy"] == "Stabilization"
    assert await place.look(after=61) == 1
    assert place.condition("Degraded") == ("False", "Healthy")
    assert place.events()[-1][0] in {"ScaledDown", "ScaledUp"}


async def test_nothing_is_written_while_nothing_changes(place, work):
    """Passes over a pool at rest read, and write nothing."""
    await fill(work, 200)
    place.make()
    for _ in range(3):
        await place.look()
    before = len(place.server.writes())
    for _ in range(5):
        await place.look()
    assert place.server.writes()[before:] == []


async def test_a_deleted_consumer_holds_and_is_said(place, work):
    """Neither zero nor the greatest size: the pool keeps its size, is Degraded at once, and recovers by itself."""
    await fill(work, 600)
    place.make()
    for _ in range(2):
        await place.look()
    await work.delete_consumer("WORK", "delivery")
    assert [await place.look(after=400) for _ in range(3)] == [6, 6, 6]
    assert place.condition("Degraded") == ("True", "SignalMissing")
    assert place.condition("Ready") == ("False", "SizeHeld")
    assert "there is no consumer delivery" in place.status()["signals"][0]["error"]
    await work.add_consumer("WORK", ConsumerConfig(durable_name="delivery"))
    await place.look()
    assert place.condition("Degraded") == ("False", "Healthy")
    reasons = [reason for reason, _ in place.events()]
    assert reasons.count("SignalMissing") == 1
    assert reasons.count("Recovered") == 1


async def test_without_nats_the_size_is_held(server, clock, free_port):
    """When nobody answers, the pool keeps its size, and after three failures says so."""
    async with keeping(server, clock, f"nats://127.0.0.1:{free_port}") as place:
        place.deploy(replicas=7)
        place.make()
        seen = []
        for _ in range(4):
            assert await place.look(after=400) == 7
            seen.append(place.condition("Degraded"))
    assert seen == [("False", "SignalUnreadable")] * 2 + [("True", "SignalUnreadable")] * 2
    assert place.status()["signals"][0]["error"] == "not connected to NATS"


async def test_messages_that_are_out_keep_the_last_pod(place, work):
    """A pool that may go to zero does not while a message is unacknowledged."""
    await fill(work, 100)
    place.make(replicas={"min": 0, "max": 5}, idle={"cooldown": "0s"}, behavior=QUICK)
    await place.look()
    await drain(work, 99)
    pull = await work.pull_subscribe_bind("delivery", "WORK")
    (message,) = await pull.fetch(1, timeout=5)
    assert [await place.look(after=600) for _ in range(2)] == [1, 1]
    await message.ack_sync()
    assert [await place.look(after=600) for _ in range(2)] == [0, 0]
    await fill(work, 100)
    assert await place.look() == 1


@pytest.mark.parametrize("kind", ["horizontalpodautoscalers", "workerpools"])
async def test_two_writers_of_one_size_are_refused(place, work, kind):
    """With another owner of the target's size nothing is scaled, and the condition names it."""
    other = {"metadata": {"name": "another"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "delivery"}}}
    if kind == "workerpools":
        other["spec"] = {"targetRef": {"name": "delivery"}, "engine": "Manual", "replicas": {"max": 3}}
    place.server.store.create(place.server.kind(kind), "default", other, manager="me")
    place.clock.time += 5
    await fill(work, 500)
    place.make()
    assert await place.look() == 1
    assert place.condition("Ready") == ("False", "SizeIsAnothers")
    message = next(c["message"] for c in place.status()["conditions"] if c["type"] == "Ready")
    assert "another sets the size of Deployment delivery" in message
    place.server.store.delete(place.server.kind(kind), "default", "another")
    assert await place.look() == 5


async def test_a_missing_target_is_said(place, work):
    """A pool without its Deployment waits for it."""
    place.server.store.delete(place.deployments, "default", "delivery")
    place.make()
    await place.keeper.keep(Key("WorkerPool", "default", "delivery"))
    assert place.condition("Ready") == ("False", "TargetMissing")
    place.deploy()
    await place.look()
    assert place.condition("Ready") == ("True", "SizeKept")


async def test_manual_follows_kubectl_scale(place):
    """Under engine Manual the pool's own scale subresource sets the size, within the bounds."""
    place.make(engine="Manual", replicas={"min": 1, "max": 6}, signals=[])
    assert await place.look() == 1
    async with httpx.AsyncClient(base_url=place.server.url) as kubectl:
        path = "/apis/taskbell.dev/v1alpha1/namespaces/default/workerpools/delivery/scale"
        scale = (await kubectl.get(path)).json()
        scale["spec"]["replicas"] = 4
        assert (await kubectl.put(path, json=scale)).json()["spec"] == {"replicas": 4}
        assert await place.look(after=1) == 4
        await place.look()
        shown = (await kubectl.get(path)).json()["status"]
    assert shown == {"replicas": 4, "selector": "app=delivery"}


async def test_a_conflict_on_scale_decides_anew(place, work):
    """A size that somebody changed meanwhile is not overwritten blindly: the pass fails, the next one sees it."""
    await fill(work, 400)
    place.make()
    place.server.faults.append(Fault(method="PATCH", path_ends="/delivery/scale", status=409))
    with pytest.raises(ClusterRefused, match="409"):
        await place.look()
    assert place.size() == 1
    assert await place.look() == 4


async def test_the_address_may_come_from_a_secret(server, clock, nats_url, work):
    """`connectionSecretRef` is followed; a Secret that is not there is a missing signal."""
    await fill(work, 300)
    signal = {"stream": "WORK", "consumer": "delivery", "backlogPerReplica": 100}
    reference = {"connectionSecretRef": {"name": "nats", "key": "url"}}
    async with keeping(server, clock, None) as place:
        place.deploy()
        place.make(signals=[{"name": "backlog", "jetStream": signal | reference}])
        assert await place.look() == 1
        assert place.condition("Degraded") == ("True", "SignalMissing")
        data = {"url": base64.b64encode(nats_url.encode()).decode()}
        secret = {"metadata": {"name": "nats"}, "data": data}
        server.store.create(server.kind("secrets"), "default", secret, manager="me")
        assert await place.look() == 3


@pytest.mark.feature("K3", "K6")
async def test_open_sockets_scale_gateways(place, free_port):
    """Connections are added up over the ready pods; a ready pod that does not answer holds the size."""
    open_now = {"connections": 0}

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = f"# TYPE taskbell_gateway_connections gauge\ntaskbell_gateway_connections {open_now['connections']}\n"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    for number, address in enumerate(("127.0.0.1", "127.0.0.1", "")):
        pod = {"metadata": {"name": f"gateway-{number}", "labels": {"app": "gateway"}}}
        place.server.store.create(place.server.kind("pods"), "default", pod, manager="kubelet")
        ready = {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
        body = place.server.store.get(place.server.kind("pods"), "default", pod["metadata"]["name"]) | {"status": ready}
        place.server.store.update(
            place.server.kind("pods"), "default", pod["metadata"]["name"], body, manager="kubelet", subresource="status"
        )
    place.deploy("gateway", replicas=2)
    sockets = {"port": free_port, "perReplica": 1000, "headroomPercent": 50}
    place.make("gateway", signals=[{"name": "sockets", "webSocket": sockets}])
    async with await asyncio.start_server(answer, "127.0.0.1", free_port):
        open_now["connections"] = 900
        assert await place.look(name="gateway") == 4
        assert place.status("gateway")["signals"] == [{"name": "sockets", "value": 1800, "desired": 4}]
    assert await place.look(name="gateway", after=400) == 4
    assert "/metrics" in place.status("gateway")["signals"][0]["error"]


async def test_the_running_operator_keeps_pools(place, operate, until, work):
    """Watched by Kopf, a new pool is sized at once, and its status is of the promised shape."""
    await fill(work, 400)
    async with operate():
        place.make()
        await place.server.wake()
        await until(lambda: place.status() and place.size() == 4, what="it is sized")
    assert WorkerPoolStatus.model_validate(place.status()).desired_replicas == 4


async def test_a_deleted_pool_leaves_no_metrics(place, work):
    """What was measured of a pool goes with it, and its Deployment stays as it was."""
    await fill(work, 300)
    place.make()
    assert await place.look() == 3
    assert 'pool="delivery"' in generate_latest().decode()
    place.server.store.delete(place.pools, "default", "delivery")
    outcome = await place.keeper.keep(Key("WorkerPool", "default", "delivery"))
    assert outcome.gone
    assert 'pool="delivery"' not in generate_latest().decode()
    assert place.size() == 3
