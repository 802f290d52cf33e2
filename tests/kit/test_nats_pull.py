"""Pulling work from a stream together: what is not answered comes again, what is lost is noticed."""

import asyncio
import contextlib
from functools import partial

import nats
import pytest
from nats.js.api import StreamConfig

from taskbell.kit.looper import running
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_pull import PullSpec, PullWorker
from taskbell.testing.waiting import eventually

SPEC = PullSpec(stream="WORK", durable="workers", filter_subject="work.>", ack_wait=1.0, max_deliver=5)
HEARTBEAT = 0.2


@pytest.fixture
async def client(nats_url):
    """A connection."""
    made = await nats.connect(nats_url)
    yield made
    await made.close()


@pytest.fixture
async def stream(client):
    """An empty stream."""
    context = client.jetstream()
    await context.add_stream(StreamConfig(name="WORK", subjects=["work.>"]))
    return context


async def publish(stream, count):
    """Publish numbered messages."""
    for number in range(count):
        await stream.publish("work.x", str(number).encode())


@contextlib.asynccontextmanager
async def working(client, handle, *, heartbeat=HEARTBEAT, **bounds):
    """Run a worker for the length of a block."""
    worker = PullWorker(client, SPEC, handle, heartbeat=heartbeat, **{"batch": 10, **bounds})
    async with running(worker.run, name="worker") as task:
        yield worker
        worker.stop()
        await asyncio.wait([task], timeout=60)


async def drained(stream):
    """Whether nothing waits for a worker or for its answer."""
    info = await stream.consumer_info("WORK", "workers")
    return (info.num_pending, info.num_ack_pending) == (0, 0)


async def test_workers_share_and_answer_all(client, stream):
    """Two workers get every message once between them, in batches; nothing is left."""
    seen = {"a": [], "b": []}

    def by(name):
        async def handle(items):
            assert len(items) <= 10
            await asyncio.sleep(0.005)
            for item in items:
                seen[name].append(int(item.data))
                await item.done()

        return handle

    async with working(client, by("a")), working(client, by("b")):
        await publish(stream, 200)
        await eventually(lambda: len(seen["a"]) + len(seen["b"]) >= 200)
    assert sorted(seen["a"] + seen["b"]) == list(range(200))
    await eventually(partial(drained, stream), "every answer arrives")


async def test_a_batch_ends_at_its_bytes(client, stream):
    """However many messages are allowed, a batch is no larger; a message that is larger than a batch comes alone."""
    sizes = [400] * 5 + [3000] + [400] * 5 + [3000]
    for size in sizes:
        await stream.publish("work.x", b"x" * size)
    batches = []

    async def handle(items):
        batches.append([len(item.data) for item in items])
        for item in items:
            await item.done()

    async with working(client, handle, batch=100, batch_bytes=1500):
        await eventually(lambda: sum(map(len, batches)) >= len(sizes))
    assert [size for batch in batches for size in batch] == sizes
    assert all(sum(batch) <= 1500 or batch == [3000] for batch in batches)
    assert [400] * 3 in batches[batches.index([3000]) :]  # what follows comes together again
    await eventually(partial(drained, stream), "every answer arrives")


async def test_a_batch_that_fails_comes_again(client, stream):
    """An error of the handler gives the batch back, with a count that grows."""
    seen = []

    async def handle(items):
        for item in items:
            seen.append((int(item.data), item.deliveries))
            if item.deliveries == 1:
                raise ValueError("a test")
            await item.done()

    async with working(client, handle, batch=1):
        await publish(stream, 2)
        await eventually(lambda: {(0, 2), (1, 2)} <= set(seen))


async def test_slow_work_stays_ours(client, stream):
    """Work that takes longer than the time to answer is not given to another: the worker says that it goes on."""
    seen, signs, over = [], [], asyncio.Event()

    async def sign(message):
        signs.append(message)
        if len(signs) == 7:  # one comes at each third of the time to answer
            over.set()

    async def handle(items):
        seen.extend(item.deliveries for item in items)
        await over.wait()
        for item in items:
            await item.done()

    await client.subscribe("$JS.ACK.WORK.>", cb=sign)
    async with working(client, handle), working(client, handle):
        await publish(stream, 1)
        await over.wait()
        await eventually(lambda: drained(stream))
    assert seen == [1]


async def test_a_lost_stream_and_consumer_are_found_again(client, stream):
    """The worker waits for a missing stream, and creates the consumer again when it was deleted."""
    seen = []

    async def handle(items):
        for item in items:
            seen.append(item.data)
            await item.done()

    async with working(client, handle) as worker:
        await publish(stream, 1)
        await eventually(lambda: len(seen) == 1)
        await stream.delete_consumer("WORK", "workers")
        await eventually(lambda: not worker._attached)
        await eventually(lambda: len(seen) == 2)  # a new consumer begins at the beginning
        await stream.delete_stream("WORK")

        async def away():
            try:
                await worker.check()
            except BusUnavailable:
                return True
            return False

        await eventually(away)
        await stream.add_stream(StreamConfig(name="WORK", subjects=["work.>"]))
        await publish(stream, 1)
        await eventually(lambda: len(seen) == 3)
