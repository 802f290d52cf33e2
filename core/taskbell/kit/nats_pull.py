"""Working through a JetStream stream together with others: one durable pull consumer, explicit acknowledgement.

nats-py's `fetch` can sit out its time-out though messages wait; so this asks the server itself (ADR-13): a standing
request for a batch with idle heartbeats. Silence for three heartbeats means that the request is lost: it is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_message import headers_of, is_delivery, read_reply, status_of

_log = structlog.get_logger(__name__)
_REQUEST_TIMEOUT = 2.0
_RETRY_AFTER = 0.5
_HEARTBEAT = "100"
_REQUEST_OVER = frozenset({"404", "408"})
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSpec:
    """The desired durable consumer; each start reconciles it.

    Attributes:
        stream: The stream it reads, from its beginning.
        durable: Its name, shared by all workers.
        filter_subject: What of the stream it reads.
        ack_wait: Seconds until an unacknowledged message comes again, to whichever worker asks.
        max_deliver: How often a message comes at most.
        max_ack_pending: How many messages may be out at a time with all workers together.
    """

    stream: str
    durable: str
    filter_subject: str
    ack_wait: float = 30.0
    max_deliver: int = 5
    max_ack_pending: int = 5_000


class WorkItem:
    """One message at work. Every answer is sent without waiting; a lost one makes the message come again."""

    __slots__ = ("_message", "data", "deliveries", "headers", "sequence", "subject")

    def __init__(self, message: Msg) -> None:
        """Take a delivery.

        Raises:
            ValueError: The message is no delivery.
        """
        self._message = message
        self.sequence, _, self.deliveries = read_reply(message.reply)
        self.subject = message.subject
        self.headers = headers_of(message)
        self.data = message.data

    async def done(self) -> None:
        """It shall not come again."""
        await self._answer(b"+ACK")

    async def working(self) -> None:
        """It needs longer: the time to acknowledge starts again."""
        await self._answer(b"+WPI")

    async def give_back(self, *, after: float = 0.0) -> None:
        """It shall come again, to anybody, after some seconds."""
        await self._answer(b'-NAK {"delay": %d}' % int(after * _NANOSECONDS))

    async def give_up(self) -> None:
        """It shall not come again though it was not done."""
        await self._answer(b"+TERM")

    async def _answer(self, word: bytes) -> None:
        with contextlib.suppress(NatsError):  # it comes again, and whoever works on it must stand that anyway
            await self._message.respond(word)


Handle = Callable[[list[WorkItem]], Awaitable[None]]
"""Works on a batch and answers every item of it. If it raises, the batch is given back."""


class PullWorker:
    """Pulls batches and hands them over one after the other. `run` is a role for `kit.looper`."""

    def __init__(
        self,
        client: Client,
        spec: PullSpec,
        handle: Handle,
        *,
        batch: int,
        heartbeat: float = 1.0,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Take a connection (the caller closes it), the consumer, who works, and the most messages at a time.

        `prepare` makes the stream where it may be missing; it raises `BusUnavailable` when it cannot.
        """
        self._client = client
        self._context = client.jetstream(timeout=_REQUEST_TIMEOUT)
        self._spec = spec
        self._handle = handle
        self._batch = batch
        self._heartbeat = heartbeat
        self._prepare = prepare
        self._attached = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let `run` end after the batch at work."""
        self._stopping.set()

    async def check(self) -> None:
        """Health check. Raises `BusUnavailable` while no consumer answers."""
        if not self._attached:
            raise BusUnavailable("no consumer")

    async def run(self) -> None:
        """Work until `stop`. Waits for a stream that is not there yet; makes the consumer where it is missing."""
        told = ""
        while not self._stopping.is_set():
            reason = await self._attach()
            if reason == "":
                told = ""
                reason = await self._work()
            if reason and reason != told:
                _log.warning("pull_worker_detached", durable=self._spec.durable, reason=reason)
                told = reason
            if reason:
                await self._stopped_within(_RETRY_AFTER)

    async def _attach(self) -> str:
        """Make or adjust the consumer; the reason if that cannot be done."""
        spec = self._spec
        config = ConsumerConfig(
            durable_name=spec.durable,
            name=spec.durable,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=spec.ack_wait,
            max_deliver=spec.max_deliver,
            max_ack_pending=spec.max_ack_pending,
            filter_subject=spec.filter_subject,
        )
        try:
            if self._prepare is not None:
                await self._prepare()
            await self._context.add_consumer(spec.stream, config)
        except NotFoundError:
            return "the stream does not exist"
        except (NatsError, TimeoutError, BusUnavailable) as away:
            return f"NATS does not answer: {type(away).__name__}"
        return ""

    async def _work(self) -> str:
        """Pull and hand over until the consumer is lost; return why, or nothing when asked to stop."""
        arrivals: asyncio.Queue[Msg] = asyncio.Queue()

        async def arrived(message: Msg) -> None:
            arrivals.put_nowait(message)

        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox, cb=arrived)
        self._attached = True
        try:
            return await self._pull(inbox, arrivals)
        finally:
            self._attached = False
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()
            # What came after the last batch is anybody's at once, not only when its time is over.
            while not arrivals.empty():
                message = arrivals.get_nowait()
                if is_delivery(message):
                    await WorkItem(message).give_back()

    async def _pull(self, inbox: str, arrivals: asyncio.Queue[Msg]) -> str:
        wanted = 0
        expires = 10 * self._heartbeat
        while not self._stopping.is_set():
            if wanted <= 0:
                wanted = self._batch
                request = {
                    "batch": wanted,
                    "expires": int(expires * _NANOSECONDS),
                    "idle_heartbeat": int(self._heartbeat * _NANOSECONDS),
                }
                subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._spec.stream}.{self._spec.durable}"
                try:
                    await self._client.publish(subject, orjson.dumps(request), reply=inbox)
                except NatsError as away:
                    return f"NATS does not answer: {type(away).__name__}"
            messages = await self._arrived(arrivals)
            if messages is None:
                return "" if self._stopping.is_set() else "silence"
            items = []
            for message in messages:
                if is_delivery(message):
                    wanted -= 1
                    items.append(WorkItem(message))
                    continue
                status = status_of(message)
                if status in _REQUEST_OVER:
                    wanted = 0
                elif status != _HEARTBEAT:
                    await self._hand_over(items)
                    return f"{status} {headers_of(message).get('Description', '')}"
            await self._hand_over(items)
        return ""

    async def _arrived(self, arrivals: asyncio.Queue[Msg]) -> list[Msg] | None:
        """All that is there, waiting for the first; None when nothing came in time or the worker shall stop."""
        getting = asyncio.create_task(arrivals.get())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([getting, stopping], timeout=3 * self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                return None
            found = [getting.result()]
        finally:
            getting.cancel()
            stopping.cancel()
        while not arrivals.empty():
            found.append(arrivals.get_nowait())
        return found

    async def _hand_over(self, items: list[WorkItem]) -> None:
        """Let the batch be worked on, and keep it ours meanwhile."""
        if not items:
            return
        keeping = asyncio.create_task(self._keep(items), name=f"{self._spec.durable}-keeps")
        try:
            await self._handle(items)
        except BaseException:
            for item in items:
                await item.give_back(after=min(2.0**item.deliveries, 30.0))
            raise
        finally:
            keeping.cancel()

    async def _keep(self, items: list[WorkItem]) -> None:
        while True:
            await asyncio.sleep(self._spec.ack_wait / 3)
            for item in items:
                await item.working()

    async def _stopped_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
