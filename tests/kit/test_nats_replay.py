"""Replays: what a stream holds is asked for together and never answered from before; nothing is missed in a cluster."""

import asyncio
import dataclasses
from types import SimpleNamespace

import pytest
from nats.errors import NoServersError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from taskbell.kit import nats_replay
from taskbell.kit.nats_bus import connect
from taskbell.kit.nats_replay import ReplayInterrupted, StreamReplays


class Server:
    """Answers one question after the other, on request."""

    def __init__(self):
        self.asked = 0
        self.answers = asyncio.Queue()

    def jetstream(self, **_):
        """This object is its own JetStream."""
        return self

    async def stream_info(self, _):
        """Wait for the next answer: a last sequence, or an error."""
        self.asked += 1
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        config = SimpleNamespace(metadata={"epoch": "1"})
        return SimpleNamespace(config=config, state=SimpleNamespace(first_seq=1, last_seq=answer, num_deleted=0))


@pytest.fixture
def server():
    """A server that waits."""
    return Server()


@pytest.fixture
def replays(server):
    """Replays of that server's stream."""
    return StreamReplays(server, stream="S", epoch_key="epoch")


@pytest.fixture
async def client(nats_url):
    """A connection to a real server that has a stream."""
    client = await connect(nats_url, name="replays")
    config = StreamConfig(name="S", subjects=["s.>"], metadata={"epoch": "1"})
    await client.jetstream().add_stream(config)
    yield client
    await client.close()


async def turn():
    """Let everything that can run come to its next wait."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_while_a_question_is_under_way_shares_the_next(replays, server):
    """One question at a time, however many ask; nobody gets an answer to a question sent before they came."""
    first = asyncio.create_task(replays.bounds())
    await turn()
    later = [asyncio.create_task(replays.bounds()) for _ in range(10)]
    await turn()
    assert server.asked == 1
    server.answers.put_nowait(5)
    await turn()
    assert (await first).last == 5
    assert server.asked == 2
    last = asyncio.create_task(replays.bounds())
    server.answers.put_nowait(6)
    server.answers.put_nowait(7)
    assert {bounds.last for bounds in await asyncio.gather(*later)} == {6}
    assert (await last).last == 7
    assert server.asked == 3


async def test_a_failure_is_told_to_all_who_share_it_and_to_nobody_else(replays, server):
    """The next one asks again."""
    sharing = [asyncio.create_task(replays.bounds()) for _ in range(3)]
    server.answers.put_nowait(NoServersError())
    found = await asyncio.gather(*sharing, return_exceptions=True)
    assert [type(failure) for failure in found] == [ReplayInterrupted] * 3
    server.answers.put_nowait(8)
    assert (await replays.bounds()).last == 8


async def test_who_gives_up_leaves_the_others_their_answer(replays, server):
    """A caller that is cancelled takes nothing with it."""
    impatient, patient = asyncio.create_task(replays.bounds()), asyncio.create_task(replays.bounds())
    await turn()
    impatient.cancel()
    await turn()
    server.answers.put_nowait(9)
    assert (await patient).last == 9
    assert server.asked == 1


async def test_what_was_stored_before_the_question_is_in_the_answer(client):
    """Against a real server, with many writers that each look for their own message at once."""
    stream = client.jetstream()
    replays = StreamReplays(client, stream="S", epoch_key="epoch")

    async def write_and_look():
        for _ in range(50):
            stored = await stream.publish("s.x", b"")
            assert (await replays.bounds()).last >= stored.seq

    await asyncio.gather(*(write_and_look() for _ in range(8)))


@pytest.mark.parametrize(("after", "until"), [(0, 9), (4, 9), (4, 8), (8, 9), (0, 7)])
async def test_a_replay_misses_nothing_where_its_consumer_lags(client, monkeypatch, after, until):
    """In a cluster the consumer may stand on a follower that has not yet stored the newest messages: it counts none."""
    stream = client.jetstream()
    for number in range(9):
        await stream.publish(f"s.{number % 2}.x", b"")
    make = JetStreamContext.add_consumer

    async def make_on_a_follower(*args, **options):
        return dataclasses.replace(await make(*args, **options), num_pending=0)

    monkeypatch.setattr(JetStreamContext, "add_consumer", make_on_a_follower)
    replays = StreamReplays(client, stream="S", epoch_key="epoch")
    async with replays.open(subjects=["s.0.>"], after=after, until=until) as replay:
        found = [message.sequence async for batch in replay.batches(at_most=2) for message in batch]
    assert found == [sequence for sequence in range(after + 1, until + 1) if sequence % 2]


async def test_a_batch_ends_at_its_bytes(client):
    """However many messages were asked for; one that is larger than a batch comes alone, and nothing is missed."""
    sizes = [200_000] * 5 + [700_000] + [200_000] * 3
    for size in sizes:
        await client.jetstream().publish("s.x", b"x" * size)
    async with StreamReplays(client, stream="S", epoch_key="epoch").open(subjects=["s.>"], after=0, until=9) as replay:
        batches = [[len(message.data) for message in batch] async for batch in replay.batches()]
    assert [size for batch in batches for size in batch] == sizes
    assert batches == [[200_000] * 2, [200_000] * 2, [200_000], [700_000], [200_000] * 2, [200_000]]


async def test_a_batch_whose_bytes_are_used_up_exactly_is_not_waited_for(client, monkeypatch):
    """The server says nothing at the end of such a request."""
    for number in range(6):
        await client.jetstream().publish("s.x", b"x" * 100, headers={"X": "é"} if number else None)
    replays, sizes = StreamReplays(client, stream="S", epoch_key="epoch"), []
    count = nats_replay.pulled_bytes
    monkeypatch.setattr(nats_replay, "pulled_bytes", lambda message: sizes.append(count(message)) or sizes[-1])
    for first in (6, 2):
        async with replays.open(subjects=["s.>"], after=0, until=6) as replay:
            found = await replay._fetch(6, after=0, at_most_bytes=sum(sizes) or 10_000)
        assert len(found) == first
        del sizes[2:]


async def test_few_requests_are_under_way_at_a_time(client, monkeypatch):
    """However many replays there are: so what the server may have to keep for the connection is bounded."""
    for number in range(40):
        await client.jetstream().publish(f"s.{number % 2}", b"x" * 1000)
    under_way, most = 0, 0
    replays = StreamReplays(client, stream="S", epoch_key="epoch")
    fetch = nats_replay.StreamReplay._fetch

    async def counted(*args, **options):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await fetch(*args, **options)
        finally:
            under_way -= 1

    monkeypatch.setattr(nats_replay.StreamReplay, "_fetch", counted)

    async def read():
        async with replays.open(subjects=["s.0", "s.1"], after=0, until=40) as replay:
            return sum([len(batch) async for batch in replay.batches(at_most=5)])

    assert await asyncio.gather(*(read() for _ in range(20))) == [40] * 20
    assert most == nats_replay._AT_ONCE


async def test_where_nothing_is_to_be_replayed_no_consumer_is_made(client, monkeypatch):
    """Neither for subjects without any message, nor for those whose newest one was read."""
    stream = client.jetstream()
    for subject in ("s.a.x", "s.b.x", "s.a.y", "s.c.x"):
        await stream.publish(subject, b"")
    monkeypatch.setattr(JetStreamContext, "add_consumer", None)
    replays = StreamReplays(client, stream="S", epoch_key="epoch")
    async with replays.open(subjects=["s.a.>", "s.b.>", "s.none.>"], after=3, until=4) as replay:
        assert (replay.pending, [batch async for batch in replay.batches()]) == (0, [])
