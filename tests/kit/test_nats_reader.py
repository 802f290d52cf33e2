"""The stream reader and replays against a real server that is hurt: nothing is skipped, nothing comes twice."""

import asyncio
import contextlib
import signal
import subprocess

import nats
import pytest
from nats.js.api import StreamConfig

from taskbell.kit import nats_reader
from taskbell.kit.looper import running
from taskbell.kit.nats_bus import connect
from taskbell.kit.nats_reader import StreamNotRead, StreamReader
from taskbell.kit.nats_replay import ReplayInterrupted, StreamReplays
from taskbell.local.embedded.nats import NatsServer
from taskbell.testing.waiting import eventually

STREAM = "S"
EPOCH = "epoch"


class Book:
    """A listener that writes everything down."""

    def __init__(self):
        self.begun = []
        self.sequences = []
        self.texts = []
        self.reasons = []
        self.failures = 0

    def begin(self, *, epoch, position):
        """Write down."""
        self.begun.append((epoch, position))

    def message(self, sequence, subject, headers, data):
        """Write down, or fail as asked."""
        if self.failures:
            self.failures -= 1
            raise ValueError("a test")
        self.sequences.append(sequence)
        self.texts.append(data)

    def detached(self, reason):
        """Write down."""
        self.reasons.append(reason)

    def lag(self, messages):
        """Nothing to prove about it."""

    async def until(self, number):
        """Wait for so many messages."""
        await eventually(lambda: len(self.sequences) >= number)


class Watched(StreamReader):
    """A reader that counts how often it looked at the stream."""

    looks = 0

    async def _bounds(self):
        self.looks += 1
        return await super()._bounds()


class Server:
    """A server of this test alone, that can be killed and come back with its data."""

    def __init__(self, folder):
        self.server = NatsServer(folder, accounts={"t": "t"})
        self.process = None

    @property
    def url(self):
        """Address of its only account."""
        return self.server.url("t")

    async def start(self):
        """Start and wait until JetStream answers."""
        self.server.prepare()
        self.process = subprocess.Popen(  # noqa: ASYNC220 -- starting does not wait
            self.server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        await eventually(lambda: asyncio.to_thread(self.server.accepts_connections), "the server")

    def end(self, how):
        """End by a signal."""
        self.process.send_signal(how)
        self.process.wait(20)


@pytest.fixture
async def server(tmp_path):
    """A private server."""
    found = Server(tmp_path / "nats")
    await found.start()
    yield found
    found.end(signal.SIGKILL)


@contextlib.asynccontextmanager
async def reading(url, book, *, heartbeat=0.5, **options):
    """Run a reader for the length of a block."""
    reader = None

    async def reconnected():
        reader.disturb()

    client = await connect(url, name="reader", on_reconnect=reconnected)
    reader = Watched(client, book, stream=STREAM, epoch_key=EPOCH, heartbeat=heartbeat, **options)
    try:
        async with running(reader.run, name="reader"):
            yield reader
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def writing(url, *, create=True, epoch="1"):
    """A JetStream context with the stream made."""
    client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    try:
        context = client.jetstream()
        if create:
            await context.add_stream(StreamConfig(name=STREAM, subjects=["s.>"], metadata={EPOCH: epoch}))
        yield context
    finally:
        await client.close()


async def test_it_begins_at_the_end_or_some_messages_before(nats_url):
    """Without warm-up only what comes later is read; with it, the newest so many before."""
    async with writing(nats_url) as stream:
        for number in range(10):
            await stream.publish("s.a", str(number).encode())
        later, warm = Book(), Book()
        async with reading(nats_url, later) as reader, reading(nats_url, warm, warm_up=3):
            await warm.until(3)
            await reader_attached(reader)
            await stream.publish("s.a", b"10")
            await later.until(1)
            await warm.until(4)
        assert (later.begun, later.sequences) == ([(1, 10)], [11])
        assert (warm.begun, warm.sequences) == ([(1, 7)], [8, 9, 10, 11])


async def reader_attached(reader):
    """Wait until the reader is healthy."""

    async def healthy():
        try:
            await reader.check()
        except StreamNotRead:
            return False
        return True

    await eventually(healthy, "the reader")


async def test_a_deleted_consumer_is_created_again_where_it_ended(nats_url):
    """When the server forgets the consumer, silence shows it, and reading goes on without a hole."""
    book = Book()
    async with writing(nats_url) as stream, reading(nats_url, book) as reader:
        await reader_attached(reader)
        await stream.publish("s.a", b"1")
        await book.until(1)
        (info,) = await stream.consumers_info(STREAM)
        await stream.delete_consumer(STREAM, info.name)
        for number in range(2, 6):
            await stream.publish("s.a", str(number).encode())
        await book.until(5)
        assert book.sequences == [1, 2, 3, 4, 5]
        assert book.begun == [(1, 0)]
        assert book.reasons == ["silence"]


async def test_a_message_that_fails_comes_again(nats_url):
    """A listener's failure skips nothing."""
    book = Book()
    async with writing(nats_url) as stream, reading(nats_url, book) as reader:
        await reader_attached(reader)
        book.failures = 2
        for number in range(3):
            await stream.publish("s.a", str(number).encode())
        await book.until(3)
        assert book.sequences == [1, 2, 3]


async def test_lost_deliveries_are_seen_and_read_again(nats_url, monkeypatch):
    """A delivery that gets lost on the way breaks the consumer's sequence; the last of all is shown by a heartbeat."""
    book = Book()
    receive = nats_reader._Attachment.receive
    lost = iter([False, True, False, False, False, True])  # 1 2 3, again 2 3, 4

    async def lossy(self, message):
        if message.reply.startswith("$JS.ACK.") and next(lost, False):
            return
        await receive(self, message)

    monkeypatch.setattr(nats_reader._Attachment, "receive", lossy)
    async with writing(nats_url) as stream, reading(nats_url, book) as reader:
        await reader_attached(reader)
        for number in range(3):
            await stream.publish("s.a", str(number).encode())
        await book.until(3)
        await stream.publish("s.a", b"the last")
        await book.until(4)
        assert book.sequences == [1, 2, 3, 4]
        assert book.reasons == ["messages were lost", "messages were lost"]


async def test_another_epoch_is_another_stream(nats_url):
    """A stream that was created again is read from its start, and the handler is told."""
    book = Book()
    async with writing(nats_url) as stream, reading(nats_url, book, warm_up=10) as reader:
        await reader_attached(reader)
        for number in range(3):
            await stream.publish("s.a", str(number).encode())
        await book.until(3)
        await stream.delete_stream(STREAM)
        await stream.add_stream(StreamConfig(name=STREAM, subjects=["s.>"], metadata={EPOCH: "2"}))
        await stream.publish("s.a", b"new")
        await book.until(4)
        assert book.begun == [(1, 0), (2, 0)]
        assert (book.sequences, book.texts[-1]) == ([1, 2, 3, 1], b"new")


async def test_a_stream_that_lost_its_end_is_not_read_on(nats_url):
    """The same epoch with fewer messages than were read is waited out: its relay gives it another epoch."""
    book = Book()
    async with writing(nats_url) as stream, reading(nats_url, book, warm_up=10) as reader:
        await reader_attached(reader)
        for number in range(3):
            await stream.publish("s.a", str(number).encode())
        await book.until(3)
        await stream.delete_stream(STREAM)
        await stream.add_stream(StreamConfig(name=STREAM, subjects=["s.>"], metadata={EPOCH: "1"}))
        await stream.publish("s.a", b"x")
        await eventually(lambda: book.reasons)
        looks = reader.looks  # which may have begun before the stream was another
        await eventually(lambda: reader.looks >= looks + 3)
        with pytest.raises(StreamNotRead):
            await reader.check()
        await stream.delete_stream(STREAM)
        await stream.add_stream(StreamConfig(name=STREAM, subjects=["s.>"], metadata={EPOCH: "2"}))
        await stream.publish("s.a", b"y")
        await book.until(4)
        assert book.texts == [b"0", b"1", b"2", b"y"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_restart_of_the_server_loses_nothing(server, how):
    """While messages flow the server ends and comes back with its data: every acknowledged message is read once."""
    book = Book()
    async with writing(server.url) as stream, reading(server.url, book) as reader:
        await reader_attached(reader)
        acknowledged = []

        async def write():
            for number in range(600):
                while True:
                    try:
                        answer = await stream.publish(
                            "s.a", str(number).encode(), headers={"Nats-Msg-Id": str(number)}, timeout=1
                        )
                    except (nats.errors.Error, TimeoutError):
                        await asyncio.sleep(0.05)
                        continue
                    acknowledged.append((number, answer.seq))
                    break
                await asyncio.sleep(0.002)

        task = asyncio.create_task(write())
        await book.until(100)
        server.end(how)
        await server.start()
        await task
        await book.until(600)
        assert book.sequences == list(range(1, 601))
        assert [int(text) for text in book.texts] == list(range(600))
        assert book.begun == [(1, 0)]
        assert book.reasons


async def test_a_replay_is_exact(nats_url):
    """Filters, both ends and batches: what lies between them comes, in order, and nothing else."""
    client = await connect(nats_url, name="replays")
    replays = StreamReplays(client, stream=STREAM, epoch_key=EPOCH)
    with pytest.raises(ReplayInterrupted):
        await replays.bounds()
    async with writing(nats_url) as stream:
        for number in range(1200):
            await stream.publish(f"s.{number % 3}", str(number).encode())
        bounds = await replays.bounds()
        assert (bounds.epoch, bounds.first, bounds.last) == (1, 1, 1200)
        async with replays.open(subjects=["s.0", "s.2"], after=10, until=1100) as replay:
            found = [message async for batch in replay.batches() for message in batch]
        assert [message.sequence for message in found] == [
            sequence for sequence in range(11, 1101) if (sequence - 1) % 3 != 1
        ]
        assert all(int(message.data) == message.sequence - 1 for message in found)
        async with replays.open(subjects=["s.9"], after=0, until=1200) as replay:
            assert (replay.pending, [batch async for batch in replay.batches()]) == (0, [])
    await client.close()
