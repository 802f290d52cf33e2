"""Settings of the relay."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from annotated_types import Gt, Interval
from pydantic import SecretStr

from taskbell.kit.settings import Settings


class RelaySettings(Settings):
    """What the relay reads from the environment. Times are ISO 8601 durations (`PT3S`)."""

    database_url: SecretStr
    """PostgreSQL primary with the rights of role `taskbell_relay`. Direct, not through a pooler: the relay keeps its
    position in memory and must notice the end of its session (a crash of the server may give transaction ids anew)."""
    nats_url: SecretStr
    """NATS server with JetStream; several, separated by commas, for a cluster."""
    event_retention: Annotated[timedelta, Gt(timedelta(0))] = timedelta(days=7)
    """How long events stay in the stream, and so how long a client may be away and still resume."""
    stream_replicas: Annotated[int, Interval(ge=1, le=5)] = 1
    """Copies of the stream in a NATS cluster; 3 there, 1 on a single server."""
    relay_lease_ttl: Annotated[timedelta, Interval(ge=timedelta(seconds=1), le=timedelta(minutes=1))] = timedelta(
        seconds=3
    )
    """After a relay's sudden end the standby waits this long at most; renewed at a third of it."""
    relay_batch_size: Annotated[int, Interval(ge=1, le=10_000)] = 500
    """Events read and published at once; also the most that are in flight without acknowledgement."""
    relay_gather: Annotated[timedelta, Interval(ge=timedelta(0), le=timedelta(seconds=1))] = timedelta(milliseconds=3)
    """Shortest time between two looks at the table, so that a busy second costs few of them. Adds as much latency."""
    relay_poll_fastest: Annotated[timedelta, Gt(timedelta(0))] = timedelta(milliseconds=20)
    """Pause before the first look without a poke after a busy one; each empty look doubles it."""
    relay_poll_slowest: Annotated[timedelta, Gt(timedelta(0))] = timedelta(milliseconds=500)
    """Longest pause between two looks: what a lost poke costs."""
    relay_save_every: Annotated[timedelta, Interval(ge=timedelta(0), le=timedelta(seconds=5))] = timedelta(
        milliseconds=100
    )
    """While busy, how often the position is written to the database; when idle it is written at once."""
    relay_stream_check: Annotated[timedelta, Gt(timedelta(0))] = timedelta(seconds=5)
    """How often an idle relay looks whether the stream is still there and whole."""
    relay_acknowledgement_timeout: Annotated[timedelta, Gt(timedelta(0))] = timedelta(seconds=2)
    """How long the stream may take to acknowledge a message before it is published anew."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe records that are written."""
