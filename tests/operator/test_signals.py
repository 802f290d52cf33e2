"""What is read, and what is said when it cannot be."""

import asyncio
import base64
import contextlib

import httpx
import pytest

from taskbell.contract.worker_pools import WebSocketSignal, WorkerPoolSpec
from taskbell.kit.clock import SystemClock
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_consumers import ConsumerFacts, ConsumerMissing, Consumers
from taskbell.operator.plan.victims import Load
from taskbell.operator.signals.readings import Known, Signals
from taskbell.operator.signals.sockets import SocketsUnreadable, parse_connections, read_loads

JET_STREAM = {"stream": "S", "consumer": "c"}
SCALE = {"metadata": {"namespace": "default"}, "status": {"replicas": 2, "selector": "app=gateway"}}


class FakeCluster:
    """One Secret and some pods."""

    def __init__(self, *, secret=b"", pods=()):
        self.secret, self.pods = secret, pods

    async def get(self, *_):
        """The Secret."""
        return {"data": {"url": base64.b64encode(self.secret).decode()}}

    async def all(self, *_, labels):
        """The pods."""
        assert labels == "app=gateway"
        return self.pods


class NobodyThere:
    """Consumers of a server that does not answer; remembers who was asked."""

    def __init__(self):
        self.asked = []

    async def look(self, url, **_):
        """Nothing."""
        self.asked.append(url)
        raise BusUnavailable("not connected to NATS")


async def read(secret):
    """The reading by an address in a Secret, and the addresses that were asked."""
    reference = {"name": "nats", "key": "url"}
    signal = {"name": "s", "jetStream": {"stream": "S", "consumer": "c", "connectionSecretRef": reference}}
    given = {"targetRef": {"name": "x"}, "replicas": {"max": 3}, "signals": [signal]}
    consumers = NobodyThere()
    signals = Signals(FakeCluster(secret=secret), consumers, None, nats_url=None, clock=SystemClock())
    (reading,) = await signals.read(WorkerPoolSpec.model_validate(given), SCALE, Known())
    return reading, consumers.asked


@pytest.mark.parametrize(
    "secret", [b"", b"pa55word", b"\xffpa55word", b"https://h", b"nats://u:pa55word@[::", b"nats://h:99999", b"nats://"]
)
async def test_a_secret_that_holds_no_address_is_said_but_not_quoted(secret):
    """A wrong entry is a missing signal that names the Secret, never what is in it; a bare host name is an address."""
    reading, asked = await read(secret)
    if secret == b"pa55word":
        assert asked == ["pa55word"]
        assert reading.error == "not connected to NATS"
    else:
        assert (reading.missing, asked) == (True, [])
        assert reading.error == "entry url of Secret nats is no address of NATS"


async def test_the_line_end_of_a_secret_is_no_part_of_the_address():
    """An address as an editor saved it is followed."""
    _, asked = await read(b"nats://u:p@nats:4222\n")
    assert asked == ["nats://u:p@nats:4222"]


class Time:
    """A steady clock that a test moves."""

    steady = 0.0

    def monotonic(self):
        """Seconds that never go back."""
        return self.steady


class Working:
    """A consumer whose pods complete ten messages a second, all told, while more wait."""

    def __init__(self, clock):
        self.clock, self.burst = clock, 0

    async def look(self, _url, **_):
        """The consumer now."""
        delivered = int(10 * self.clock.steady) + self.burst
        return ConsumerFacts(pending=9000 - delivered, unacked=0, delivered=delivered, max_unacked=0)


async def test_a_pass_that_is_repeated_at_once_shows_no_pace():
    """What happened in less than five seconds changes no pace; the next reading counts from the one before it."""
    clock, known = Time(), Known()
    consumers = Working(clock)
    signals = Signals(FakeCluster(), consumers, None, nats_url="nats://h", clock=clock)
    given = {"targetRef": {"name": "x"}, "replicas": {"max": 3}, "signals": [{"name": "s", "jetStream": JET_STREAM}]}
    spec = WorkerPoolSpec.model_validate(given)
    paces = []
    for clock.steady, consumers.burst in ((0, 0), (15, 0), (15.5, 500), (30, 0)):
        await signals.read(spec, SCALE, known)
        paces.append(known.paces["s"].per_pod)
    assert paces == [None, 5.0, 5.0, 5.0]


def pod(name, *, ready=True, **status):
    """A pod at this machine's own address."""
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": {"name": name}, "status": {"podIP": "127.0.0.1", "conditions": conditions} | status}


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([], []),
        ([pod("ended", phase="Failed"), pod("evicted", ready=False, phase="Succeeded")], []),
        ([pod("a", ready=False), pod("b", ready=False)], "none of 2 pods is ready"),
        ([pod("a", podIP="")], "none of 1 pods is ready"),
    ],
)
async def test_gateways_none_of_which_is_ready_tell_nothing(pods, expected):
    """Pods that are all unready, as in an outage they share, hold the size: their connections may well be open."""
    asking = read_loads(FakeCluster(pods=pods), None, WebSocketSignal(), namespace="d", selector="app=gateway")
    if isinstance(expected, list):
        assert await asking == expected
    else:
        with pytest.raises(SocketsUnreadable, match=expected):
            await asking


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
async def test_a_gauge_that_is_no_number_is_unreadable(value, free_port):
    """What a broken exporter says is an error of the signal, not of the pass."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = f"taskbell_gateway_connections {value}\n"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    signal = WebSocketSignal(port=free_port)
    cluster = FakeCluster(pods=[pod("a")])
    async with await asyncio.start_server(answer, "127.0.0.1", free_port), httpx.AsyncClient() as http:
        with pytest.raises(SocketsUnreadable):
            await read_loads(cluster, http, signal, namespace="d", selector="app=gateway")


async def test_each_pod_tells_its_own_connections(free_port):
    """A ready pod's connections come with its name and the deletion cost that it bears; ending ones are not asked."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = "taskbell_gateway_connections 4\n"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    marked, ending = pod("marked"), pod("ending")
    marked["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "9"}
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster = FakeCluster(pods=[pod("a"), marked, ending, pod("late", ready=False)])
    signal = WebSocketSignal(port=free_port)
    async with await asyncio.start_server(answer, "127.0.0.1", free_port), httpx.AsyncClient() as http:
        loads = await read_loads(cluster, http, signal, namespace="d", selector="app=gateway")
    assert loads == [Load("a", 4), Load("marked", 4, "9")]


def test_series_are_added_up_and_never_less_than_none():
    """All series of the gauge count; a gauge that went below zero counts as none."""
    assert parse_connections('g{a="1"} 2\ng{a="2"} 3\nother 9\n', "g") == 5
    assert parse_connections("g -1\n", "g") == 0


async def test_connections_that_nobody_asks_are_closed(nats_url):
    """An address that is no longer looked at, as after a rotation, loses its connection; one in use keeps it."""
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
