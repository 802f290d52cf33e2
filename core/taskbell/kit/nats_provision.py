"""Streams, buckets and consumers that one program makes for the others, which then need no right to make any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import BucketNotFoundError, NotFoundError

from taskbell.kit.nats_bus import BusUnavailable, answering
from taskbell.kit.nats_counters import CounterSpec, make_counters
from taskbell.kit.nats_dead_letters import DeadLetters, DeadLetterSpec

_TIMEOUT = 5.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionSpec:
    """What to make.

    Attributes:
        letters: The stream of dead letters.
        redrive_consumer: The consumer of what is redriven.
        redrive_deliveries: How often such a message is delivered at most.
        ack_wait: Seconds after which it is delivered again.
        bucket: The key-value bucket of names that are used once.
        bucket_ttl: How long it keeps a name.
        counters: The stream of shared counters, which needs NATS 2.12; an older server goes without.
    """

    letters: DeadLetterSpec
    redrive_consumer: str
    redrive_deliveries: int
    ack_wait: float
    bucket: str
    bucket_ttl: timedelta
    counters: CounterSpec


class Provision:
    """The dead letters, the consumer of what is redriven, a bucket of names that are used once, and counters."""

    def __init__(self, client: Client, spec: ProvisionSpec) -> None:
        """Take a connection; the caller closes it."""
        self._context = client.jetstream(timeout=_TIMEOUT)
        self._spec = spec
        self._dead = DeadLetters(client, spec.letters)
        self._client = client
        self._counts = True

    async def ensure(self) -> None:
        """Make or adjust all of it.

        Raises:
            BusUnavailable: JetStream does not answer or refuses.
        """
        spec = self._spec
        await self._dead.ensure()
        with answering():
            await self._context.add_consumer(
                spec.letters.stream,
                ConsumerConfig(
                    name=spec.redrive_consumer,
                    durable_name=spec.redrive_consumer,
                    deliver_policy=DeliverPolicy.ALL,
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=spec.ack_wait,
                    max_deliver=spec.redrive_deliveries,
                    max_ack_pending=5_000,
                    filter_subject=spec.letters.redrive,
                ),
            )
            if not await self._has_bucket():
                await self._context.create_key_value(bucket=spec.bucket, ttl=spec.bucket_ttl.total_seconds())
        try:
            await make_counters(self._client, spec.counters)
        except BusUnavailable as refused:
            self._counts = False
            _log.warning("counters_not_made", reason=str(refused))

    async def is_complete(self) -> bool:
        """Tell whether all of it exists.

        Raises:
            BusUnavailable: JetStream does not answer.
        """
        with answering():
            try:
                await self._context.consumer_info(self._spec.letters.stream, self._spec.redrive_consumer)
                if self._counts:
                    await self._context.stream_info(self._spec.counters.stream)
            except NotFoundError:
                return False
            return await self._has_bucket()

    async def _has_bucket(self) -> bool:
        try:
            await self._context.key_value(self._spec.bucket)
        except BucketNotFoundError:
            return False
        return True
