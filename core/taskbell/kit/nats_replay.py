"""Reads a past part of a JetStream stream: in order, complete, at the caller's pace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from taskbell.kit.nats_message import (
    headers_of,
    is_delivery,
    is_out_of_bytes,
    pulled_bytes,
    read_reply,
    status_of,
)
from taskbell.kit.nats_reader import REQUEST_TIMEOUT, StreamBounds, read_bounds

_BATCH = 500
_BATCH_BYTES = 512 * 1024
"""A batch ends before it is larger than this; a message that is larger alone is a batch of its own."""
_AT_ONCE = 8
"""Requests that bring messages, at a time on one connection. With `_BATCH_BYTES` they bound what may be on the way: the
server cuts a connection on which 64 MiB wait."""
_BATCH_TIMEOUT = 5.0


class ReplayInterrupted(Exception):
    """A replay ended before its last message. What it returned before is in order and without gaps."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One message of a stream."""

    sequence: int
    subject: str
    headers: Mapping[str, str]
    data: bytes


class StreamReplays:
    """Opens replays of one stream."""

    def __init__(self, client: Client, *, stream: str, epoch_key: str) -> None:
        """Take a connection, which the caller closes."""
        self._client = client
        self._jetstream = client.jetstream(timeout=REQUEST_TIMEOUT)
        self._stream = stream
        self._epoch_key = epoch_key
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._asking: asyncio.Task[StreamBounds] | None = None
        self._next: asyncio.Task[StreamBounds] | None = None

    async def bounds(self) -> StreamBounds:
        """Return the stream's bounds. Callers share an answer, but never one that was requested before they called.

        Raises:
            ReplayInterrupted: NATS does not answer, has no such stream, or has lost messages of it.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(self._asking))
        return await asyncio.shield(self._next)  # a caller that is cancelled does not cancel it for the others

    async def _ask_after(self, previous: asyncio.Task[StreamBounds] | None) -> StreamBounds:
        """Send one request after the current one is answered; later callers need another."""
        if previous is not None:
            await asyncio.wait([previous])
        self._asking, self._next = self._next, None
        try:
            bounds = read_bounds(await self._jetstream.stream_info(self._stream), self._epoch_key)
        except (NatsError, TimeoutError) as away:
            raise ReplayInterrupted(type(away).__name__) from away
        if bounds.missing:  # until the relay has begun a new epoch
            raise ReplayInterrupted("the stream has lost messages")
        return bounds

    @contextlib.asynccontextmanager
    async def open(self, *, subjects: Sequence[str], after: int, until: int) -> AsyncIterator[StreamReplay]:
        """Prepare to read what follows sequence `after`, through `until`, on any of `subjects`.

        The end comes from the stream's leader. The consumer may be on a follower, which neither counts nor delivers
        what it has not stored yet.

        Raises:
            ReplayInterrupted: NATS does not answer.
        """
        newest = max(await asyncio.gather(*(self._newest(subject) for subject in subjects)))
        if newest <= after:
            yield StreamReplay(
                self._client, self.bounds, self._turns, pending=0, request_subject="", after=after, until=after
            )
            return
        name = f"replay-{uuid4().hex}"
        config = ConsumerConfig(
            name=name,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            filter_subjects=list(subjects),
            ack_policy=AckPolicy.NONE,
            inactive_threshold=30.0,
            mem_storage=True,
            num_replicas=1,
        )
        try:
            info = await self._jetstream.add_consumer(self._stream, config)
        except (NatsError, TimeoutError) as away:
            raise ReplayInterrupted(type(away).__name__) from away
        try:
            yield StreamReplay(
                self._client,
                self.bounds,
                self._turns,
                pending=info.num_pending or 0,
                request_subject=f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{name}",
                after=after,
                until=min(until, newest),
            )
        finally:
            with contextlib.suppress(NatsError, TimeoutError):  # the server removes an unused consumer by itself
                await self._client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}")

    async def _newest(self, subject: str) -> int:
        try:
            async with self._turns:
                return (await self._jetstream.get_last_msg(self._stream, subject)).seq or 0
        except NotFoundError:
            return 0
        except (NatsError, TimeoutError) as away:
            raise ReplayInterrupted(type(away).__name__) from away


class StreamReplay:
    """One replay. `pending` is roughly how many messages wait, including those after its end."""

    def __init__(
        self,
        client: Client,
        bounds: Callable[[], Awaitable[StreamBounds]],
        turns: asyncio.Semaphore,
        *,
        pending: int,
        request_subject: str,
        after: int,
        until: int,
    ) -> None:
        """Take what `StreamReplays.open` prepared. Unless `after` is `until`, a message exists at `until` or later."""
        self.pending = pending
        self._client = client
        self._bounds = bounds
        self._turns = turns
        self._subject = request_subject
        self._after = after
        self._until = until

    async def batches(self, *, at_most: int = _BATCH) -> AsyncIterator[list[StreamMessage]]:
        """Yield the messages in order, up to `at_most` or 512 KiB at a time.

        The next are requested when the caller continues.

        Raises:
            ReplayInterrupted: Messages were lost or have expired, or NATS went away.
        """
        done, position = 0, self._after
        while position < self._until:
            wanted = min(at_most, _BATCH)
            async with self._turns:
                batch = await self._fetch(wanted, after=done)
                if not batch:
                    batch = await self._fetch(1, after=done, at_most_bytes=None)
            # The server passes over messages whose files are gone, and learns of the loss only by reading them.
            if (await self._bounds()).first > position + 1:
                raise ReplayInterrupted("messages are gone")
            done, position = done + len(batch), batch[-1].sequence
            within = [message for message in batch if message.sequence <= self._until]
            if within:
                yield within

    async def _fetch(self, wanted: int, *, after: int, at_most_bytes: int | None = _BATCH_BYTES) -> list[StreamMessage]:
        """Request messages; none come if the next one alone exceeds `at_most_bytes`."""
        batch: list[StreamMessage] = []
        left = [at_most_bytes or -1]
        finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def receive(message: Msg) -> None:
            if finished.done():
                return
            if is_out_of_bytes(message) and at_most_bytes is not None:
                finished.set_result(None)
                return
            if not is_delivery(message):
                finished.set_exception(ReplayInterrupted(f"status {status_of(message)}"))
                return
            sequence, consumer_sequence, _ = read_reply(message.reply)
            if consumer_sequence != after + len(batch) + 1:
                finished.set_exception(ReplayInterrupted("messages were lost"))
                return
            batch.append(StreamMessage(sequence, message.subject, headers_of(message), message.data))
            left[0] -= pulled_bytes(message)
            # A request whose bytes are used up to the last ends without a word.
            if len(batch) == wanted or sequence >= self._until or left[0] == 0:
                finished.set_result(None)

        inbox = self._client.new_inbox()
        try:
            subscription = await self._client.subscribe(inbox, cb=receive)
            try:
                request = {"batch": wanted, "expires": int(_BATCH_TIMEOUT * 1e9)}
                if at_most_bytes is not None:
                    request["max_bytes"] = at_most_bytes
                await self._client.publish(self._subject, orjson.dumps(request), reply=inbox)
                async with asyncio.timeout(_BATCH_TIMEOUT):
                    await finished
            finally:
                finished.cancel()
                await subscription.unsubscribe()
        except (NatsError, TimeoutError) as away:
            raise ReplayInterrupted(type(away).__name__) from away
        return batch
