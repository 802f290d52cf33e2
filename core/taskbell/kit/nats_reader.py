"""Following a JetStream stream without ever skipping a message.

Delivery is not trusted: the consumer's own sequence shows a loss, idle heartbeats show a silent end, and the reader
then continues from the message after the last one it handed over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo
from nats.js.errors import NotFoundError

from taskbell.kit.nats_message import headers_of, is_delivery, read_reply

_log = structlog.get_logger(__name__)

REQUEST_TIMEOUT = 2.0
"""Seconds that JetStream has for an answer."""
_RETRY_AFTER = 0.5
_LOOK_AGAIN_AFTER = 10.0
_UNBOUNDED = 2**31


class StreamNotRead(Exception):
    """The stream is not being followed at the moment, or not yet up to its end."""


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """What a stream holds now. `epoch` is None when its metadata names none."""

    epoch: int | None
    first: int
    last: int


class StreamHandler(Protocol):
    """What a reader calls: from the event loop, in the order of the stream. No call may block."""

    def begin(self, *, epoch: int, position: int) -> None:
        """Reading begins after `position`. A second call means a new stream: what was read before is void."""

    def message(self, sequence: int, subject: str, headers: Mapping[str, str], data: bytes) -> None:
        """One message, each exactly once. If this raises, the same message comes again after a pause."""

    def detached(self, reason: str) -> None:
        """The consumer was lost; reading goes on from the same place as soon as it can."""

    def lag(self, messages: int) -> None:
        """How many messages the reader is behind the stream; called every 10 s."""


class StreamReader:
    """Follows a whole stream by one ephemeral ordered push consumer.

    `run` is a role for `kit.looper`; it remembers where it stood between runs.
    """

    def __init__(
        self,
        client: Client,
        handler: StreamHandler,
        *,
        stream: str,
        epoch_key: str,
        warm_up: int = 0,
        heartbeat: float = 2.0,
    ) -> None:
        """Take a connection, which the caller closes.

        `epoch_key` is the stream metadata key of its identity; `warm_up` is how many of the newest messages to read
        at the beginning; after three `heartbeat`s (s) of silence the consumer is made again.
        """
        self._client = client
        self._jetstream = client.jetstream(timeout=REQUEST_TIMEOUT)
        self._handler = handler
        self._stream = stream
        self._epoch_key = epoch_key
        self._warm_up = warm_up
        self._heartbeat = heartbeat
        self._disturbed = asyncio.Event()
        self._attachment: _Attachment | None = None
        self._target = 0
        self.epoch: int | None = None
        self.position = 0

    def disturb(self) -> None:
        """Say that the connection was lost and is back: the consumer is made again at once."""
        self._disturbed.set()

    async def check(self) -> None:
        """Health check.

        Raises:
            StreamNotRead: No consumer is attached, or it has not yet caught up with the stream's end at its start.
        """
        if self._attachment is None or self.position < self._target:
            raise StreamNotRead("not attached" if self._attachment is None else "catching up")

    async def run(self) -> None:
        """Follow the stream until cancelled. Waits for a stream that does not exist yet."""
        while True:
            bounds = await self._found()
            self._take_up(bounds)
            reason = await self._follow()
            _log.warning("stream_reader_detached", reason=reason, position=self.position)
            self._handler.detached(reason)
            await asyncio.sleep(0.05)  # a server that refuses every consumer must not spin us

    async def _found(self) -> StreamBounds:
        """Wait for the stream, with an epoch, not behind what was read of the same epoch."""
        told = ""
        while True:
            self._disturbed.clear()
            try:
                bounds = read_bounds(await self._jetstream.stream_info(self._stream), self._epoch_key)
            except NotFoundError:
                waiting = "the stream does not exist yet"
            except (NatsError, TimeoutError) as away:
                waiting = f"NATS does not answer: {type(away).__name__}"
            else:
                if bounds.epoch is None:
                    waiting = "the stream has no epoch yet"
                elif bounds.epoch == self.epoch and bounds.last < self.position:
                    waiting = "the stream has lost its end; the relay gives it a new epoch"
                else:
                    return bounds
            if waiting != told:
                _log.info("stream_reader_waits", reason=waiting)
                told = waiting
            await self._disturbance(_RETRY_AFTER)

    def _take_up(self, bounds: StreamBounds) -> None:
        """Decide where to read on; say so when it is not where reading ended."""
        assert bounds.epoch is not None  # noqa: S101 -- for the type checker; `_found` waits for it
        self._target = bounds.last
        if bounds.epoch == self.epoch and self.position >= bounds.first - 1:
            return
        self.epoch = bounds.epoch
        self.position = max(bounds.first - 1, bounds.last - self._warm_up, 0)
        self._handler.begin(epoch=self.epoch, position=self.position)

    async def _follow(self) -> str:
        """Read on from the position until the consumer is lost; return why."""
        attachment = _Attachment(self, self._handler, self._client)
        inbox = self._client.new_inbox()
        # Bounded by JetStream's flow control instead: a dropped message would only be read again.
        subscription = await self._client.subscribe(
            inbox, cb=attachment.receive, pending_msgs_limit=_UNBOUNDED, pending_bytes_limit=_UNBOUNDED
        )
        name = f"reader-{uuid4().hex}"
        try:
            self._disturbed.clear()
            config = ConsumerConfig(
                name=name,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self.position + 1,
                ack_policy=AckPolicy.NONE,
                deliver_subject=inbox,
                idle_heartbeat=self._heartbeat,
                flow_control=True,
                inactive_threshold=30.0,
                max_deliver=1,
                mem_storage=True,
                num_replicas=1,
            )
            try:
                await self._jetstream.add_consumer(self._stream, config)
            except (NatsError, TimeoutError) as refused:
                return f"no consumer: {type(refused).__name__}"
            self._attachment = attachment
            return await self._watch(attachment)
        finally:
            attachment.open = False
            self._attachment = None
            with contextlib.suppress(NatsError):  # the consumer ends by itself when its threshold is over
                await subscription.unsubscribe()
                await self._client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}")

    async def _watch(self, attachment: _Attachment) -> str:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await self._disturbance(self._heartbeat)
            if attachment.broken:
                return attachment.broken
            if self._disturbed.is_set():
                return "the connection was lost"
            now = loop.time()
            if now - attachment.heard > 3 * self._heartbeat:
                return "silence"
            if now - looked > _LOOK_AGAIN_AFTER:
                looked = now
                if await self._is_another_stream():
                    return "the stream has another epoch"

    async def _is_another_stream(self) -> bool:
        """Look at the stream itself: a second safeguard besides heartbeats. No answer proves nothing."""
        try:
            bounds = read_bounds(await self._jetstream.stream_info(self._stream), self._epoch_key)
        except NotFoundError:
            return True
        except (NatsError, TimeoutError):
            return False
        self._handler.lag(max(0, bounds.last - self.position))
        return bounds.epoch != self.epoch

    async def _disturbance(self, within: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._disturbed.wait()


class _Attachment:
    """One consumer's deliveries; its sequence shows every loss."""

    def __init__(self, reader: StreamReader, handler: StreamHandler, client: Client) -> None:
        self._reader = reader
        self._handler = handler
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._next = 1
        self.open = True
        self.broken = ""
        self.heard = self._loop.time()

    async def receive(self, message: Msg) -> None:
        """Take a delivery or a control message."""
        if not self.open:
            return
        self.heard = self._loop.time()
        if not is_delivery(message):
            await self._control(message)
            return
        sequence, consumer_sequence, _ = read_reply(message.reply)
        if consumer_sequence != self._next:
            self._break("messages were lost")
            return
        try:
            self._handler.message(sequence, message.subject, headers_of(message), message.data)
        except Exception:  # noqa: BLE001 -- whatever fails, the message must come again
            _log.exception("stream_message_failed", sequence=sequence)
            self._break("a message failed")
            return
        self._next += 1
        self._reader.position = sequence

    async def _control(self, message: Msg) -> None:
        """Answer flow control; compare a heartbeat's last sequence with ours (ADR-15)."""
        headers = headers_of(message)
        if message.reply:
            await self._client.publish(message.reply)
        if stalled := headers.get("Nats-Consumer-Stalled"):
            await self._client.publish(stalled)
        last = headers.get("Nats-Last-Consumer")
        if last is not None and int(last) != self._next - 1:
            self._break("messages were lost")

    def _break(self, reason: str) -> None:
        self.open = False
        self.broken = reason
        self._reader.disturb()


def read_bounds(info: StreamInfo, epoch_key: str) -> StreamBounds:
    """Read a stream's bounds and epoch from the server's answer."""
    epoch = (info.config.metadata or {}).get(epoch_key, "")
    return StreamBounds(
        epoch=int(epoch) if epoch.isdecimal() else None, first=info.state.first_seq, last=info.state.last_seq
    )
