"""What JetStream says of an account, its streams and its durable consumers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from taskbell.kit.nats_bus import answering

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSize:
    """A stream: its messages, their bytes on disk, the sequence of the newest, and its consumers."""

    name: str
    messages: int
    bytes: int
    last_sequence: int
    consumers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerBacklog:
    """A durable consumer.

    Attributes:
        name: Its name.
        pending: Messages that it has not given to a worker.
        unacknowledged: Messages that a worker has and has not answered.
        redelivered: Of these, how many were given to a worker before.
    """

    name: str
    pending: int
    unacknowledged: int
    redelivered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JetStreamFacts:
    """One measurement of JetStream. `most_bytes` is what the account may store; None if nothing bounds it."""

    bytes: int
    most_bytes: int | None
    streams: Sequence[StreamSize]
    consumers: Sequence[ConsumerBacklog]


class JetStreamUsage:
    """Asks JetStream on one connection. What is missing is left out."""

    def __init__(self, client: Client, *, streams: Sequence[str], consumers: Sequence[tuple[str, str]]) -> None:
        """Take a connection, which the caller closes, and what to ask for; a consumer by its stream and its name."""
        self._context = JetStreamContext(client, timeout=_TIMEOUT)
        self._streams = streams
        self._consumers = consumers

    async def look(self) -> JetStreamFacts:
        """Ask for the account, the streams and the consumers, each by one request.

        Raises:
            BusUnavailable: JetStream does not answer, or refuses.
        """
        with answering():
            account = await self._context.account_info()
        most = account.limits.max_storage
        return JetStreamFacts(
            bytes=account.storage,
            most_bytes=most if most > 0 else None,
            streams=[found async for found in self._sizes()],
            consumers=[found async for found in self._backlogs()],
        )

    async def _sizes(self) -> AsyncIterator[StreamSize]:
        for name in self._streams:
            with answering(), suppress(NotFoundError):
                state = (await self._context.stream_info(name)).state
                yield StreamSize(
                    name=name,
                    messages=state.messages,
                    bytes=state.bytes,
                    last_sequence=state.last_seq,
                    consumers=state.consumer_count,
                )

    async def _backlogs(self) -> AsyncIterator[ConsumerBacklog]:
        for stream, name in self._consumers:
            with answering(), suppress(NotFoundError):
                found = await self._context.consumer_info(stream, name)
                yield ConsumerBacklog(
                    name=name,
                    pending=found.num_pending or 0,
                    unacknowledged=found.num_ack_pending or 0,
                    redelivered=found.num_redelivered or 0,
                )
