"""The state of durable JetStream consumers: how many messages wait, and how many are being worked on.

It asks the consumer's leader through the JetStream API; exporters and `/jsz` show stale numbers of followers.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from taskbell.kit.nats_bus import BusUnavailable, answering, connecting

_TIMEOUT = 5.0
_FIRST_PATIENCE = 2.0
"""How long requests to an address wait for its connection, in seconds since the first request."""
_UNUSED_AFTER = 600.0
"""Seconds after which an unused connection is closed: an address changes whenever its password does."""


class ConsumerMissing(Exception):
    """The consumer does not exist, or its stream does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerFacts:
    """The state of a consumer at one moment.

    Attributes:
        pending: Messages that are not delivered yet.
        unacked: Messages that are delivered and not acknowledged.
        delivered: Deliveries so far, repeated ones included.
        max_unacked: How many messages may be unacknowledged at once, for all members together. 0 or less: no limit.
        oldest: Unix seconds at which the server stored the oldest message that is not acknowledged. None if no message
            waits, or if nobody asked.
    """

    pending: int
    unacked: int
    delivered: int
    max_unacked: int
    oldest: float | None = None


@dataclass(slots=True)
class _Connection:
    client: Client
    closing: AsyncExitStack
    made: float
    used: float


class Consumers:
    """Reads the state of consumers on several servers, over one lasting connection to each address in use."""

    def __init__(self, *, name: str, unused_after: float = _UNUSED_AFTER) -> None:
        """Take the name for the servers' connection lists, and after how many unused seconds a connection is closed."""
        self._name = name
        self._unused_after = unused_after
        self._connections: dict[str, _Connection] = {}

    async def __aenter__(self) -> Self:
        """Connect to nothing yet: each connection is made when it is first needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._close_unused(after=0)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def look(self, url: str, *, stream: str, consumer: str, with_oldest: bool = False) -> ConsumerFacts:
        """Return the state of a consumer, within 5 s; `with_oldest` takes one more request, for a message.

        Raises:
            ConsumerMissing: JetStream says that it does not exist.
            BusUnavailable: NATS does not answer.
        """
        client = await self._client(url)
        await self._close_unused(after=self._unused_after)
        if not client.is_connected:
            raise BusUnavailable("not connected to NATS")
        with answering():
            context = JetStreamContext(client, timeout=_TIMEOUT)
            try:
                info = await context.consumer_info(stream, consumer)
            except NotFoundError as missing:
                raise ConsumerMissing(f"there is no consumer {consumer} on stream {stream}") from missing
            oldest = await _oldest(context, stream, info) if with_oldest and info.num_pending else None
        return ConsumerFacts(
            pending=info.num_pending or 0,
            unacked=info.num_ack_pending or 0,
            delivered=info.delivered.consumer_seq if info.delivered else 0,
            max_unacked=info.config.max_ack_pending or 0,
            oldest=oldest,
        )

    async def _client(self, url: str) -> Client:
        now = asyncio.get_running_loop().time()
        known = self._connections.get(url)
        if known is None:
            closing = AsyncExitStack()
            client = await closing.enter_async_context(connecting(url, name=self._name))
            known = self._connections[url] = _Connection(client, closing, made=now, used=now)
        known.used = now
        with suppress(TimeoutError):
            async with asyncio.timeout_at(known.made + _FIRST_PATIENCE):
                while not known.client.is_connected:  # noqa: ASYNC110 -- nats-py has no event for it
                    await asyncio.sleep(0.02)
        return known.client

    async def _close_unused(self, *, after: float) -> None:
        last = asyncio.get_running_loop().time() - after
        async with AsyncExitStack() as closing:
            for url in [url for url, connection in self._connections.items() if connection.used <= last]:
                closing.push_async_callback(self._connections.pop(url).closing.aclose)


async def _oldest(context: JetStreamContext, stream: str, info: ConsumerInfo) -> float | None:
    """When the first message after all acknowledged ones was stored; of a consumer of several subjects, any message."""
    first = (info.ack_floor.stream_seq if info.ack_floor else 0) + 1
    try:
        message = await context.get_msg(stream, seq=first, subject=info.config.filter_subject or ">", next=True)
    except NotFoundError:  # removed in the meantime
        return None
    return message.time.timestamp() if message.time else None
