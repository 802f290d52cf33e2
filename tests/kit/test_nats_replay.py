"""Asking what a stream holds: answers are shared, and none is older than its question."""

import asyncio
from types import SimpleNamespace

import pytest
from nats.errors import NoServersError
from nats.js.api import StreamConfig

from taskbell.kit.nats_bus import connect
from taskbell.kit.nats_replay import ReplayInterrupted, StreamReplays


class Server:
    """Answers one question after the other, when it is told to."""

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
        return SimpleNamespace(config=config, state=SimpleNamespace(first_seq=1, last_seq=answer))


@pytest.fixture
def server():
    """A server that waits."""
    return Server()


@pytest.fixture
def replays(server):
    """Replays of that server's stream."""
    return StreamReplays(server, stream="S", epoch_key="epoch")


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
    """The next one asks anew."""
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


async def test_what_was_stored_before_the_question_is_in_the_answer(nats_url):
    """Against a real server, with many writers that each look for their own message at once."""
    client = await connect(nats_url, name="bounds")
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name="S", subjects=["s"], metadata={"epoch": "1"}))
    replays = StreamReplays(client, stream="S", epoch_key="epoch")

    async def write_and_look():
        for _ in range(50):
            stored = await stream.publish("s", b"")
            assert (await replays.bounds()).last >= stored.seq

    await asyncio.gather(*(write_and_look() for _ in range(8)))
    await client.close()
