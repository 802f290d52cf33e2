"""The publisher against a real stream: order, fencing, and what each failure leaves behind."""

import asyncio

import nats
import pytest

from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_publisher import (
    AcknowledgementLost,
    AppendPublisher,
    Message,
    MessageDuplicated,
    PositionTaken,
    StreamUnavailable,
)


@pytest.fixture
async def client(nats_url):
    """A connection."""
    client = await nats.connect(nats_url)
    yield client
    await client.close()


@pytest.fixture
async def publisher(client):
    """A publisher to an empty stream."""
    await client.jetstream().add_stream(name="S", subjects=["s.>"])
    publisher = AppendPublisher(client, in_flight=10, ack_timeout=60.0)
    await publisher.start()
    return publisher


def messages(*ids):
    """One message for each id."""
    return [Message(id=str(identity), subject="s.x", payload=str(identity).encode()) for identity in ids]


async def stored(client):
    """The ids in the stream, in order."""
    context = client.jetstream()
    last = (await context.stream_info("S")).state.last_seq
    return [(await context.get_msg("S", seq=n)).headers["Nats-Msg-Id"] for n in range(1, last + 1)]


async def test_batches_larger_than_the_window_are_stored_in_order(publisher, client):
    """Two batches, each of many times what may be in flight."""
    await publisher.append(messages(*range(95)), after=0, after_id=None)
    await publisher.append(messages(*range(95, 200)), after=95, after_id="94")
    assert await stored(client) == [str(n) for n in range(200)]


async def test_a_server_that_takes_too_little_is_refused_before_anything_is_published(client, monkeypatch):
    """An event that it would refuse could not be skipped, and would hold up all later ones."""
    monkeypatch.setattr(client, "_max_payload", 1000)
    publisher = AppendPublisher(client)
    await publisher.start(largest=1000)
    with pytest.raises(BusUnavailable, match="max_payload is 1000 bytes, events need 1001"):
        await publisher.start(largest=1001)


async def test_a_batch_for_another_end_is_not_stored(publisher, client):
    """Neither at a wrong sequence, nor after another message at the right one."""
    await publisher.append(messages("a", "b"), after=0, after_id=None)
    with pytest.raises(PositionTaken) as refused:
        await publisher.append(messages("c", "d"), after=1, after_id="a")
    assert refused.value.stored == 0
    with pytest.raises(PositionTaken):
        await publisher.append(messages("c", "d"), after=2, after_id="a")
    assert await stored(client) == ["a", "b"]


async def test_nothing_after_a_refused_message_is_stored(publisher, client):
    """A message in the middle that cannot be stored ends the batch, with those before it in place."""
    await publisher.append(messages("a", "b"), after=0, after_id=None)
    with pytest.raises(MessageDuplicated) as refused:
        await publisher.append(messages("c", "a", "d", "e"), after=2, after_id="b")
    assert refused.value.stored == 1
    assert await stored(client) == ["a", "b", "c"]
    await publisher.append(messages("d", "e"), after=3, after_id="c")
    assert await stored(client) == ["a", "b", "c", "d", "e"]


async def test_a_late_message_of_a_former_publisher_cannot_take_a_place_by_its_number_alone(publisher, client):
    """The sequence fits, the message before does not: it is refused."""
    other = AppendPublisher(client)
    await other.start()
    await publisher.append(messages("a", "x"), after=0, after_id=None)
    with pytest.raises(PositionTaken):
        await other.append(messages("c"), after=2, after_id="b")
    assert await stored(client) == ["a", "x"]


async def test_a_missing_stream_is_told(publisher, client):
    """Nobody answers on the subject."""
    await client.jetstream().delete_stream("S")
    with pytest.raises(StreamUnavailable):
        await publisher.append(messages("a"), after=0, after_id=None)


async def test_a_silent_stream_is_given_up_and_its_late_answer_is_ignored(client):
    """Without an answer within the time-out the batch ends; an answer to it does not count for the next."""
    requests, both = [], asyncio.Event()

    async def silent(message):
        requests.append(message)
        if len(requests) == 2:
            both.set()

    await client.subscribe("s.>", cb=silent)
    publisher = AppendPublisher(client, ack_timeout=0.2)
    await publisher.start()
    with pytest.raises(AcknowledgementLost) as lost:
        await publisher.append(messages("a"), after=0, after_id=None)
    assert lost.value.stored == 0
    second = asyncio.create_task(publisher.append(messages("b"), after=0, after_id=None))
    await both.wait()
    await client.publish(requests[0].reply, b'{"stream":"S","seq":1}')
    with pytest.raises(AcknowledgementLost):
        await second


async def test_a_lost_answer_is_covered_by_a_later_one(client):
    """A message is stored only after the one before, so the last answer speaks for all."""

    async def last_alone(message):
        if message.data == b"c":
            await client.publish(message.reply, b'{"stream":"S","seq":3}')

    await client.subscribe("s.>", cb=last_alone)
    publisher = AppendPublisher(client, ack_timeout=60.0)
    await publisher.start()
    await publisher.append(messages("a", "b", "c"), after=0, after_id=None)


async def test_the_place_is_remembered_over_a_purge(publisher, client):
    """An emptied stream goes on where it ended, whether the id before is asked for or not."""
    await publisher.append(messages("a", "b"), after=0, after_id=None)
    await client.jetstream().purge_stream("S")
    await publisher.append(messages("c"), after=2, after_id=None)
    assert (await client.jetstream().stream_info("S")).state.last_seq == 3
