"""The change feed on a real stream: exact whatever is in memory, and nearly free for who polls."""

import asyncio
import contextlib
import random
from uuid import UUID

import nats
import pytest
from nats.js.api import StreamConfig

from taskbell.api.events import service
from taskbell.api.events.errors import EventCursorExpired, EventsUnavailable
from taskbell.api.events.recent import RecentEvents
from taskbell.api.events.service import ChangeFeed
from taskbell.contract.subjects import EVENTS_ROOT, HEADER_AUDIENCE, METADATA_EPOCH, STREAM, event_subject
from taskbell.kit.looper import running
from taskbell.kit.nats_bus import connect
from taskbell.kit.nats_reader import StreamReader
from taskbell.kit.nats_replay import StreamReplays
from taskbell.testing.waiting import eventually

WORKSPACES = [UUID(int=number) for number in range(4)]
ANN, BOB = UUID(int=10), UUID(int=11)
WINDOWS = {"no memory": 0, "a small window": 20_000, "everything": 2**24}


class Relay:
    """Writes events as the relay does, and remembers them."""

    def __init__(self, client):
        self._client = client
        self._stream = client.jetstream()
        self.written = []

    async def begin(self, epoch):
        """Replace the stream by an empty one."""
        with contextlib.suppress(nats.js.errors.NotFoundError):
            await self._stream.delete_stream(STREAM)
        config = StreamConfig(name=STREAM, subjects=[f"{EVENTS_ROOT}.>"], metadata={METADATA_EPOCH: str(epoch)})
        await self._stream.add_stream(config)
        self.written = []

    async def write(self, workspace_id, *, kind="task.created", user=ANN):
        """Append one event; returns its sequence."""
        subject = event_subject(workspace_id=workspace_id, event_type=kind)
        text = str(len(self.written)).encode()
        stored = await self._stream.publish(subject, text, headers={HEADER_AUDIENCE: str(user)})
        self.written.append((stored.seq, workspace_id, kind, user, text))
        return stored.seq

    async def write_any(self, number):
        """Append events of all workspaces, some of them for one person alone."""
        for _ in range(number):
            kind = random.choice(("task.created", "task.moved", "notification.created"))
            await self.write(random.choice(WORKSPACES), kind=kind, user=random.choice((ANN, BOB)))

    def for_reader(self, workspace_id, reader, *, after=0):
        """What a reader must get of a workspace."""
        return [
            (sequence, text)
            for sequence, of, kind, user, text in self.written
            if of == workspace_id and sequence > after and (kind != "notification.created" or user == reader)
        ]


@pytest.fixture
async def relay(nats_url):
    """A relay and its empty stream."""
    client = await nats.connect(nats_url)
    relay = Relay(client)
    await relay.begin(1)
    yield relay
    await client.close()


@contextlib.asynccontextmanager
async def serving(nats_url, *, max_bytes=2**24, follow=True):
    """A feed as the API has one."""
    client = await connect(nats_url, name="feed")
    recent = RecentEvents(max_bytes=max_bytes)
    reader = StreamReader(client, recent, stream=STREAM, epoch_key=METADATA_EPOCH)
    feed = ChangeFeed(StreamReplays(client, stream=STREAM, epoch_key=METADATA_EPOCH), recent)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        if follow:
            await stack.enter_async_context(running(reader.run, name="feed-reader"))
            await eventually(lambda: reader.epoch is not None, "the reader")
        yield feed


async def read_on(feed, workspace_id, reader, after, *, limit):
    """Page until nothing more waits; returns the items and where to go on."""
    found = []
    while True:
        page = await feed.page(workspace_id=workspace_id, reader=reader, after=after, limit=limit)
        assert len(page.items) <= limit
        found += [(cursor.sequence, text) for cursor, text in page.items]
        after = str(page.next_cursor)
        if not page.has_more:
            return found, after


@pytest.mark.parametrize("max_bytes", WINDOWS.values(), ids=WINDOWS)
async def test_pollers_get_everything_once_and_in_order(nats_url, relay, max_bytes):
    """While events are written at random, by any page size, from the beginning: nothing is skipped, nothing twice."""
    await relay.write_any(60)
    async with serving(nats_url, max_bytes=max_bytes) as feed:
        writing = asyncio.create_task(relay.write_any(200))

        async def poll(workspace_id, reader):
            found, after = [], None
            while True:
                last = writing.done()
                some, after = await read_on(feed, workspace_id, reader, after, limit=random.choice((1, 3, 100)))
                found += some
                if last:
                    return found
                await asyncio.sleep(random.random() / 50)

        readers = [(workspace_id, reader) for workspace_id in WORKSPACES for reader in (ANN, BOB)]
        read = await asyncio.gather(*(poll(*reader) for reader in readers))
    assert read == [relay.for_reader(*reader) for reader in readers]


@pytest.mark.parametrize("max_bytes", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("page_bytes", [1, 20])
async def test_a_page_ends_before_it_is_too_large(nats_url, relay, monkeypatch, max_bytes, page_bytes):
    """A page has one event at least and as many as its bytes allow; joined, nothing is skipped, nothing twice."""
    monkeypatch.setattr(service, "PAGE_BYTES", page_bytes)
    await relay.write_any(60)
    async with serving(nats_url, max_bytes=max_bytes) as feed:
        page = await feed.page(workspace_id=WORKSPACES[0], reader=ANN, after="1-0", limit=100)
        assert sum(len(text) for _, text in page.items) <= max(page_bytes, 2)
        found, _ = await read_on(feed, WORKSPACES[0], ANN, "1-0", limit=100)
    assert found == relay.for_reader(WORKSPACES[0], ANN)


@pytest.mark.parametrize("max_bytes", WINDOWS.values(), ids=WINDOWS)
async def test_from_any_cursor_the_rest_comes(nats_url, relay, max_bytes):
    """Whether a cursor lies within the window, before it or at its edge makes no difference."""
    await relay.write_any(30)
    async with serving(nats_url, max_bytes=max_bytes) as feed:
        await relay.write_any(40)
        for after in range(0, 71, 3):
            found, end = await read_on(feed, WORKSPACES[0], ANN, f"1-{after}", limit=7)
            assert found == relay.for_reader(WORKSPACES[0], ANN, after=after)
            assert end == "1-70"


async def test_polls_of_what_is_new_make_nothing_in_nats(nats_url, relay, monkeypatch):
    """With events of others, of one's own or none: no consumer is made for a poll, and the cursor moves on."""
    monkeypatch.setattr(service, "_PATIENCE", 60)  # a feed that has no patience left reads the stream
    async with serving(nats_url) as feed, contextlib.AsyncExitStack() as stack:
        watching = await nats.connect(nats_url)
        stack.push_async_callback(watching.close)
        made = await watching.subscribe(f"$JS.EVENT.ADVISORY.CONSUMER.CREATED.{STREAM}.>")
        await watching.flush()
        after = "1-0"
        for turn in range(30):
            written = await relay.write(WORKSPACES[turn % 2])
            page = await feed.page(workspace_id=WORKSPACES[0], reader=ANN, after=after, limit=10)
            assert [cursor.sequence for cursor, _ in page.items] == ([] if turn % 2 else [written])
            after = str(page.next_cursor)
            assert after == f"1-{written}"
        await watching.flush()
        assert made.pending_msgs == 0
        await read_on(
            await stack.enter_async_context(serving(nats_url, follow=False)), WORKSPACES[0], ANN, None, limit=9
        )
        assert (await made.next_msg(60)).subject  # that such a thing would have been seen


async def test_a_stream_that_is_another_one_is_noticed_at_once(nats_url, relay):
    """Events in memory are no answer any more: old cursors have expired, and new ones read the new stream."""
    async with serving(nats_url) as feed:
        await relay.write_any(20)
        _, old = await read_on(feed, WORKSPACES[0], ANN, "1-0", limit=100)
        await relay.begin(2)
        await relay.write_any(20)
        for cursor in (old, "1-5"):
            with pytest.raises(EventCursorExpired) as refused:
                await feed.page(workspace_id=WORKSPACES[0], reader=ANN, after=cursor, limit=10)
            assert "after=2-20>" in refused.value.headers["Link"]
        found, _ = await read_on(feed, WORKSPACES[0], ANN, "2-3", limit=100)
        assert found == relay.for_reader(WORKSPACES[0], ANN, after=3)


async def test_what_retention_took_is_refused(nats_url, relay):
    """Also where memory still holds it: all processes answer alike."""
    async with serving(nats_url) as feed:
        await relay.write_any(20)
        await read_on(feed, WORKSPACES[0], ANN, "1-0", limit=100)
        await relay._stream.purge_stream(STREAM, seq=11)
        with pytest.raises(EventCursorExpired):
            await feed.page(workspace_id=WORKSPACES[0], reader=ANN, after="1-9", limit=10)
        for after in ("1-10", None):
            found, _ = await read_on(feed, WORKSPACES[0], ANN, after, limit=100)
            assert found == relay.for_reader(WORKSPACES[0], ANN, after=10)


async def test_without_its_reader_the_feed_reads_the_stream(nats_url, relay):
    """A process that could not begin to follow the stream, or follows none any more, serves everything."""
    await relay.write_any(20)
    async with serving(nats_url, follow=False) as feed:
        found, _ = await read_on(feed, WORKSPACES[0], ANN, None, limit=3)
    assert found == relay.for_reader(WORKSPACES[0], ANN)


async def test_without_a_stream_the_feed_says_so(nats_url, relay):
    """Memory alone is no answer: the stream's end is unknown."""
    async with serving(nats_url) as feed:
        await relay.write_any(5)
        await read_on(feed, WORKSPACES[0], ANN, "1-0", limit=100)
        await relay._stream.delete_stream(STREAM)
        with pytest.raises(EventsUnavailable):
            await feed.page(workspace_id=WORKSPACES[0], reader=ANN, after="1-5", limit=10)
