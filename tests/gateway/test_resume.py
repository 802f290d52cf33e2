"""Coming back: exactly what was missed, in order, once, or an honest gap."""

import asyncio
import random

import asyncpg
import pytest

from taskbell.contract.frames import CloseCode
from taskbell.contract.subjects import STREAM
from taskbell.gateway import metrics, replay
from taskbell.gateway.intake import Intake
from taskbell.gateway.replay import Resumption
from taskbell.kit import nats_reader, nats_replay
from taskbell.kit.ids import new_id
from taskbell.testing.waiting import eventually

MEMORY = {}
NO_MEMORY = {"gateway_recent_events": 0}


def numbers(listener):
    """The numbers of the events received, in order."""
    return [received.event["data"]["number"] for received in listener.events]


@pytest.mark.feature("K3", "F4")
@pytest.mark.parametrize("memory", [MEMORY, NO_MEMORY], ids=["from memory", "from the stream"])
async def test_random_cuts_lose_and_repeat_nothing(run_gateway, people, stream, listener, memory, monkeypatch):
    """A client that is cut at random points while events flow gets each of its events exactly once, in order."""
    monkeypatch.setattr(nats_replay, "_BATCH", 7)
    chance = random.Random(20261120)
    workspace, foreign, third = new_id(), new_id(), new_id()
    user = await people.user(workspaces=[workspace, third])
    expected = []

    async def write():
        for number in range(400):
            choice = chance.random()
            if choice < 0.6:
                expected.append(number)
                await stream.publish(workspace, number=number, audience=[user] if choice < 0.2 else ())
            elif choice < 0.8:
                expected.append(number)
                await stream.publish(third, number=number, audience=[new_id(), user])
            else:
                await stream.publish(foreign if choice < 0.9 else third, number=number)

    async with (
        run_gateway(**memory) as first,
        run_gateway(**memory) as second,
        listener(first, user, channels=[f"workspace:{workspace}"]) as one,
    ):
        addresses = [f"ws://127.0.0.1:{running.port}/ws" for running in (first, second)]
        await one.connect()
        writing = asyncio.create_task(write())
        while not writing.done():
            await asyncio.sleep(chance.random() / 20)
            await one.kill()
            await asyncio.sleep(chance.random() / 20)
            one.url = chance.choice(addresses)
            assert (await one.connect())["resume"] == "ok"
        await writing
        await one.until_events(len(expected))
        assert numbers(one) == expected


@pytest.mark.feature("K3", "F4")
async def test_old_connections_are_renewed_and_lose_nothing(run_gateway, people, stream, listener):
    """At its greatest age a connection is closed with 4200, counted, and resumed elsewhere without a loss."""
    workspace, written = new_id(), 0
    user = await people.user(workspaces=[workspace])
    counted = metrics.CONNECTIONS_RENEWED._value.get()
    async with (
        run_gateway(gateway_max_connection_age="PT0.4S") as first,
        run_gateway(gateway_max_connection_age="PT0.4S") as second,
        listener(first, user) as one,
    ):
        await one.connect()
        for running in (second, first, second):
            while one.close_code is None:
                await stream.publish(workspace, number=written, audience=[user])
                written += 1
            assert await one.until_closed() == CloseCode.DRAIN
            assert one.frames[-1] == {"t": "goaway", "retry_after_ms": 0}
            one.url = f"ws://127.0.0.1:{running.port}/ws"
            assert (await one.connect())["resume"] == "ok"
    async with run_gateway(gateway_max_connection_age="PT0S") as lasting:
        one.url = f"ws://127.0.0.1:{lasting.port}/ws"
        await one.connect()
        await one.until_events(written)
        assert numbers(one) == list(range(written))
        (receiver,) = lasting.hub._users[str(user)]
        assert not receiver._session.is_too_old(receiver._loop.time() + 1e9)
        await one.close()
    assert metrics.CONNECTIONS_RENEWED._value.get() >= counted + 3


@pytest.mark.parametrize("memory", [MEMORY, NO_MEMORY], ids=["from memory", "from the stream"])
async def test_a_resume_from_the_very_beginning(run_gateway, people, stream, listener, memory):
    """Cursor 0 replays the whole stream; the order is the stream's, the welcome's cursor is the client's own."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(30))
    async with (
        run_gateway(**memory) as running,
        listener(running, user, channels=[f"workspace:{workspace}"], cursor="1-0") as one,
    ):
        welcome = await one.connect()
        assert (welcome["resume"], welcome["cursor"]) == ("ok", "1-0")
        await stream.publish(workspace, number=30)
        await one.until_events(31)
        assert numbers(one) == list(range(31))


GAPS = {
    "earlier epoch": "1-5",
    "future epoch": "3-5",
    "future": "2-999",
    "malformed": "nonsense",
    "overflowing": "2-99999999999999999999",
}


@pytest.mark.parametrize("kind", GAPS)
async def test_a_cursor_that_cannot_be_served_is_a_gap(run_gateway, people, stream, listener, kind):
    """Cursors of another epoch, from the future or malformed answer gap; the connection then goes on live."""
    user = await people.user(workspaces=[new_id()])
    await stream.recreate(epoch=2)
    await stream.publish_many(new_id(), range(10), audience=[user])
    async with run_gateway() as running, listener(running, user, cursor=GAPS[kind]) as one:
        welcome = await one.connect()
        assert (welcome["resume"], welcome["cursor"]) == ("gap", "2-10")
        await stream.publish(new_id(), number=77, audience=[user])
        await one.until_events(1)
        assert numbers(one) == [77]
        if kind in {"malformed", "overflowing"}:
            assert one.frames[0]["code"] == "invalid_cursor"


async def test_a_gateway_that_is_behind_waits_for_the_clients_place(run_gateway, people, stream, listener, monkeypatch):
    """A cursor from a quicker gateway is no gap: nothing before it is sent again, everything after it is."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    late = []
    route = Intake.message
    async with run_gateway() as running, listener(running, user, cursor="1-3") as one:
        monkeypatch.setattr(Intake, "message", lambda *arguments: late.append(arguments))
        await stream.publish_many(workspace, range(1, 6), audience=[user])
        connecting = asyncio.create_task(one.connect())
        await eventually(lambda: running.hub._awaited, "the gateway waits for its own reader")
        assert not connecting.done()
        for arguments in late:
            route(*arguments)
        assert (await connecting)["resume"] == "ok"
        await one.until_events(2)
        assert numbers(one) == [4, 5]


async def test_events_beyond_retention_are_a_gap(run_gateway, people, stream, listener):
    """A cursor before the stream's first event is a gap, one at it is not."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(10))
    await stream.jetstream.purge_stream(STREAM, seq=6)  # 6 is now the first
    async with run_gateway(**NO_MEMORY) as running:
        for cursor, outcome in (("1-4", "gap"), ("1-5", "ok")):
            async with listener(running, user, channels=[f"workspace:{workspace}"], cursor=cursor) as one:
                assert (await one.connect())["resume"] == outcome
                if outcome == "ok":
                    await one.until_events(5)
                    assert numbers(one) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("memory", [MEMORY, NO_MEMORY], ids=["from memory", "from the stream"])
async def test_too_much_missed_is_a_gap(run_gateway, people, stream, listener, memory):
    """More than the bound is a gap, never a part."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(11))
    async with run_gateway(gateway_max_replay_events=10, **memory) as running:
        for cursor, outcome in (("1-0", "gap"), ("1-1", "ok")):
            async with listener(running, user, channels=[f"workspace:{workspace}"], cursor=cursor) as one:
                assert (await one.connect())["resume"] == outcome


@pytest.mark.parametrize("memory", [MEMORY, NO_MEMORY], ids=["from memory", "from the stream"])
async def test_a_later_subscribe_replays_its_channel_without_what_me_carried(
    run_gateway, people, stream, listener, memory
):
    """On a resumed connection a subscribe brings the channel's missed events, and none twice."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    for number in range(10):
        await stream.publish(workspace, number=number, audience=[user] if number % 2 else ())
    async with run_gateway(**memory) as running, listener(running, user, cursor="1-2") as one:
        await one.connect()
        await one.until_events(4)
        assert numbers(one) == [3, 5, 7, 9]
        reply = await one.ask({"t": "subscribe", "channel": f"workspace:{workspace}"})
        assert (reply["ok"], reply["resume"], reply["cursor"]) == (True, "ok", "1-2")
        await stream.publish(workspace, number=10)
        await one.until_events(9)
        assert numbers(one) == [3, 5, 7, 9, 2, 4, 6, 8, 10]
        again = await one.ask({"t": "subscribe", "channel": f"workspace:{workspace}"})
        assert (again["ok"], again["resume"]) == (True, "new")


async def test_a_subscribe_with_its_own_cursor(run_gateway, people, stream, listener):
    """An explicit resume in subscribe counts for that channel; a malformed one is refused, an unknown one is a gap."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(5))
    channel = f"workspace:{workspace}"
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        assert (await one.ask({"t": "subscribe", "channel": channel, "resume": "x"}))["code"] == "invalid_cursor"
        assert (await one.ask({"t": "subscribe", "channel": channel, "resume": "1-3"}))["resume"] == "ok"
        await one.until_events(2)
        assert numbers(one) == [3, 4]
        assert (await one.ask({"t": "unsubscribe", "channel": channel}))["ok"]
        assert (await one.ask({"t": "subscribe", "channel": channel, "resume": "9-3"}))["resume"] == "gap"
        await stream.publish(workspace, number=5)
        await one.until_events(3)
        assert numbers(one) == [3, 4, 5]


async def test_a_left_workspace_is_not_replayed(run_gateway, people, stream, listener):
    """What happened in a workspace the user has left since is not replayed, addressed to them or not."""
    mine, left = new_id(), new_id()
    user = await people.user(workspaces=[mine, left])
    await stream.publish(left, number=1, audience=[user])
    await stream.publish(mine, number=2, audience=[user])
    await people.remove(user, left)
    async with run_gateway() as running, listener(running, user, channels=[f"workspace:{left}"], cursor="1-0") as one:
        await one.connect()
        await one.until_events(1)
        await one.until(lambda: bool(one.frames), "an error")
        assert (numbers(one), one.frames[0]["code"]) == ([2], "forbidden")


async def test_a_slow_consumer_is_closed_and_resumes_without_loss(run_gateway, people, stream, listener):
    """A client that stops reading is closed with 4408, harms nobody, and gets everything after it comes back."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    channels = [f"workspace:{workspace}"]
    async with (
        run_gateway(gateway_queue_messages=20) as running,
        listener(running, user, channels=channels) as slow,
        listener(running, user, channels=channels) as quick,
    ):
        await slow.connect()
        await quick.connect()
        slow.stop_reading()
        await stream.publish_many(workspace, range(150), pad="x" * 100_000)
        await quick.until_events(150)
        slow.read_on()
        assert await slow.until_closed() == CloseCode.SLOW
        seen = len(slow.events)
        assert numbers(slow) == list(range(seen))
        assert seen < 150
        assert (await slow.connect())["resume"] == "ok"
        await slow.until_events(150)
        assert numbers(slow) == list(range(150))
        assert numbers(quick) == list(range(150))


async def test_a_replay_to_a_slow_client_waits_for_it(run_gateway, people, stream, listener):
    """A replay larger than any buffer goes at the client's pace and is whole."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(250), pad="x" * 100_000)
    async with (
        run_gateway(**NO_MEMORY) as running,
        listener(running, user, channels=[f"workspace:{workspace}"], cursor="1-0") as one,
    ):
        await one.connect()
        one.stop_reading()
        await eventually(lambda: connection_of(running, user).paused, "nothing more fits into any buffer")
        await stream.publish(workspace, number=250)
        one.read_on()
        await one.until_events(251)
        assert numbers(one) == list(range(251))


async def test_an_interrupted_replay_ends_the_connection_and_the_next_goes_on(
    run_gateway, people, stream, listener, monkeypatch
):
    """A replay that breaks off sends goaway and closes retryably; resuming from the last cursor completes it."""
    monkeypatch.setattr(nats_replay, "_BATCH", 10)
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(50))
    fetch = nats_replay.StreamReplay._fetch
    failures = iter([False, False, True])

    async def fail_once(self, wanted, *, after):
        if next(failures, False):
            raise nats_replay.ReplayInterrupted("a test")
        return await fetch(self, wanted, after=after)

    monkeypatch.setattr(nats_replay.StreamReplay, "_fetch", fail_once)
    async with (
        run_gateway(**NO_MEMORY) as running,
        listener(running, user, channels=[f"workspace:{workspace}"], cursor="1-0") as one,
    ):
        await one.connect()
        assert await one.until_closed() == 1011
        assert [frame["t"] for frame in one.frames] == ["goaway", "error"]
        assert (one.frames[1]["retryable"], numbers(one)) == (True, list(range(20)))
        await one.connect()
        await one.until_events(50)
        assert numbers(one) == list(range(50))


async def test_a_new_epoch_sends_everybody_away_to_a_gap(run_gateway, people, stream, listener, monkeypatch):
    """A rebuilt stream closes the connections; their cursors then get a gap, and live events follow."""
    monkeypatch.setattr(nats_reader, "_LOOK_AGAIN_AFTER", 0.1)
    user = await people.user(workspaces=[new_id()])
    async with run_gateway() as running, listener(running, user) as one:
        await stream.publish(new_id(), number=1, audience=[user])
        await eventually(lambda: running.hub.position == 1)
        await one.connect()
        await stream.recreate(epoch=2)
        await stream.publish(new_id(), number=2)
        assert await one.until_closed(within=20) == CloseCode.DRAIN
        assert one.frames[-1]["t"] == "goaway"
        await eventually(lambda: running.hub.epoch == 2)
        welcome = await one.connect()
        assert (welcome["resume"], welcome["epoch"]) == ("gap", 2)
        await stream.publish(new_id(), number=3, audience=[user])
        await one.until_events(1)
        assert (numbers(one), one.cursor) == ([3], "2-2")


async def test_a_stream_that_is_rebuilt_while_a_client_resumes_is_a_gap(
    run_gateway, people, stream, listener, database, monkeypatch
):
    """Its cursor was of the stream before; what the new one holds at that place is something else."""
    monkeypatch.setattr(nats_reader, "_LOOK_AGAIN_AFTER", 0.1)
    user = await people.user(workspaces=[new_id()])
    owner = await asyncpg.connect(database.owner_url)
    try:
        async with run_gateway() as running, listener(running, user) as one:
            await stream.publish(new_id(), number=1, audience=[user])
            await eventually(lambda: running.hub.position == 1)
            one.cursor = "1-1"
            async with owner.transaction():
                await owner.execute("LOCK TABLE memberships")
                connecting = asyncio.create_task(one.connect())
                asks = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'memberships'::regclass AND NOT granted)"
                await eventually(lambda: owner.fetchval(asks), "the gateway asks for the client's workspaces")
                await stream.recreate(epoch=2)
                await stream.publish(new_id(), number=2, audience=[user])
                await eventually(lambda: running.hub.cursor == "2-1")
            welcome = await connecting
            assert (welcome["resume"], welcome["cursor"]) == ("gap", "2-1")
            await stream.publish(new_id(), number=3, audience=[user])
            await one.until_events(1)
            assert numbers(one) == [3]
    finally:
        await owner.close()


def connection_of(running, user):
    """The gateway's side of a user's only connection."""
    (receiver,) = running.hub._users[str(user)]
    return receiver._connection


@pytest.mark.parametrize("times", [1, 2], ids=["new", "already subscribed"])
async def test_a_reply_never_hands_out_a_cursor_ahead_of_what_waits(run_gateway, people, stream, listener, times):
    """A client that subscribes while events wait for it and is then cut off gets them when it resumes."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        subscribe = {"t": "subscribe", "channel": f"workspace:{workspace}"}
        for _ in range(times - 1):
            assert (await one.ask(subscribe))["cursor"] == "1-0"
        connection_of(running, user).pause_writing()
        await stream.publish_many(new_id(), range(3), audience=[user])
        await stream.publish_many(workspace, range(3), audience=[user])
        await eventually(lambda: running.hub.position == 6)
        reply = await one.ask(subscribe)
        assert (reply["resume"], "cursor" in reply) == ("new", False)
        await one.kill()
        assert (one.cursor, numbers(one)) == ("1-0", [])
        one.channels = [f"workspace:{workspace}"]
        await one.connect()
        await one.until_events(3)
        assert numbers(one) == list(range(3))


async def test_a_subscribe_that_replays_waits_for_what_is_older(run_gateway, people, stream, listener):
    """A channel's replay begins when nothing waits any more: its cursors are not ahead of unwritten events."""
    workspace, other = new_id(), new_id()
    user = await people.user(workspaces=[workspace, other])
    await stream.publish_many(workspace, range(3))
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        connection = connection_of(running, user)
        connection.pause_writing()
        await stream.publish(other, number=3, audience=[user])
        await stream.publish(workspace, number=4)
        await eventually(lambda: running.hub.position == 5)
        asking = asyncio.create_task(one.ask({"t": "subscribe", "channel": f"workspace:{workspace}", "resume": "1-1"}))
        await eventually(lambda: connection._room is not None, "the subscribe waits until all is written")
        assert not asking.done()
        connection.resume_writing()
        reply = await asking
        assert (reply["resume"], reply["cursor"]) == ("ok", "1-1")
        await one.until_events(4)
        assert numbers(one) == [3, 1, 2, 4]


async def test_a_member_who_is_removed_while_a_subscribe_waits_is_refused(run_gateway, people, stream, listener):
    """A membership that ends between its check and the subscription counts."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish(workspace, number=0)
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        connection = connection_of(running, user)
        connection.pause_writing()
        await stream.publish(workspace, number=1, audience=[user])
        await eventually(lambda: running.hub.position == 2)
        asking = asyncio.create_task(one.ask({"t": "subscribe", "channel": f"workspace:{workspace}", "resume": "1-0"}))
        await eventually(lambda: connection._room is not None, "the subscribe waits until all is written")
        await stream.publish(workspace, event_type="member.removed", subject=user, audience=[user])
        await eventually(lambda: running.hub.position == 3)
        connection.resume_writing()
        assert (await asking)["code"] == "forbidden"


async def test_a_subscribe_that_fails_leaves_the_connection_its_events(
    run_gateway, people, stream, listener, monkeypatch
):
    """A replay that cannot be prepared is answered unavailable; what was held back and what is new follows."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(3))

    async def broken(self, missed):
        await stream.publish(workspace, number=3, audience=[user])
        await self._hub.reached(4)
        raise nats_replay.ReplayInterrupted("a test")

    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        monkeypatch.setattr(Resumption, "prepare", broken)
        reply = await one.ask({"t": "subscribe", "channel": f"workspace:{workspace}", "resume": "1-1"})
        assert (reply["code"], reply["retryable"]) == ("unavailable", True)
        await stream.publish(workspace, number=4, audience=[user])
        await one.until_events(2)
        assert numbers(one) == [3, 4]


async def test_a_user_with_very_many_workspaces_resumes(run_gateway, people, stream, listener, database):
    """20,000 memberships are no more filters than NATS can take: what was missed comes, and nothing else."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute(
        "WITH w AS (INSERT INTO workspaces (id, name, created_by)"
        " SELECT gen_random_uuid(), 'w', $1 FROM generate_series(1, 20000) RETURNING id)"
        " INSERT INTO memberships (user_id, workspace_id, role) SELECT $1, id, 'member' FROM w",
        user,
    )
    await connection.close()
    for number in range(5):
        await stream.publish(new_id(), number=-1)
        await stream.publish(workspace, number=number, audience=[user])
    async with run_gateway(**NO_MEMORY) as running, listener(running, user, cursor="1-4") as one:
        assert (await one.connect())["resume"] == "ok"
        await one.until_events(3)
        assert numbers(one) == [2, 3, 4]


async def test_many_workspaces_count_all_events_against_the_bound(run_gateway, people, stream, listener, monkeypatch):
    """What is selected in process is bounded by what is read, not by what is found."""
    monkeypatch.setattr(replay, "_MAX_FILTERS", 1)
    workspace = new_id()
    user = await people.user(workspaces=[workspace, new_id()])
    await stream.publish_many(new_id(), range(11))
    await stream.publish(workspace, number=11, audience=[user])
    async with run_gateway(gateway_max_replay_events=10, **NO_MEMORY) as running:
        for cursor, outcome in (("1-1", "gap"), ("1-2", "ok")):
            async with listener(running, user, cursor=cursor) as one:
                assert (await one.connect())["resume"] == outcome
                if outcome == "ok":
                    await one.until_events(1)
                    assert numbers(one) == [11]
