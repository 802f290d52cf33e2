"""A pool that shrinks in steps: pure decisions, pods that end, and what the status says of them."""

from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernetes_emulator.proxy import Fault
from operator_places import pod_spec, serving_gauge
from taskbell.contract.worker_pools import Drain, WorkerPoolSpec, WorkerPoolStatus
from taskbell.operator.plan.conditions import instant
from taskbell.operator.plan.draining import Ending, in_steps, in_words
from taskbell.operator.plan.need import Reading, read_sockets
from taskbell.operator.plan.scaling import Memory, decide
from taskbell.operator.plan.victims import Load
from taskbell.operator.signals import SignalReader

SOCKETS = {"name": "s", "webSocket": {"perReplica": 100, "headroomPercent": 0}}
AT_ONCE = {"scaleUp": {"policies": []}, "scaleDown": {"stabilizationWindowSeconds": 0, "policies": []}}


def ending(pod="a", *, lasting=10.0, grace=30.0, connections=None):
    """A pod that ends."""
    return Ending(pod=pod, since="2026-11-20T12:00:00Z", lasting=lasting, grace=grace, connections=connections)


endings = st.lists(st.floats(0, 200).map(lambda lasting: ending(lasting=lasting)), max_size=20)


@given(endings, st.integers(0, 20), st.integers(0, 100), st.integers(0, 100), st.integers(1, 30), st.booleans())
def test_never_more_than_allowed_end_at_a_time(ending_now, leaving, wanted, current, at_once, enabled):
    """A step goes towards the wanted size; with it no more pods end than may; growing is never held up."""
    drain = Drain(enabled=enabled, timeout="60s", max_concurrent=at_once)
    size = in_steps(drain, ending_now, leaving=leaving, wanted=wanted, current=current)
    if not enabled or wanted >= current:
        assert size == wanted
        return
    busy = leaving + sum(one.lasting < 60 for one in ending_now)
    assert wanted <= size <= current
    assert size == current or busy + (current - size) <= at_once
    assert size == wanted or busy + (current - size) >= at_once, "it goes as far as it may"


@given(st.integers(1, 5), st.integers(0, 40), st.integers(1, 40), st.integers(1, 90))
def test_every_pool_arrives(at_once, least, more, lasting):
    """However long pods take to end, a pool comes to the wanted size: the timeout lets the next ones go."""
    drain, current, ending_since, now = Drain(enabled=True, timeout="60s", max_concurrent=at_once), least + more, [], 0
    for _ in range(15 * more + 10):
        now += 15
        ending_since = [since for since in ending_since if now - since < lasting]
        known = [ending(lasting=now - since) for since in ending_since]
        size = in_steps(drain, known, leaving=0, wanted=least, current=current)
        ending_since += [now] * (current - size)
        current = size
    assert current == least


def test_a_decision_says_that_pods_end():
    """What keeps the size from the recommendation is `Draining`; with engine Manual, too."""
    given_ = {"targetRef": {"name": "x"}, "replicas": {"min": 1, "max": 9}, "drain": {"enabled": True}}
    native = WorkerPoolSpec.model_validate(given_ | {"signals": [SOCKETS], "behavior": AT_ONCE})
    reading = Reading(name="s", value=100, needed=1.0, wakes=True)
    free, _ = decide(native, Memory(), [reading], current=5, now=0)
    assert (free.size, free.recommended, free.limited_by) == (4, 1, "Draining")
    busy, _ = decide(native, Memory(), [reading], current=5, now=0, endings=[ending()])
    assert (busy.size, busy.limited_by) == (5, "Draining")
    manual = WorkerPoolSpec.model_validate(given_ | {"engine": "Manual"})
    assert decide(manual, Memory(), (), current=5, now=0)[0].size == 4
    shrunk = Memory(changes=((0, -1),))
    assert decide(manual, shrunk, (), current=5, now=15, leaving=1)[0].size == 5


def test_a_rollout_that_does_not_end_holds_up_no_pool():
    """Pods above the size hold it up for the timeout after it shrank by itself; those of a stuck rollout do not."""
    drain = {"enabled": True, "timeout": "60s"}
    given_ = {"targetRef": {"name": "x"}, "replicas": {"min": 2, "max": 20}, "drain": drain, "signals": [SOCKETS]}
    spec = WorkerPoolSpec.model_validate(given_ | {"behavior": AT_ONCE})

    def size(leaving, *changes):
        memory = Memory(changes=changes)
        return decide(spec, memory, [Reading(name="s", value=1, needed=2)], current=9, now=100, leaving=leaving)[0].size

    assert size(0) == 8
    assert size(1) == 8, "the pod that a rollout adds"
    assert size(1, (90, -1)) == 9, "a pod that nobody asked to end yet"
    assert size(1, (30, -1)) == 8, "that was long ago"
    assert size(1, (90, 1)) == 8


def test_connections_of_pods_that_end_count():
    """Their clients come back to the other pods; a number that is unknown counts as none."""
    signal = WorkerPoolSpec.model_validate({"targetRef": {"name": "x"}, "replicas": {"max": 9}, "signals": [SOCKETS]})
    sockets = signal.signals[0].web_socket
    reading = read_sockets("s", sockets, [Load("a", 100)], [ending(connections=150), ending("b")])
    assert (reading.value, reading.pods, reading.loads) == (250, 3, (Load("a", 100),))


def test_words_about_pods_that_end():
    """They name five pods, count the others, and warn of a timeout that is too short; nothing ends, no words."""
    drain = Drain(enabled=True, timeout="20s")
    assert in_words(drain, ()) == ""
    one = in_words(drain, [ending(connections=3)])
    assert (
        one
        == "pods that end: a (3 connections, 10 s); drain.timeout 20s is shorter than the time that pods have to end"
    )
    assert in_words(drain, [ending(grace=20)] * 7) == "pods that end: " + ", ".join(["a (10 s)"] * 5) + " and 2 more"


@pytest.fixture
async def gateways(kubectl, being_deleted):
    """Create pods of gateways at 127.0.0.1, ready; returns the path of each."""

    async def make(*names):
        paths = []
        for name in names:
            metadata = {"name": name, "labels": {"app": "gateway"}}
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec("gateway")}
            await kubectl.must("POST", kubectl.at("pods", group=""), body)
            paths.append(kubectl.at("pods", name, group=""))
            status = {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
            await kubectl.must_merge(f"{paths[-1]}/status", {"status": status})
        return paths

    return make


@pytest.mark.feature("K3", "K6")
async def test_gateways_go_one_after_another(cluster, pools, still_clock, gateways, being_deleted, free_port):
    """A pool shrinks by a pod, waits until that one is gone, and lists it with its connections meanwhile."""
    async with serving_gauge(free_port, lambda: 40), httpx.AsyncClient() as http:
        place = pools(SignalReader(cluster, None, http, nats_url=None, clock=still_clock))
        await place.deploy("gateway", replicas=4)
        _, second = await gateways("gateway-a", "gateway-b")
        signal = {"name": "s", "webSocket": SOCKETS["webSocket"] | {"port": free_port}}
        drain = {"enabled": True, "timeout": "90s", "maxConcurrent": 1}
        await place.make("gateway", signals=[signal], drain=drain, behavior=AT_ONCE)
        assert await place.look(name="gateway") == 3, "two pods with 40 connections each need one"
        status = await place.status("gateway")
        assert (status["limitedBy"], status["draining"], status["recommended"]) == ("Draining", [], 1)
        async with being_deleted(second):
            assert await place.look(name="gateway") == 3
            status = WorkerPoolStatus.model_validate(await place.status("gateway"))
            (pod,) = status.draining
            assert (pod.name, pod.connections, status.signals[0].value) == ("gateway-b", 40, 80)
            assert await place.condition("Progressing", "gateway") == ("True", "PodsEnd")
            assert abs(datetime.fromisoformat(pod.since).timestamp() - still_clock.time) < 3600
            assert await place.look(name="gateway", after=91) == 2, "after the timeout the next one goes"
        assert await place.look(name="gateway") == 1
        assert (await place.status("gateway"))["draining"] == []


async def test_a_pod_that_does_not_answer_is_listed(cluster, pools, still_clock, gateways, being_deleted, free_port):
    """A pod that ends and does not tell its connections is listed without them, and disturbs no reading."""
    async with httpx.AsyncClient() as http:
        place = pools(SignalReader(cluster, None, http, nats_url=None, clock=still_clock))
        await place.deploy(replicas=2)
        (path,) = await gateways("gateway-a")
        await place.kubectl.must_merge(path, {"metadata": {"labels": {"app": "delivery"}}})
        await place.make(engine="Manual", replicas={"min": 1, "max": 6}, signals=[], drain={"enabled": True})
        async with being_deleted(path):
            assert await place.look() == 2
            (pod,) = (await place.status())["draining"]
            assert set(pod) == {"name", "since"}
            assert instant(datetime.fromisoformat(pod["since"]).astimezone(UTC)) == pod["since"]


@pytest.mark.feature("K6")
async def test_a_pass_reads_the_pods_once(cluster, pools, proxy, still_clock, gateways, being_deleted, free_port):
    """The signal and the draining share a list of the pods, and each pod that ends is asked once."""
    asked = []

    def gauge():
        asked.append(True)
        return 40

    async with serving_gauge(free_port, gauge), httpx.AsyncClient() as http:
        place = pools(SignalReader(cluster, None, http, nats_url=None, clock=still_clock))
        await place.deploy("gateway", replicas=2)
        _, second = await gateways("gateway-a", "gateway-b")
        signal = {"name": "s", "webSocket": SOCKETS["webSocket"] | {"port": free_port}}
        await place.make("gateway", signals=[signal], drain={"enabled": True}, behavior=AT_ONCE)
        async with being_deleted(second):
            await place.look(name="gateway")
    (pod,) = (await place.status("gateway"))["draining"]
    assert (pod["name"], pod["connections"]) == ("gateway-b", 40)
    assert len(asked) == 2
    assert sum(call.method == "GET" and call.path.endswith("/pods") for call in proxy.calls) == 1


async def test_pods_that_cannot_be_listed_are_told_in_the_status(cluster, pools, proxy, still_clock):
    """A pool whose pods the API server does not list holds its size and says why, also where they drain."""
    async with httpx.AsyncClient() as http:
        place = pools(SignalReader(cluster, None, http, nats_url=None, clock=still_clock))
        await place.deploy("gateway", replicas=2)
        await place.make("gateway", signals=[SOCKETS], drain={"enabled": True}, behavior=AT_ONCE)
        proxy.faults.append(Fault(method="GET", path_ends="/pods", status=403, times=9))
        assert await place.look(name="gateway") == 2
    (signal,) = (await place.status("gateway"))["signals"]
    assert "pods" in signal["error"]
