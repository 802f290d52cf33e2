"""Workers that share the messages of a JetStream stream: one durable pull consumer, explicit acknowledgement.

`fetch` of nats-py can wait for its whole timeout although messages are there. So this module sends the server's pull
requests itself (NATS ADR-13), with idle heartbeats: when three of them are missing, it sends the request again.
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
from taskbell.kit.nats_message import headers_of, is_delivery, is_out_of_bytes, read_reply, status_of
from taskbell.kit.waiting import happens

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
        stream: The stream that it reads, from the beginning.
        durable: Its name, the same for all workers.
        filter_subject: The subjects that it reads.
        ack_wait: Seconds after which an unacknowledged message is delivered again, to any worker.
        max_deliver: How often a message is delivered at most.
        max_ack_pending: How many messages all workers together may have unacknowledged.
        made_here: Whether the workers make and adjust it; otherwise they wait for it, and need no right to do so.
    """

    stream: str
    durable: str
    filter_subject: str
    ack_wait: float = 30.0
    max_deliver: int = 5
    max_ack_pending: int = 5_000
    made_here: bool = True


class WorkItem:
    """One message that a worker has. Each answer is sent without waiting; if it is lost, the message comes again."""

    __slots__ = ("_message", "data", "deliveries", "headers", "sequence", "subject")

    def __init__(self, message: Msg) -> None:
        """Take a delivery.

        Raises:
            ValueError: The message is not a delivery.
        """
        self._message = message
        self.sequence, _, self.deliveries = read_reply(message.reply)
        self.subject = message.subject
        self.headers = headers_of(message)
        self.data = message.data

    async def done(self) -> None:
        """Acknowledge: the message is not delivered again."""
        await self._answer(b"+ACK")

    async def working(self) -> None:
        """Ask for more time: the time to acknowledge starts again."""
        await self._answer(b"+WPI")

    async def give_back(self, *, after: float = 0.0) -> None:
        """Have the message delivered again, to any worker, after some seconds."""
        await self._answer(b'-NAK {"delay": %d}' % int(after * _NANOSECONDS))

    async def give_up(self) -> None:
        """End the message although it was not processed: it is not delivered again."""
        await self._answer(b"+TERM")

    async def _answer(self, word: bytes) -> None:
        with contextlib.suppress(NatsError):  # the message comes again, which each worker must expect anyway
            await self._message.respond(word)


Handle = Callable[[list[WorkItem]], Awaitable[None]]
"""Works on a batch and answers each item. If it raises, the batch is given back."""


class PullWorker:
    """Pulls batches and passes them to its worker one by one. `run` is a role for `kit.looper`."""

    def __init__(
        self,
        client: Client,
        spec: PullSpec,
        handle: Handle,
        *,
        batch: int,
        batch_bytes: int = 2 * 2**20,
        heartbeat: float = 1.0,
    ) -> None:
        """Take a connection (the caller closes it), the consumer, the function that works on a batch, and its size.

        A batch ends at `batch` messages or `batch_bytes` bytes. A message that is larger than this comes alone.
        """
        self._client = client
        self._context = client.jetstream(timeout=_REQUEST_TIMEOUT)
        self._spec = spec
        self._handle = handle
        self._batch = batch
        self._batch_bytes = batch_bytes
        self._heartbeat = heartbeat
        self._attached = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let `run` end after the current batch."""
        self._stopping.set()

    async def check(self) -> None:
        """Raise `BusUnavailable` while no consumer answers; a health check."""
        if not self._attached:
            raise BusUnavailable("no consumer")

    async def run(self) -> None:
        """Work until `stop`. Wait for a stream that does not exist yet, and create a missing consumer."""
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
                await happens(self._stopping, within=_RETRY_AFTER)

    async def _attach(self) -> str:
        """Create, adjust or find the consumer; return the reason when that fails."""
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
            if spec.made_here:
                await self._context.add_consumer(spec.stream, config)
            else:
                await self._context.consumer_info(spec.stream, spec.durable)
        except NotFoundError:
            return "the stream or the consumer does not exist"
        except (NatsError, TimeoutError) as away:
            return f"NATS does not answer: {type(away).__name__}"
        return ""

    async def _work(self) -> str:
        """Pull and process batches until the consumer is lost. Return why; an empty text after `stop`."""
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
            # Messages that came after the last batch go to another worker at once, not after `ack_wait`.
            while not arrivals.empty():
                message = arrivals.get_nowait()
                if is_delivery(message):
                    await WorkItem(message).give_back()

    async def _pull(self, inbox: str, arrivals: asyncio.Queue[Msg]) -> str:
        wanted, came, alone = 0, 0, False
        while not self._stopping.is_set():
            if wanted <= 0:
                wanted, came = 1 if alone else self._batch, 0
                try:
                    await self._request(inbox, wanted, at_most=0 if alone else self._batch_bytes)
                except NatsError as away:
                    return f"NATS does not answer: {type(away).__name__}"
                alone = False
            messages = await self._arrived(arrivals)
            if messages is None:
                return "" if self._stopping.is_set() else "silence"
            items = []
            for message in messages:
                if is_delivery(message):
                    wanted, came = wanted - 1, came + 1
                    items.append(WorkItem(message))
                    continue
                status = status_of(message)
                if is_out_of_bytes(message):
                    wanted, alone = 0, came == 0  # nothing came: the next message is larger than a batch
                elif status in _REQUEST_OVER:
                    wanted = 0
                elif status != _HEARTBEAT:
                    await self._hand_over(items)
                    return f"{status} {headers_of(message).get('Description', '')}"
            await self._hand_over(items)
        return ""

    async def _request(self, inbox: str, wanted: int, *, at_most: int) -> None:
        """Ask for messages; `at_most` bytes, or of any size when it is 0."""
        request = {
            "batch": wanted,
            "expires": int(10 * self._heartbeat * _NANOSECONDS),
            "idle_heartbeat": int(self._heartbeat * _NANOSECONDS),
        }
        if at_most:
            request["max_bytes"] = at_most
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._spec.stream}.{self._spec.durable}"
        await self._client.publish(subject, orjson.dumps(request), reply=inbox)

    async def _arrived(self, arrivals: asyncio.Queue[Msg]) -> list[Msg] | None:
        """Wait for a message and return all that are there; None when none came in time, or after `stop`."""
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
        """Have the batch processed, and extend its time to acknowledge meanwhile."""
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
