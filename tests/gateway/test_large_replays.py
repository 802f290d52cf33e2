"""Replays are bounded in bytes and by user: one user's large ones take nothing from another's live events."""

import asyncio
import itertools

import pytest

from taskbell.contract.frames import CloseCode
from taskbell.gateway import app, socket
from taskbell.kit import nats_replay
from taskbell.kit.ids import new_id
from taskbell.testing.waiting import eventually

NO_MEMORY = {"gateway_recent_events": 0}
PAD = "x" * 100_000


def numbers(listener):
    """The numbers of the events received, in order."""
    return [received.event["data"]["number"] for received in listener.events]


def shares_of(running):
    """How a gateway shares out its replays."""
    return running.server._around.admission.resumption._shares


@pytest.fixture
async def crowd(people, stream):
    """A workspace with 3 MB of events, and one of its members."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(30), pad=PAD)
    return user, {"channels": [f"workspace:{workspace}"], "cursor": "1-0"}


@pytest.mark.parametrize("memory", [{}, NO_MEMORY], ids=["from memory", "from the stream"])
async def test_a_large_replay_breaks_off_and_goes_on_where_it_was(run_gateway, listener, crowd, memory):
    """Each connection brings a part, in order; all of them together bring everything, once."""
    user, missed = crowd
    async with (
        run_gateway(gateway_max_replay_bytes=2**20, **memory) as running,
        listener(running, user, **missed) as one,
    ):
        parts = [0]
        while (await one.connect())["resume"] == "ok" and await one.until_closed_or_events(30) == 1011:
            parts.append(len(one.events))
        assert numbers(one) == list(range(30))
        assert [later - earlier for earlier, later in itertools.pairwise(parts)] == [11, 11]


async def test_one_users_replays_hold_only_their_share(run_gateway, people, stream, listener, crowd, monkeypatch):
    """While a client that does not read holds a user's share, others are served; in the end it is closed as slow."""
    monkeypatch.setattr(socket, "REPLAY_READ_SECONDS", 0.3)
    user, missed = crowd
    for _ in range(3):  # more than the buffers of a connection take
        await stream.publish_many(missed["channels"][0].removeprefix("workspace:"), range(100), pad=PAD)
    other = await people.user(workspaces=[missed["channels"][0].removeprefix("workspace:")])
    options = {"gateway_max_replays_per_user": 1, "gateway_max_replay_bytes": 2**30, **NO_MEMORY}
    async with (
        run_gateway(**options) as running,
        listener(running, user, **missed) as idle,
        listener(running, user, **missed) as second,
        listener(running, other, **missed) as others,
    ):
        await idle.connect()
        idle.stop_reading()
        waiting = asyncio.create_task(second.connect())
        await others.connect()
        await others.until_events(100)
        assert shares_of(running)._serving[str(user)] == 1
        assert (await waiting)["resume"] == "ok"
        await second.until_events(100)
        idle.read_on()
        assert await idle.until_closed() == CloseCode.SLOW


async def test_a_crowd_of_slow_clients_is_bounded_together(run_gateway, people, stream, listener):
    """The one for whom the most waits is closed as slow; who reads, and who waits for little, gets everything."""
    large, small = new_id(), new_id()
    users = [await people.user(workspaces=[large]), await people.user(workspaces=[small])]
    async with (
        run_gateway(gateway_unsent_bytes=2**20) as running,
        listener(running, users[0], channels=[f"workspace:{large}"]) as greedy,
        listener(running, users[0], channels=[f"workspace:{large}"]) as quick,
        listener(running, users[1], channels=[f"workspace:{small}"]) as modest,
    ):
        await greedy.connect()
        await modest.connect()
        held = [next(iter(running.hub._users[str(user)])) for user in users]
        for one in held:
            one._queue.hold()  # as while a replay runs
        await quick.connect()
        await stream.publish(small, number=0)
        await stream.publish_many(large, range(20), pad=PAD)
        await quick.until_events(20)
        assert await greedy.until_closed() == CloseCode.SLOW
        assert 0 < running.server._around.unsent.size <= 2**20
        held[1]._queue.release()
        held[1]._flush()
        await modest.until_events(1)
        assert numbers(quick) == list(range(20))


async def test_who_waits_too_long_for_a_share_is_told_to_come_back(run_gateway, listener, crowd, monkeypatch):
    """A sign-in whose replay finds no share ends with 1013; nothing of its cursor is lost."""
    monkeypatch.setattr(app, "REPLAY_PATIENCE", 0.05)
    user, missed = crowd
    async with run_gateway(gateway_max_replays=1, **NO_MEMORY) as running, listener(running, user, **missed) as one:
        async with shares_of(running).held("another"):
            await one.open()
            await one.send({"t": "hello", "resume": "1-0", "channels": missed["channels"]})
            assert await one.until_closed() == 1013
            assert one.frames[0]["retryable"] is True
        assert (await one.connect())["resume"] == "ok"
        await one.until_events(30)


async def test_what_is_read_for_replays_does_not_pass_the_connection_of_live_events(
    run_gateway, people, stream, listener, crowd, monkeypatch
):
    """A replay whose connection to NATS is cut by the server disturbs no live event."""
    opened = {}
    connect = app.connect

    async def noted(*args, name, **options):
        opened[name] = await connect(*args, name=name, **options)
        return opened[name]

    monkeypatch.setattr(app, "connect", noted)
    user, missed = crowd
    fetch = nats_replay.StreamReplay._fetch

    async def cut(self, *args, **options):
        opened["taskbell-gateway-replays"]._transport.close()
        return await fetch(self, *args, **options)

    async with (
        run_gateway(**NO_MEMORY) as running,
        listener(running, user) as live,
        listener(running, user, **missed) as one,
    ):
        await live.connect()
        monkeypatch.setattr(nats_replay, "_BATCH_TIMEOUT", 0.2)
        monkeypatch.setattr(nats_replay.StreamReplay, "_fetch", cut)
        await one.connect()
        await stream.publish(new_id(), number=77, audience=[user])
        await live.until_events(1)
        assert await one.until_closed() == 1011
        assert numbers(live) == [77]
        assert opened["taskbell-gateway"].stats["reconnects"] == 0
    await eventually(lambda: all(client.is_closed for client in opened.values()))
