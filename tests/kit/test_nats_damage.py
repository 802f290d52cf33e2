"""A stream that lost messages: whoever reads is told, and passes over none of them in silence."""

import asyncio
import dataclasses

import pytest
from nats.js.api import StreamConfig

from taskbell.kit import nats_reader
from taskbell.kit.nats_bus import connect
from taskbell.kit.nats_reader import StreamReader
from taskbell.kit.nats_replay import ReplayInterrupted, StreamReplays
from taskbell.kit.nats_streams import Streams
from taskbell.local.embedded.nats import NatsServer
from taskbell.testing.waiting import eventually

LARGE = b"x" * 5 * 2**20
"""Two of these do not fit into one file of a stream, which has 8 MiB."""


async def write(client, subjects, *, data=b"", epoch="1"):
    """Make the stream, with a message on each of the subjects."""
    config = StreamConfig(name="S", subjects=["s.>"], metadata={"epoch": epoch}, allow_direct=True)
    await client.jetstream().add_stream(config)
    for letter in subjects:
        await client.jetstream().publish(f"s.{letter}", data)


@pytest.fixture
async def client(nats_url):
    """A connection."""
    client = await connect(nats_url, name="damage")
    yield client
    await client.close()


async def test_files_that_are_removed_under_a_running_server_are_told(tmp_path):
    """The server then finds no message of the subject at all, which must not look as if there had never been one."""
    server = NatsServer(tmp_path / "nats", accounts={"a": "secret"})
    with server.running(tmp_path / "nats.log"):
        client = await connect(server.url("a"), name="damage")
        await write(client, "abbbc", data=LARGE)
        for number in (2, 3, 4):
            (server.data_dir / "store/jetstream/a/streams/S/msgs" / f"{number}.blk").unlink()
        replays = StreamReplays(client, stream="S", epoch_key="epoch")
        async with replays.open(subjects=["s.b"], after=1, until=5):
            with pytest.raises(ReplayInterrupted):
                await replays.bounds()
        assert (await Streams(client).look("S")).missing > 0
        await client.close()


async def test_a_replay_passes_over_no_hole(client):
    """It is interrupted, and yields no batch with a message from behind the hole."""
    await write(client, "bbbbb")
    replays = StreamReplays(client, stream="S", epoch_key="epoch")
    found = []
    async with replays.open(subjects=["s.b"], after=0, until=5) as replay:
        await client.jetstream().delete_msg("S", 3)
        with pytest.raises(ReplayInterrupted):  # noqa: PT012 -- the loop is what is interrupted
            async for batch in replay.batches(at_most=2):
                found += [message.sequence for message in batch]
    assert 4 not in found


async def test_a_replay_is_interrupted_where_its_next_messages_are_gone(client):
    """The front of a stream goes by retention or by a loss; in both cases what follows it is not the continuation."""
    await write(client, "abbbb")
    replays = StreamReplays(client, stream="S", epoch_key="epoch")
    async with replays.open(subjects=["s.b"], after=1, until=5) as replay:
        await client.jetstream().purge_stream("S", seq=4)
        with pytest.raises(ReplayInterrupted):
            await anext(replay.batches())


async def test_a_reader_waits_for_a_new_epoch_where_messages_are_lost(client, monkeypatch):
    """It passes on nothing from behind the hole, whether it is seen before reading or by reading."""
    taken = []

    class Handler:
        def begin(self, *, epoch, position):
            taken.append((epoch, position))

        def message(self, sequence, *_):
            taken.append(sequence)

        def detached(self, reason):
            taken.append(reason)

        def lag(self, messages):
            pass

    bounds, looks = StreamReader._bounds, []

    async def at_first_unaware(reader):
        looks.append(await bounds(reader))
        return dataclasses.replace(looks[-1], missing=looks[-1].missing if len(looks) > 1 else 0)

    monkeypatch.setattr(StreamReader, "_bounds", at_first_unaware)
    monkeypatch.setattr(nats_reader, "REQUEST_TIMEOUT", 60.0)  # a slow machine is no reason to attach again
    await write(client, "abc")
    await client.jetstream().delete_msg("S", 2)
    reader = StreamReader(client, Handler(), stream="S", epoch_key="epoch", warm_up=5, heartbeat=60.0)
    reading = asyncio.create_task(reader.run())
    await eventually(lambda: len(looks) > 2)
    assert [found.missing for found in looks[:3]] == [1, 1, 1]
    assert taken == [(1, 0), 1, "the stream has a hole"]
    await client.jetstream().delete_stream("S")
    await write(client, "d", epoch="2")
    await eventually(lambda: [*taken[3:], looks[-1]], wanted=lambda found: found[:-1] == [(2, 0), 1])
    reading.cancel()
    await asyncio.wait([reading])
