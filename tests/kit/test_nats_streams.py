"""Stream administration against a real server."""

import dataclasses

import nats
import pytest

from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_streams import Streams, StreamSpec

SPEC = StreamSpec(name="S", subjects=("s.>",), max_age=3600, duplicate_window=60, metadata={"own": "1"})


@pytest.fixture
async def client(nats_url):
    """A connection."""
    client = await nats.connect(nats_url)
    yield client
    await client.close()


async def test_a_stream_is_made_as_specified_and_adjusted_without_loss(client):
    """A stream has the wanted configuration; a change keeps the messages; creating it again does not."""
    streams = Streams(client)
    assert await streams.look("S") is None
    await streams.create(SPEC)
    facts = await streams.look("S")
    assert facts.matches(SPEC)
    await client.jetstream().publish("s.x", b"", headers={"Nats-Msg-Id": "a"})
    longer = dataclasses.replace(SPEC, max_age=7200)
    assert not facts.matches(longer)
    await streams.adjust(longer)
    facts = await streams.look("S")
    assert facts.matches(longer)
    assert facts.messages == 1
    await streams.create(SPEC)
    assert (await streams.look("S")).last_sequence == 0


async def test_message_ids_are_read_in_order_and_gaps_are_told(client):
    """More than are read at once, one of them deleted, one without an id."""
    streams = Streams(client)
    await streams.create(SPEC)
    context = client.jetstream()
    for number in range(130):
        await context.publish("s.x", b"", headers={"Nats-Msg-Id": f"m{number}"})
    await context.publish("s.x", b"")
    await context.delete_msg("S", 2)
    ids = await streams.message_ids("S", first=1, last=131)
    assert ids == ["m0", None, *(f"m{number}" for number in range(2, 130)), None]


async def test_a_server_that_is_away_is_told(client):
    """Errors of the client library do not get out."""
    streams = Streams(client)
    await client.close()
    with pytest.raises(BusUnavailable):
        await streams.look("S")
