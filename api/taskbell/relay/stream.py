"""The event stream for the relay: its end, and its configuration."""

from __future__ import annotations

from dataclasses import dataclass

from taskbell.contract import subjects
from taskbell.contract.subjects import EVENTS_ROOT, METADATA_EPOCH, STREAM, StreamConfiguration
from taskbell.kit.nats_counters import CounterSpec
from taskbell.kit.nats_dead_letters import DeadLetterSpec
from taskbell.kit.nats_provision import Provision, ProvisionSpec
from taskbell.kit.nats_streams import StreamFacts, Streams, StreamSpec
from taskbell.relay.policy import StreamState

PROVISION = ProvisionSpec(
    letters=DeadLetterSpec(
        stream=subjects.DEAD_LETTER_STREAM,
        letters=subjects.DEAD_LETTER_SUBJECT,
        redrive=subjects.REDRIVE_SUBJECT,
        source=(subjects.STREAM, subjects.DELIVERY_CONSUMER),
        max_age=subjects.DEAD_LETTER_AGE.total_seconds(),
    ),
    redrive_consumer=subjects.REDRIVE_CONSUMER,
    redrive_deliveries=subjects.REDRIVE_DELIVERIES,
    ack_wait=subjects.ACK_WAIT.total_seconds(),
    bucket=subjects.TICKET_BUCKET,
    bucket_ttl=subjects.TICKET_BUCKET_TTL,
    counters=CounterSpec(stream=subjects.RATE_STREAM, root=subjects.RATE_ROOT, max_age=subjects.RATE_AGE),
)
"""What other programs use: the relay alone makes streams, and consumers of those that other programs write to."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of the stream.

    Attributes:
        sequence: Its last sequence.
        last_id: The id of the last message; None if it has expired or never existed.
        ids: The ids of all messages after the requested sequence.
        server: The name of the stream's server; None if it has several replicas.
    """

    sequence: int
    last_id: str | None
    ids: frozenset[str]
    server: str | None


class EventStream:
    """Reads and configures the stream. Every call raises `BusUnavailable` when JetStream does not answer."""

    def __init__(self, streams: Streams, *, provision: Provision, configuration: StreamConfiguration) -> None:
        """Take the stream administration, what other programs need, and the wanted configuration."""
        self._streams = streams
        self._provision = provision
        self._configuration = configuration

    async def state(self) -> StreamState | None:
        """The state of the stream, or None if there is no stream."""
        facts = await self._streams.look(STREAM)
        if facts is None:
            return None
        return StreamState(
            epoch=_epoch(facts),
            last_sequence=facts.last_sequence,
            first_sequence=facts.first_sequence,
            missing=facts.missing,
            server=facts.server,
        )

    async def provide(self, *, adjust: bool) -> None:
        """Make what other programs use on JetStream and may not make, if it is missing; `adjust`: in any case."""
        if adjust or not await self._provision.is_complete():
            await self._provision.ensure()

    async def create(self, epoch: int) -> None:
        """Replace the stream by an empty one."""
        await self._streams.create(self._spec(epoch))

    async def adjust(self, epoch: int) -> bool:
        """Update the stream's configuration if it differs; return whether it did."""
        facts = await self._streams.look(STREAM)
        spec = self._spec(epoch)
        if facts is None or facts.matches(spec):
            return False
        await self._streams.adjust(spec)
        return True

    async def tail(self, *, after: int) -> Tail:
        """Read the end of the stream after a sequence, message by message."""
        facts = await self._streams.look(STREAM)
        if facts is None or facts.last_sequence == 0:
            return Tail(sequence=0, last_id=None, ids=frozenset(), server=facts.server if facts else None)
        first = min(max(after + 1, facts.first_sequence), facts.last_sequence)
        ids = await self._streams.message_ids(STREAM, first=first, last=facts.last_sequence)
        beyond = ids if first > after else []
        known = frozenset(identity for identity in beyond if identity is not None)
        return Tail(sequence=facts.last_sequence, last_id=ids[-1], ids=known, server=facts.server)

    def _spec(self, epoch: int) -> StreamSpec:
        wanted = self._configuration
        return StreamSpec(
            name=STREAM,
            subjects=(f"{EVENTS_ROOT}.>",),
            max_age=wanted.max_age.total_seconds(),
            duplicate_window=min(wanted.duplicate_window, wanted.max_age).total_seconds(),
            replicas=wanted.replicas,
            metadata={METADATA_EPOCH: str(epoch)},
        )


def _epoch(facts: StreamFacts) -> int | None:
    text = facts.metadata.get(METADATA_EPOCH, "")
    return int(text) if text.isdecimal() else None
