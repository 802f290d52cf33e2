"""Settings of the relay."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from annotated_types import Ge, Gt, Interval
from pydantic import SecretStr

from taskbell.kit.settings import ProgramSettings


class RelaySettings(ProgramSettings):
    """What the relay reads from the environment. Times are ISO 8601 durations (`PT3S`)."""

    database_url: SecretStr
    """PostgreSQL primary, with the rights of role `taskbell_relay`. It must be a direct connection; a pooler is
    refused: the relay keeps its position in memory and must notice when its session ends (after a crash the server may
    use transaction ids again)."""
    nats_url: SecretStr
    """NATS server with JetStream; several servers of a cluster are separated by commas."""
    event_retention: Annotated[timedelta, Ge(timedelta(days=3))] = timedelta(days=7)
    """How long events stay in the stream, and so how long a client can be away and still resume. At least 3 days, for
    the deliveries that wait; the sweeper's setting of this name is the same."""
    workspace_daily_bytes: Annotated[int, Interval(ge=1024, le=2**50)] = 2**30
    """Bytes that the changes of one workspace may take in a day: its events, and their deliveries. One may write as
    much at once, and then as much again in a day; meanwhile its changes get a 429. Measured every 5 s, and so applied
    about 10 s late. Events take at most this, times the days of TASKBELL_EVENT_RETENTION and one more."""
    workspace_task_bytes: Annotated[int, Interval(ge=1024, le=2**50)] = 2**31
    """Bytes that the tasks of one workspace may take. Above it new tasks and new descriptions get a 413, until others
    are deleted. Counted each time after the workspace has written a sixteenth of this or an eighth of what it has, and
    so exceeded by as much; while it is full, within a minute of each change."""
    stream_replicas: Annotated[int, Interval(ge=1, le=5)] = 1
    """Copies of the stream in a NATS cluster: 3 in a cluster, 1 on a single server."""
    relay_lease_ttl: Annotated[timedelta, Interval(ge=timedelta(seconds=1), le=timedelta(minutes=1))] = timedelta(
        seconds=3
    )
    """How long the standby waits at most after the active relay died. The lease is renewed after a third of it."""
    relay_batch_size: Annotated[int, Interval(ge=1, le=10_000)] = 500
    """Events read and published at a time; also the most that may be in flight without acknowledgement."""
    relay_batch_bytes: Annotated[int, Interval(ge=2**16, le=2**26)] = 4 * 2**20
    """The same limit in bytes, reached by one event more at most. The relay's memory grows by about five times this."""
    relay_gather: Annotated[timedelta, Interval(ge=timedelta(0), le=timedelta(seconds=1))] = timedelta(milliseconds=3)
    """Shortest time between two polls of the table, so that a busy relay polls less often. Adds as much latency."""
    relay_poll_fastest: Annotated[timedelta, Gt(timedelta(0))] = timedelta(milliseconds=20)
    """Pause before the first poll without a poke; each empty poll doubles it."""
    relay_poll_slowest: Annotated[timedelta, Gt(timedelta(0))] = timedelta(milliseconds=500)
    """Longest pause between two polls: the delay that a lost poke causes."""
    relay_save_every: Annotated[timedelta, Interval(ge=timedelta(0), le=timedelta(seconds=5))] = timedelta(
        milliseconds=100
    )
    """How often a busy relay saves its position to the database; an idle relay saves it at once."""
    relay_stream_check: Annotated[timedelta, Gt(timedelta(0))] = timedelta(seconds=5)
    """How often an idle relay checks that the stream exists and is complete."""
    relay_acknowledgement_timeout: Annotated[timedelta, Gt(timedelta(0))] = timedelta(seconds=2)
    """How long the stream may take to acknowledge a message before the relay publishes it again."""
