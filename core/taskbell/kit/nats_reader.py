"""Reads a JetStream stream as it grows, without skipping a message.

It does not trust delivery. A gap in the consumer's own sequence shows a loss, and missing heartbeats show that the
consumer ended. The reader then continues with the message after the last one that it passed on.
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
from taskbell.kit.waiting import happens

_log = structlog.get_logger(__name__)

REQUEST_TIMEOUT = 2.0
"""How long JetStream may take to answer, in seconds."""
_RETRY_AFTER = 0.5
_LOOK_AGAIN_AFTER = 10.0
_UNBOUNDED = 2**31


class StreamNotRead(Exception):
    """The reader is not attached to the stream, or has not yet read up to its end."""


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """What a stream holds.

    Attributes:
        epoch: None when its metadata names none.
        first: Its first sequence.
        last: Its last sequence.
        missing: How many messages between these two the server has lost. The relay then begins a new epoch.
    """

    epoch: int | None
    first: int
    last: int
    missing: int = 0


class StreamHandler(Protocol):
    """Is called by a reader in the order of the stream, on the event loop. No call may block."""

    def begin(self, *, epoch: int, position: int) -> None:
        """Reading starts after `position`. A second call means a new stream: forget what was read before."""

    def message(self, sequence: int, subject: str, headers: Mapping[str, str], data: bytes) -> None:
        """Take one message, each exactly once. If this raises, the same message comes again after a pause."""

    def detached(self, reason: str) -> None:
        """The consumer was lost; reading continues from the same place as soon as possible."""

    def lag(self, messages: int) -> None:
        """Take the number of messages that the reader is behind the stream; called every 10 s."""


class StreamReader:
    """Reads a whole stream by one ephemeral ordered push consumer.

    `run` is a role for `kit.looper`; the position is kept between runs.
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

        `epoch_key` is the key of the epoch in the stream's metadata. `warm_up` is how many of the newest messages are
        read at the start. After three missing heartbeats (one each `heartbeat` seconds) the consumer is made again.
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
        """Make the consumer again at once, because the connection was lost and is back."""
        self._disturbed.set()

    async def check(self) -> None:
        """Check that the stream is being read.

        Raises:
            StreamNotRead: No consumer is attached, or it has not yet reached what was the stream's end at its start.
        """
        if self._attachment is None or self.position < self._target:
            raise StreamNotRead("not attached" if self._attachment is None else "catching up")

    async def run(self) -> None:
        """Read the stream until cancelled. Wait for a stream that does not exist yet."""
        while True:
            bounds = await self._found()
            self._take_up(bounds)
            reason = await self._follow()
            _log.warning("stream_reader_detached", reason=reason, position=self.position)
            self._handler.detached(reason)
            await asyncio.sleep(0.05)  # so that a server that refuses every consumer causes no busy loop

    async def _found(self) -> StreamBounds:
        """Wait until the stream exists, has an epoch, and holds at least what was read of that epoch."""
        told = ""
        while True:
            self._disturbed.clear()
            try:
                bounds = await self._bounds()
            except NotFoundError:
                waiting = "the stream does not exist yet"
            except (NatsError, TimeoutError) as away:
                waiting = f"NATS does not answer: {type(away).__name__}"
            else:
                if bounds.epoch is None:
                    waiting = "the stream has no epoch yet"
                elif bounds.epoch == self.epoch and bounds.last < self.position:
                    waiting = "the stream has lost its end; the relay gives it a new epoch"
                elif bounds.missing:
                    waiting = "the stream has lost messages; the relay gives it a new epoch"
                else:
                    return bounds
            if waiting != told:
                _log.info("stream_reader_waits", reason=waiting)
                told = waiting
            await happens(self._disturbed, within=_RETRY_AFTER)

    async def _bounds(self) -> StreamBounds:
        return read_bounds(await self._jetstream.stream_info(self._stream), self._epoch_key)

    def _take_up(self, bounds: StreamBounds) -> None:
        """Decide where to continue; tell the handler when that is not where reading ended."""
        assert bounds.epoch is not None  # noqa: S101 -- for the type checker; `_found` waits for it
        self._target = bounds.last
        if bounds.epoch == self.epoch and self.position >= bounds.first - 1:
            return
        self.epoch = bounds.epoch
        self.position = max(bounds.first - 1, bounds.last - self._warm_up, 0)
        self._handler.begin(epoch=self.epoch, position=self.position)

    async def _follow(self) -> str:
        """Read from the position until the consumer is lost; return why."""
        attachment = _Attachment(self, self._handler, self._client)
        inbox = self._client.new_inbox()
        # JetStream's flow control is the limit instead: a dropped message would only be read again.
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
            await happens(self._disturbed, within=self._heartbeat)
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
        """Tell whether the stream was replaced; a second safeguard besides heartbeats. No answer counts as no."""
        try:
            bounds = await self._bounds()
        except NotFoundError:
            return True
        except (NatsError, TimeoutError):
            return False
        self._handler.lag(max(0, bounds.last - self.position))
        return bounds.epoch != self.epoch


class _Attachment:
    """The deliveries of one consumer, whose sequence shows each loss."""

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
        """Handle a delivery or a control message."""
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
        if sequence != self._reader.position + 1:
            self._break("the stream has a hole")  # by a loss, or by retention where this reader was very slow
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
        epoch=int(epoch) if epoch.isdecimal() else None,
        first=info.state.first_seq,
        last=info.state.last_seq,
        missing=info.state.num_deleted or 0,
    )
