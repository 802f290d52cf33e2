"""The first moments of a connection: a welcome at once, and nothing between the handshake and it is lost."""

import asyncio

import pytest

from taskbell.gateway import socket
from taskbell.gateway.replay import Resumption
from taskbell.gateway.sign_ins import SignIns
from taskbell.kit.ids import new_id

pytestmark = pytest.mark.feature("K3")

MEMORY = {}
NO_MEMORY = {"gateway_recent_events": 0}
NEVER = 600.0


def numbers(listener):
    """The numbers of the events received, in order."""
    return [received.event["data"]["number"] for received in listener.events]


@pytest.fixture
def meanwhile(stream, monkeypatch):
    """Publishes events during each sign-in: after the handshake, before the connection is registered."""
    verify = SignIns.verify
    count = 0

    def on(running, user, workspace):
        async def busy(self, credential):
            nonlocal count
            for audience in ([user], [], [new_id()]):
                await stream.publish(workspace, number=count, audience=audience)
                count += 1
            await running.hub.reached(count)
            return await verify(self, credential)

        monkeypatch.setattr(SignIns, "verify", busy)

    return on


@pytest.mark.parametrize("memory", [MEMORY, NO_MEMORY], ids=["from memory", "from the stream"])
@pytest.mark.parametrize("way", ["header", "ticket"])
async def test_a_client_that_says_nothing_is_welcome_at_once_and_misses_nothing(
    run_gateway, people, listener, meanwhile, way, memory
):
    """It need not say hello: what was addressed to it since the handshake follows the welcome."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    async with run_gateway(**memory) as running, listener(running, user) as one:
        meanwhile(running, user, workspace)
        ticket = people.ticket(user) if way == "ticket" else ""
        begun = asyncio.get_running_loop().time()
        await one.open(ticket=ticket)
        await one.until(lambda: bool(one.welcome), "a welcome")
        assert asyncio.get_running_loop().time() - begun < 1.5  # it was two seconds and more
        assert (one.welcome["resume"], one.welcome["cursor"]) == ("new", "1-0")
        await one.until_events(1)
        assert (numbers(one), one.cursor) == ([0], "1-1")


@pytest.mark.parametrize("way", ["address", "hello", "late hello", "first frame"])
async def test_channels_begin_at_the_handshake(run_gateway, people, stream, listener, meanwhile, monkeypatch, way):
    """However the client names them, nothing that came after the handshake is missed, and nothing comes twice."""
    monkeypatch.setattr(socket, "HELLO_GRACE_SECONDS", 0.05 if way == "late hello" else NEVER)
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    async with run_gateway() as running, listener(running, user, channels=[f"workspace:{workspace}"]) as one:
        meanwhile(running, user, workspace)
        if way == "address":
            one.url += f"?channels=workspace:{workspace}"
            await one.open()
        elif way == "late hello":
            await one.open()
            await one.until_events(1)
            await one.send({"t": "hello", "channels": one.channels})
        else:
            await one.connect(first_frame=way == "first frame")
        await one.until_events(3)
        assert one.welcome["channels"] == ["me", f"workspace:{workspace}"]
        await stream.publish(workspace, number=3)
        await one.until_events(4)
        assert numbers(one) == [0, 1, 2, 3]


@pytest.mark.parametrize("way", ["address", "hello", "late hello"])
async def test_a_cursor_may_come_in_each_way(run_gateway, people, stream, listener, monkeypatch, way):
    """In the address and in a hello it decides about the welcome; a hello that comes later gets a second welcome."""
    monkeypatch.setattr(socket, "HELLO_GRACE_SECONDS", 0.05 if way == "late hello" else NEVER)
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(6), audience=[user])
    channels = [f"workspace:{workspace}"]
    async with run_gateway() as running, listener(running, user, channels=channels, cursor="1-2") as one:
        expected = [2, 3, 4, 5]
        if way == "address":
            one.url += f"?resume=1-2&channels={channels[0]}"
            await one.open()
        elif way == "late hello":
            await one.open()
            await one.until(lambda: bool(one.welcome), "a welcome")
            assert (one.welcome["resume"], one.welcome["cursor"]) == ("new", "1-6")
            await stream.publish(workspace, number=6, audience=[user])
            await one.until_events(1)
            await one.send({"t": "hello", "resume": "1-2", "channels": channels})
            expected = [6, *expected]
        else:
            await one.connect()
        await one.until_events(len(expected))
        assert (one.welcome["resume"], one.welcome["cursor"]) == ("ok", "1-2")
        assert numbers(one) == expected
        await stream.publish(workspace, number=7)
        await one.until_events(len(expected) + 1)
        assert numbers(one) == [*expected, 7]


async def test_what_cannot_be_replayed_since_the_handshake_is_a_gap(
    run_gateway, people, listener, meanwhile, monkeypatch
):
    """Never a part: the client is told to load the state."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])

    async def nothing(self, missed):
        return None

    async with run_gateway() as running, listener(running, user) as one:
        meanwhile(running, user, workspace)
        monkeypatch.setattr(Resumption, "prepare", nothing)
        welcome = await one.connect()
        assert (welcome["resume"], welcome["cursor"]) == ("gap", "1-3")
