"""The cap of a user's connections holds for all gateways together."""

import asyncio
import contextlib
import signal
import subprocess

import nats
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from websockets.exceptions import InvalidHandshake

from gateway_processes import connected
from taskbell.contract.frames import CloseCode
from taskbell.contract.subjects import GATEWAY_CONNECTIONS
from taskbell.gateway.cap import Told, UserCap
from taskbell.local.embedded.nats import NatsServer
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("K3", "M44")

MOST = 2
USERS = ["u", "v"]


class Holder:
    """A connection in the model."""

    def __init__(self, gateway, user):
        self.gateway, self.user = gateway, user
        self.stamp = None

    def one_too_many(self):
        """It is closed."""
        self.gateway.open.discard(self)
        self.gateway.closed += 1


class ModelGateway:
    """A gateway whose messages wait until the network carries or loses them."""

    def __init__(self, name):
        self.cap = UserCap(name=name, most=MOST)
        self.open, self.outbox, self.number, self.closed = set(), [], 0, 0

    def send(self, **fields):
        """Say something, if only that it is alive."""
        self.outbox.append(Told(sender=self.cap.name, number=self.number, **fields))

    def tell(self, *, everything=False):
        """Write what changed, or everything."""
        for place, users in enumerate(self.cap.everything() if everything else self.cap.news()):
            self.number += 1
            self.send(users=users, is_fresh=everything and not place)


class Gateways(RuleBasedStateMachine):
    """Three gateways that admit, lose messages and die; at any time they can agree."""

    def __init__(self):
        super().__init__()
        self.born = 3
        self.gateways = [ModelGateway(str(number)) for number in range(3)]

    @rule(place=st.integers(0, 2), user=st.sampled_from(USERS))
    def join(self, place, user):
        """Somebody connects, and is refused if the gateway knows of too many."""
        gateway = self.gateways[place]
        if not gateway.cap.is_full(user):
            holder = Holder(gateway, user)
            holder.stamp = gateway.cap.joined(user, holder)
            gateway.open.add(holder)

    @rule(place=st.integers(0, 2), data=st.data())
    def leave(self, place, data):
        """A connection ends."""
        gateway = self.gateways[place]
        if gateway.open:
            holder = data.draw(st.sampled_from(sorted(gateway.open, key=lambda one: one.stamp)))
            gateway.open.discard(holder)
            gateway.cap.left(holder.user, holder.stamp)

    @rule(place=st.integers(0, 2), lost=st.sets(st.integers(0, 2)))
    def talk(self, place, lost):
        """A gateway tells its news; some do not hear it."""
        gateway = self.gateways[place]
        gateway.tell()
        self.carry(gateway, lost)

    @rule(place=st.integers(0, 2))
    def die(self, place):
        """A gateway is killed, and another one starts."""
        for other in self.gateways:
            other.cap.peers.pop(self.gateways[place].cap.name, None)  # it was silent for long
        self.gateways[place] = ModelGateway(str(self.born))
        self.born += 1

    def carry(self, gateway, lost=()):
        """Carry a gateway's messages; return who missed something."""
        messages, gateway.outbox = gateway.outbox, []
        missed = []
        for place, other in enumerate(self.gateways):
            if other is not gateway and place not in lost:
                missed += [other for told in messages if not other.cap.hear(told)]
        return missed

    @rule()
    def agree(self):
        """Each says something, and tells everything to who asks: then all agree, and nobody has too many."""
        for _ in range(3):  # what is closed is news
            for gateway in self.gateways:
                gateway.tell()
                gateway.send()
                if self.carry(gateway):
                    gateway.tell(everything=True)
                    assert not self.carry(gateway)
        for user in USERS:
            totals = {gateway.cap.total(user) for gateway in self.gateways}
            really = sum(holder.user == user for gateway in self.gateways for holder in gateway.open)
            assert totals == {really}
            assert really <= MOST

    @invariant()
    def each_alone_keeps_the_cap(self):
        """Whatever is lost, no gateway has more of a user than the cap."""
        for gateway in self.gateways:
            for user in USERS:
                assert sum(holder.user == user for holder in gateway.open) <= MOST


TestGateways = Gateways.TestCase
TestGateways.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_the_younger_one_is_closed():
    """Of two that were admitted at the same moment; and nobody is closed without need."""
    first, second = ModelGateway("a"), ModelGateway("b")
    holders = []
    for gateway in (first, second, second):
        holder = Holder(gateway, "u")
        holder.stamp = gateway.cap.joined("u", holder)
        gateway.open.add(holder)
        holders.append(holder)
    for gateway, other in ((first, second), (second, first)):
        gateway.tell(everything=True)
        for told in gateway.outbox:
            assert other.cap.hear(told)
    assert (first.open, second.open) == ({holders[0]}, {holders[1]})


async def attempt(listener):
    """Connect; return whether the listener is welcome."""
    with contextlib.suppress(OSError, InvalidHandshake, AssertionError):
        await listener.connect()
        return True
    return False


async def is_too_many(listener):
    """Connect, and wait for the refusal; it may come right after a welcome."""
    await attempt(listener)
    return await listener.until_closed() == CloseCode.TOO_MANY_CONNECTIONS


def is_open(listener):
    """Whether a connection was welcome and goes on."""
    return bool(listener.welcome) and listener.close_code is None


@pytest.mark.parametrize("most", [1, 5])
async def test_two_gateways_share_a_cap(start_gateway, people, stream, most):
    """Of a crowd that connects to both at once, as many stay as are allowed; the others get 4004."""
    user = await people.user()
    gateways = [start_gateway(TASKBELL_GATEWAY_MAX_CONNECTIONS_PER_USER=str(most)) for _ in range(2)]
    probes = [Listener(gateway.url, token=people.token(await people.user())) for gateway in gateways]
    for probe in probes:
        await connected(probe)
    crowd = [Listener(gateways[number % 2].url, token=people.token(user)) for number in range(6 * most)]
    await asyncio.gather(*(attempt(one) for one in crowd))
    await eventually(lambda: sum(map(is_open, crowd)) == most, "as many as are allowed")
    refused = [one for one in crowd if not is_open(one)]
    assert {await one.until_closed() for one in refused} == {CloseCode.TOO_MANY_CONNECTIONS}
    assert all(one.frames[-1]["code"] == "too_many_connections" for one in refused)
    for gateway in gateways:  # and no more is admitted anywhere, however often somebody tries
        late = Listener(gateway.url, token=people.token(user))
        assert await is_too_many(late)
    assert sum(map(is_open, crowd)) == most
    (leaving, *_) = [one for one in crowd if is_open(one)]
    await leaving.close()
    for gateway in gateways:  # a place that is free can be had at either
        late = Listener(gateway.url, token=people.token(user))
        await connected(late)
        await late.close()
    for one in [*crowd, *probes]:
        await one.kill()


async def test_a_gateway_that_was_killed_frees_its_share(start_gateway, people, stream):
    """Who was on it comes back to the other one at once, and nobody is refused for connections that are gone."""
    user = await people.user()
    first, second = (start_gateway(TASKBELL_GATEWAY_MAX_CONNECTIONS_PER_USER="4") for _ in range(2))
    lost = [Listener(first.url, token=people.token(user)) for _ in range(3)]
    kept = Listener(second.url, token=people.token(user))
    for one in [*lost, kept]:
        await connected(one)
    full = Listener(second.url, token=people.token(user))
    assert await is_too_many(full)
    first.child.send_signal(signal.SIGKILL)
    for one in lost:
        assert await one.until_closed() == 1006
        one.url = second.url
    assert all(await asyncio.gather(*(attempt(one) for one in lost)))
    assert await is_too_many(full)
    for one in [*lost, kept, full]:
        await one.kill()


async def test_without_nats_each_gateway_keeps_the_cap(start_gateway, people, event_stream, tmp_path):
    """While NATS is away each has the cap for itself; when it is back, all together have it again."""
    bus = NatsServer(tmp_path / "nats", accounts={"t": "t"})
    bus.prepare()

    def begin():
        return subprocess.Popen(bus.command(), stderr=subprocess.DEVNULL, start_new_session=True)

    children = [begin()]
    user = await people.user()
    try:
        await eventually(lambda: asyncio.to_thread(bus.accepts_connections), "the server")
        client = await nats.connect(bus.url("t"), max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        await event_stream(client).create()
        heard = []

        async def hear(message):
            heard.append(message)

        await client.subscribe(GATEWAY_CONNECTIONS, cb=hear)
        limits = {"TASKBELL_NATS_URL": bus.url("t"), "TASKBELL_GATEWAY_MAX_CONNECTIONS_PER_USER": "2"}
        gateways = [start_gateway(**limits) for _ in range(2)]
        crowd = [Listener(gateway.url, token=people.token(user)) for gateway in gateways for _ in range(3)]
        await connected(crowd[0])
        await connected(crowd[3])
        await eventually(lambda: len(heard) > 4, "both talk")
        children[-1].kill()
        children[-1].wait()

        async def four():
            for one in crowd:
                if not is_open(one):
                    await attempt(one)
            return sum(map(is_open, crowd))

        assert await eventually(four, "two at each", wanted=lambda number: number == 4) == 4
        assert [sum(map(is_open, part)) for part in (crowd[:3], crowd[3:])] == [2, 2]
        children.append(begin())
        await eventually(lambda: sum(map(is_open, crowd)) == 2, "two in all")
        for one in crowd:
            await one.kill()
        await client.close()
    finally:
        for child in children:
            child.kill()
            child.wait()
