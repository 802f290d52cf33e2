"""WorkerPools on an API server and a real NATS; the tests make each pass and set the time."""

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

from kubernetes_emulator.proxy import Fault
from operator_places import serving_gauge
from taskbell.contract.worker_pools import WorkerPoolStatus
from taskbell.kit.nats_consumers import Consumers
from taskbell.operator.cluster import ClusterRefused
from taskbell.operator.signals import SignalReader
from taskbell.testing.waiting import eventually

APPS = "apps/v1"
BACKLOG = int(os.environ.get("TASKBELL_TEST_BACKLOG", "2000"))
"""Messages of the large backlog. The feature list says 100,000; that many take a minute and scale alike."""


QUICK = {"scaleUp": {"policies": []}, "scaleDown": {"stabilizationWindowSeconds": 0, "policies": []}}
"""No window and no policy."""


@pytest.fixture
def clock(clock):
    """Time whose monotonic clock follows when a test sets it, since windows and intervals use that one."""
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
        await asyncio.gather(*(message.ack_sync(timeout=30) for message in messages))
        count -= len(messages)
    await pull.unsubscribe()


@pytest.fixture
def keeping(cluster, clock, pools):
    """Make a keeper of pools without Kopf."""

    @contextlib.asynccontextmanager
    async def made(nats_url):
        async with Consumers(name="test") as consumers, httpx.AsyncClient() as http:
            signals = SignalReader(cluster, consumers, http, nats_url=nats_url, clock=clock)
            yield pools(signals, clock)

    return made


@pytest.fixture
async def place(keeping, nats_url):
    """A Deployment `delivery` and a keeper."""
    async with keeping(nats_url) as place:
        await place.deploy()
        yield place


@pytest.fixture
def recorded(events):
    """Read reasons and messages of all events, in order."""

    async def read():
        return [(event["reason"], event["message"]) for event in await events()]

    return read


@pytest.mark.feature("K6")
async def test_a_backlog_scales_drains_and_comes_down_stabilized(place, work, recorded):
    """By default a backlog grows the pool to 5, 10 and 20; once drained, the size stays for 300 s and then is 1."""
    await fill(work, BACKLOG)
    await place.make(backlog_per_replica=BACKLOG // 20)
    assert [await place.look() for _ in range(4)] == [5, 10, 20, 20]
    status = await place.status()
    assert (status["recommended"], status["desiredReplicas"], status["limitedBy"]) == (20, 20, "")
    assert status["signals"] == [{"name": "backlog", "value": BACKLOG, "desired": 20}]
    assert ("ScaledUp", f"from 10 to 20 pods: backlog = {BACKLOG} asks for 20") in await recorded()
    await drain(work, BACKLOG)
    assert [await place.look(after=60) for _ in range(4)] == [20, 20, 20, 20]
    assert (await place.status())["limitedBy"] == "Stabilization"
    assert await place.look(after=61) == 1
    assert await place.condition("Degraded") == ("False", "Healthy")
    assert (await recorded())[-1][0] == "ScaledDown"


async def test_nothing_is_written_while_nothing_changes(place, work, proxy):
    """Passes over a settled pool write nothing."""
    await fill(work, 200)
    await place.make()
    for _ in range(3):
        await place.look()
    before = len(proxy.writes())
    for _ in range(5):
        await place.look()
    assert proxy.writes()[before:] == []


async def test_a_deleted_consumer_holds_the_size(place, work, recorded):
    """Without its consumer a pool keeps its size, is Degraded at once, and recovers by itself."""
    await fill(work, 600)
    await place.make()
    for _ in range(2):
        await place.look()
    await work.delete_consumer("WORK", "delivery")
    assert [await place.look(after=400) for _ in range(3)] == [6, 6, 6]
    assert await place.condition("Degraded") == ("True", "SignalMissing")
    assert await place.condition("Ready") == ("False", "SizeHeld")
    assert "there is no consumer delivery" in (await place.status())["signals"][0]["error"]
    await work.add_consumer("WORK", ConsumerConfig(durable_name="delivery"))
    await place.look()
    assert await place.condition("Degraded") == ("False", "Healthy")
    reasons = [reason for reason, _ in await recorded()]
    assert reasons.count("SignalMissing") == 1
    assert reasons.count("Recovered") == 1


async def test_without_nats_the_size_is_held(keeping, free_port, monkeypatch):
    """While NATS does not answer, the pool keeps its size, and is Degraded after three failures."""
    monkeypatch.setattr("taskbell.kit.nats_consumers._FIRST_PATIENCE", 0.05)
    async with keeping(f"nats://127.0.0.1:{free_port}") as place:
        await place.deploy(replicas=7)
        await place.make()
        seen = []
        for _ in range(4):
            assert await place.look(after=400) == 7
            seen.append(await place.condition("Degraded"))
    assert seen == [("False", "SignalUnreadable")] * 2 + [("True", "SignalUnreadable")] * 2
    assert (await place.status())["signals"][0]["error"] == "not connected to NATS"


async def test_unacknowledged_messages_keep_the_last_pod(place, work):
    """A pool with `min: 0` does not scale to zero while a message is unacknowledged."""
    await fill(work, 100)
    await place.make(replicas={"min": 0, "max": 5}, idle={"cooldown": "0s"}, behavior=QUICK)
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
async def test_a_second_writer_of_the_size_is_reported(place, work, kind):
    """If another object sets the size of the target, nothing is scaled, and the condition names that object."""
    if kind == "workerpools":
        api = "taskbell.dev/v1alpha1"
        spec = {"targetRef": {"name": "delivery"}, "engine": "Manual", "replicas": {"max": 3}}
        await place.add(place.kubectl.at(kind), "WorkerPool", "another", apiVersion=api, spec=spec)
        # The elder keeps the size; times of making are whole seconds, and of the same second the first name counts.
    else:
        api = "autoscaling/v2"
        target = {"apiVersion": APPS, "kind": "Deployment", "name": "delivery"}
        spec = {"scaleTargetRef": target, "maxReplicas": 3}
        path = place.kubectl.at(kind, group=api)
        await place.add(path, "HorizontalPodAutoscaler", "another", apiVersion=api, spec=spec)
    await fill(work, 500)
    await place.make()
    assert await place.look() == 1
    assert await place.condition("Ready") == ("False", "SizeIsAnothers")
    message = next(c["message"] for c in (await place.status())["conditions"] if c["type"] == "Ready")
    assert "another also sets the size of Deployment delivery" in message
    await place.kubectl.must("DELETE", place.kubectl.at(kind, "another", group=api))
    assert await place.look() == 5


async def test_a_missing_target_is_reported(place, work):
    """A pool without its Deployment reports that and waits."""
    await place.kubectl.must("DELETE", place.kubectl.at("deployments", "delivery", group=APPS))
    await place.make()
    await place.keeper.keep(place.key())
    assert await place.condition("Ready") == ("False", "TargetMissing")
    await place.deploy()
    await place.look()
    assert await place.condition("Ready") == ("True", "SizeKept")


async def test_manual_follows_kubectl_scale(place):
    """Under engine Manual the scale subresource sets the size; a size beyond the bounds is refused with them."""
    await place.make(engine="Manual", replicas={"min": 1, "max": 6}, signals=[])
    assert await place.look() == 1
    path = place.kubectl.at("workerpools", "delivery", "scale")
    scale = await place.kubectl.must("GET", path)
    scale["spec"]["replicas"] = 4
    assert (await place.kubectl.must("PUT", path, scale))["spec"] == {"replicas": 4}
    assert await place.look(after=1) == 4
    await place.look()
    shown = (await place.kubectl.must("GET", path))["status"]
    assert shown == {"replicas": 4, "selector": "app=delivery"}
    scale = await place.kubectl.must("GET", path)
    scale["spec"]["replicas"] = 7
    status, answer = await place.kubectl.send("PUT", path, scale)
    assert status == 422
    assert "replicas.manual must be from replicas.min to replicas.max" in answer["message"]
    assert await place.look() == 4


async def test_a_conflict_on_scale_decides_again(place, work, proxy):
    """A size that somebody changes during a pass is not overwritten: the pass fails, and the next one sees it."""
    await fill(work, 400)
    await place.make()
    proxy.faults.append(Fault(method="PATCH", path_ends="/delivery/scale", status=409))
    with pytest.raises(ClusterRefused, match="409"):
        await place.look()
    assert await place.size() == 1
    assert await place.look() == 4


async def test_the_address_may_come_from_a_secret(keeping, nats_url, work):
    """`connectionSecretRef` gives the address; without the Secret a new pool waits, and after 5 minutes is Degraded."""
    await fill(work, 300)
    signal = {"stream": "WORK", "consumer": "delivery", "backlogPerReplica": 100}
    reference = {"connectionSecretRef": {"name": "nats", "key": "url"}}
    async with keeping(None) as place:
        await place.deploy()
        await place.make(signals=[{"name": "backlog", "jetStream": signal | reference}])
        assert await place.look() == 1
        waiting = [await place.condition(type_) for type_ in ("Ready", "Progressing", "Degraded")]
        assert waiting == [(status, "WaitingForPlatform") for status in ("False", "True", "False")]
        assert await place.look(after=300) == 1
        assert await place.condition("Degraded") == ("True", "SignalMissing")
        data = {"url": base64.b64encode(nats_url.encode()).decode()}
        await place.add(place.kubectl.at("secrets", group=""), "Secret", "nats", apiVersion="v1", data=data)
        assert await place.look() == 3


@pytest.mark.feature("K3", "K6")
async def test_open_sockets_scale_gateways(place, free_port):
    """Connections of ready pods are added; a pod that does not answer holds the size; shrinking marks each pod."""
    open_now = {"connections": 0}
    for number, address in enumerate(("127.0.0.1", "127.0.0.1", "")):
        ready = {"conditions": [{"type": "Ready", "status": "True"}]} | ({"podIP": address} if address else {})
        await place.start_pod(f"gateway-{number}", labels={"app": "gateway"}, **ready)
    await place.deploy("gateway", replicas=2)
    sockets = {"port": free_port, "perReplica": 1000, "headroomPercent": 50}
    await place.make("gateway", signals=[{"name": "sockets", "webSocket": sockets}])
    async with serving_gauge(free_port, lambda: open_now["connections"]):
        open_now["connections"] = 900
        assert await place.look(name="gateway") == 4
        assert (await place.status("gateway"))["signals"] == [{"name": "sockets", "value": 1800, "desired": 4}]
    assert await place.look(name="gateway", after=400) == 4
    assert "/metrics" in (await place.status("gateway"))["signals"][0]["error"]
    async with serving_gauge(free_port, lambda: open_now["connections"]):
        open_now["connections"] = 100
        assert await place.look(name="gateway", after=400) == 1
    marks = await place.annotations("gateway-0", "gateway-1", "gateway-2")
    assert [mark.get("controller.kubernetes.io/pod-deletion-cost") for mark in marks] == ["100", "100", None]


async def test_the_running_operator_keeps_pools(place, operate, work):
    """With Kopf's watches a new pool is sized at once, and its status matches the definition."""
    await fill(work, 400)
    async with operate():
        await place.make()

        async def sized():
            return await place.status() and await place.size() == 4

        await eventually(sized, "it is sized")
    assert WorkerPoolStatus.model_validate(await place.status()).desired_replicas == 4


async def test_a_deleted_pool_leaves_no_metrics(place, work):
    """The metrics of a deleted pool are removed, and its Deployment keeps its size."""
    await fill(work, 300)
    await place.make()
    assert await place.look() == 3
    mine = f'namespace="{place.kubectl.namespace}",pool="delivery"'
    assert mine in generate_latest().decode()
    await place.kubectl.must("DELETE", place.kubectl.at("workerpools", "delivery"))
    outcome = await place.keeper.keep(place.key())
    assert outcome.gone
    assert mine not in generate_latest().decode()
    assert await place.size() == 3
