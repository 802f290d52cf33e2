"""Measures PostgreSQL and JetStream, as long as a relay is the active one. Neither waits for the other."""

from __future__ import annotations

import asyncio

import structlog

from taskbell.contract.subjects import DEAD_LETTER_STREAM, DELIVERY_CONSUMER, REDRIVE_CONSUMER, STREAM
from taskbell.kit.nats_bus import BusUnavailable, connect
from taskbell.kit.nats_usage import JetStreamUsage
from taskbell.relay.stores.metrics import JETSTREAM, POSTGRES
from taskbell.relay.stores.repository import measuring

_STREAMS = (STREAM, DEAD_LETTER_STREAM)
_CONSUMERS = ((STREAM, DELIVERY_CONSUMER), (DEAD_LETTER_STREAM, REDRIVE_CONSUMER))
_UNTIL_MADE = 1.0
_log = structlog.get_logger(__name__)


async def watch_postgres(url: str, *, every: float) -> None:
    """Measure every `every` seconds until cancelled; then nothing of PostgreSQL is exported.

    Raises:
        DatabaseUnavailable: PostgreSQL is away or refuses a statement.
    """
    try:
        async with measuring(url) as postgres:
            while True:
                POSTGRES.show(await postgres.look())
                await asyncio.sleep(every)
    finally:
        POSTGRES.forget()


async def watch_jetstream(url: str, *, every: float) -> None:
    """Measure every `every` seconds until cancelled, on a connection of its own; then nothing is exported.

    Raises:
        BusUnavailable: NATS is away at the start. Later, or if its user may not ask, nothing is exported meanwhile.
    """
    client = await connect(url, name="taskbell-relay-stores", patience=1.0)
    usage = JetStreamUsage(client, streams=_STREAMS, consumers=_CONSUMERS)
    try:
        while True:
            pause = await _look(usage, every=every)
            await asyncio.sleep(pause)
    finally:
        JETSTREAM.forget()
        await client.close()


async def _look(usage: JetStreamUsage, *, every: float) -> float:
    """Measure once; return the seconds until the next time."""
    try:
        facts = await usage.look()
    except BusUnavailable as refused:
        JETSTREAM.forget()
        _log.warning("jetstream_not_measured", reason=str(refused))
        return every
    JETSTREAM.show(facts)
    # The relay may be about to make the streams.
    return every if len(facts.streams) == len(_STREAMS) else min(every, _UNTIL_MADE)
