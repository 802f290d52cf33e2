"""Readings of signals, and their errors."""

import asyncio
import base64
import contextlib

import httpx
import pytest

from operator_places import pod_spec, serving_gauge
from taskbell.contract.worker_pools import WebSocketSignal, WorkerPoolSpec
from taskbell.kit.clock import SystemClock
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_consumers import ConsumerFacts, ConsumerMissing, Consumers
from taskbell.operator.plan.victims import DELETION_COST, Load
from taskbell.operator.pods import Pods, SocketsUnreadable, parse_connections
from taskbell.operator.signals import SignalReader

JET_STREAM = {"stream": "S", "consumer": "c"}


@pytest.fixture
def scale(kubectl):
    """A target of 2 pods."""
    return {"metadata": {"namespace": kubectl.namespace}, "status": {"replicas": 2, "selector": "app=gateway"}}


class NobodyThere:
    """Consumers of a server that does not answer; notes the addresses."""

    def __init__(self):
        self.asked = []

    async def look(self, url, **_):
        """Fail, as without a connection."""
        self.asked.append(url)
        raise BusUnavailable("not connected to NATS")


@pytest.fixture
def read(cluster, kubectl, scale):
    """Read a signal whose address is in a Secret; returns the reading and the addresses that were used."""

    async def reading(secret):
        data = {"url": base64.b64encode(secret).decode()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nats"}, "data": data}
        await kubectl.must("POST", kubectl.at("secrets", group=""), body)
        reference = {"name": "nats", "key": "url"}
        signal = {"name": "s", "jetStream": JET_STREAM | {"connectionSecretRef": reference}}
        given = {"targetRef": {"name": "x"}, "replicas": {"max": 3}, "signals": [signal]}
        consumers = NobodyThere()
        signals = SignalReader(cluster, consumers, None, nats_url=None, clock=SystemClock())
        (found,) = await signals.read(WorkerPoolSpec.model_validate(given), scale, {})
        return found, consumers.asked

    return reading


@pytest.mark.parametrize(
    "secret", [b"", b"pa55word", b"\xffpa55word", b"https://h", b"nats://u:pa55word@[::", b"nats://h:99999", b"nats://"]
)
async def test_a_malformed_secret_is_reported_and_not_quoted(read, secret):
    """A malformed entry is an error that names the Secret and never quotes it; a bare host name is an address."""
    reading, asked = await read(secret)
    if secret == b"pa55word":
        assert asked == ["pa55word"]
        assert reading.error == "not connected to NATS"
    else:
        assert (reading.missing, asked) == (True, [])
        assert reading.error == "entry url of Secret nats is not a NATS address"


async def test_the_line_end_of_a_secret_is_not_part_of_the_address(read):
    """An address with a line end, as editors save it, works."""
    _, asked = await read(b"nats://u:p@nats:4222\n")
    assert asked == ["nats://u:p@nats:4222"]


class Working:
    """A consumer whose pods complete ten messages a second together while more wait."""

    def __init__(self, clock):
        self.clock, self.burst = clock, 0

    async def look(self, _url, **_):
        """The consumer now."""
        delivered = int(10 * self.clock.steady) + self.burst
        return ConsumerFacts(pending=9000 - delivered, unacked=0, delivered=delivered, max_unacked=0)


async def test_a_second_reading_at_once_changes_no_pace(cluster, scale, still_clock):
    """A reading within five seconds of another changes no pace; the next one counts from the earlier one."""
    clock, known = still_clock, {}
    consumers = Working(clock)
    signals = SignalReader(cluster, consumers, None, nats_url="nats://h", clock=clock)
    given = {"targetRef": {"name": "x"}, "replicas": {"max": 3}, "signals": [{"name": "s", "jetStream": JET_STREAM}]}
    spec = WorkerPoolSpec.model_validate(given)
    paces = []
    for clock.steady, consumers.burst in ((0, 0), (15, 0), (15.5, 500), (30, 0)):
        (reading,) = await signals.read(spec, scale, known)
        known = {"s": reading.pace}
        paces.append(reading.pace.per_pod)
    assert paces == [None, 5.0, 5.0, 5.0]


@pytest.fixture
def pod(kubectl):
    """Create a pod at 127.0.0.1; returns its path."""

    async def make(name, *, app="gateway", ready=True, cost=None, **status):
        annotations = {} if cost is None else {DELETION_COST: cost}
        metadata = {"name": name, "labels": {"app": app}, "annotations": annotations}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec("gateway")}
        path = kubectl.at("pods", name, group="")
        await kubectl.must("POST", kubectl.at("pods", group=""), body)
        reported = {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": str(ready)}]} | status
        await kubectl.must_merge(f"{path}/status", {"status": reported})
        return path

    return make


@pytest.fixture
def loads(cluster, kubectl):
    """Read the connections of the gateway pods."""

    async def read(http, **signal):
        pods = Pods(cluster, http, SystemClock())
        return await pods.loads(WebSocketSignal(**signal), await pods.all(kubectl.namespace, "app=gateway"))

    return read


@pytest.mark.parametrize(
    "pods", [{}, {"ended": {"phase": "Failed"}, "evicted": {"ready": False, "phase": "Succeeded"}}]
)
async def test_pods_that_ended_have_no_connections(loads, pod, pods):
    """Without running pods there are no connections, and that is not an error."""
    for name, how in pods.items():
        await pod(name, **how)
    assert await loads(None) == []


@pytest.mark.parametrize("pods", [{"a": {"ready": False}, "b": {"ready": False}}, {"a": {"podIP": None}}])
async def test_pods_that_are_all_unready_cannot_be_read(loads, pod, pods):
    """If no pod is ready, as in a common outage, the signal cannot be read: connections may still be open."""
    for name, how in pods.items():
        await pod(name, **how)
    with pytest.raises(SocketsUnreadable, match=f"none of {len(pods)} pods is ready"):
        await loads(None)


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
async def test_a_gauge_that_is_not_a_number_cannot_be_read(loads, pod, value, free_port):
    """A gauge that is not a number is an error of the signal and does not fail the pass."""
    await pod("a")
    async with serving_gauge(free_port, lambda: value), httpx.AsyncClient() as http:
        with pytest.raises(SocketsUnreadable):
            await loads(http, port=free_port)


@pytest.mark.feature("K6")
@pytest.mark.parametrize(
    ("chunk", "pause", "said"),
    [(b"x" * 65536, 0.0, "larger than 2097152 bytes"), (b"g 1\n", 0.05, "no answer in time")],
)
async def test_an_answer_without_end_cannot_be_read(monkeypatch, loads, pod, free_port, chunk, pause, said):
    """A pod whose metrics never end takes neither memory nor the time of other pools: its signal cannot be read."""
    monkeypatch.setattr("taskbell.operator.pods._ANSWER_WITHIN", 1.0 if pause else 60.0)
    await pod("a")

    ended = asyncio.Event()

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(OSError):
            while not reader.at_eof():
                writer.write(chunk)
                await writer.drain()
                await asyncio.sleep(pause)
        writer.close()
        ended.set()

    async with await asyncio.start_server(answer, "127.0.0.1", free_port), httpx.AsyncClient(timeout=3) as http:
        with pytest.raises(SocketsUnreadable, match=said):
            await loads(http, port=free_port)
        await ended.wait()


async def test_each_ready_pod_gives_its_connections(loads, pod, being_deleted, free_port):
    """Each ready pod gives its connections and deletion cost; pods that end and pods of others are not asked."""
    await pod("a")
    await pod("marked", cost="9")
    await pod("late", ready=False)
    await pod("others", app="api")
    async with (
        being_deleted(await pod("ending")),
        serving_gauge(free_port, lambda: 4),
        httpx.AsyncClient() as http,
    ):
        assert await loads(http, port=free_port) == [Load("a", 4), Load("marked", 4, "9")]


def test_series_are_added_and_never_negative():
    """All series of the gauge are added; a negative gauge counts as zero."""
    assert parse_connections('g{a="1"} 2\ng{a="2"} 3\nother 9\n', "g") == 5
    assert parse_connections("g -1\n", "g") == 0


async def test_unused_connections_are_closed(nats_url):
    """The connection to an address that is no longer used, as after a rotation, is closed; others stay open."""
    async with Consumers(name="test", unused_after=0.2) as consumers:

        async def look(url):
            with contextlib.suppress(ConsumerMissing):
                await consumers.look(url, stream="S", consumer="c")

        await asyncio.gather(*(look(nats_url) for _ in range(5)))
        assert consumers.connections == 1
        await look(f"{nats_url}/")
        assert consumers.connections == 2
        while consumers.connections > 1:
            await asyncio.sleep(0.05)
            await look(nats_url)
        await look(nats_url)
    assert consumers.connections == 0
