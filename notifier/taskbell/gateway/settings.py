"""Settings of the gateway."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import NoDecode

from taskbell.kit.postgres.settings import PooledSettings


class GatewaySettings(PooledSettings):
    """Environment variables of the gateway, prefix `TASKBELL_`."""

    database_url: SecretStr
    """PostgreSQL, with the rights of role `taskbell_gateway`, which reads only memberships and which sessions ended."""
    gateway_database_pool_size: int = Field(default=4, ge=1, le=100)
    """Most connections to PostgreSQL; a sign-in or a subscription takes one query."""
    nats_url: SecretStr
    """NATS with JetStream: the event stream and the bucket of used tickets."""
    jwks_url: HttpUrl
    """Where the API publishes its public keys. The gateway keeps using known keys while the API is down."""
    jwks_cool_down: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(seconds=1))
    """Shortest time between two fetches of the keys that tokens with an unknown key cause."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Browser origins that may connect, separated by commas, in addition to the gateway's own host. Clients other than
    browsers send no `Origin` and may connect."""
    gateway_max_connections: int = Field(default=12_000, ge=1)
    """Most connections of this process; one more gets HTTP 503. Each takes about 50 KiB of memory."""
    gateway_max_connections_per_user: int = Field(default=50, ge=1)
    """Most connections of one user to all gateways together; one more is closed with 4004. The gateways tell each other
    over NATS; while it is away, the limit holds for each process alone."""
    gateway_queue_messages: int = Field(default=1_000, ge=1)
    """Most events that wait for a connection that reads too slowly. When it has so many, only the newest of each task
    stays; one more closes it with 4408, and the client resumes."""
    gateway_queue_bytes: int = Field(default=4 * 2**20, ge=2**16)
    """The same limit in bytes."""
    gateway_unsent_bytes: int = Field(default=64 * 2**20, ge=2**20)
    """What waits for all slow clients together, in bytes; an event that waits for many counts once. Past this the
    clients with the most are closed with 4408, or cut off if they do not read replies, and resume."""
    gateway_max_replay_events: int = Field(default=10_000, ge=0)
    """A resume gets `gap` if the user's workspaces had more events since."""
    gateway_max_replay_bytes: int = Field(default=64 * 2**20, ge=2**20)
    """A replay that has sent this many bytes breaks off, and the client resumes: so large replays take turns."""
    gateway_max_replays: int = Field(default=64, ge=1, le=1_000)
    """Replays under way at a time. More wait up to 10 s for their turn, and are then closed with 1013. Each takes about
    1 MiB of memory and, if it reads the stream, a consumer in NATS. Replays of 64 KiB from memory do not count."""
    gateway_max_replays_per_user: int = Field(default=4, ge=1)
    """The same limit for the connections of one user."""
    gateway_recent_events: int = Field(default=20_000, ge=0)
    """Newest events kept in memory, so that a reconnect after a short absence needs no JetStream. Read at the start."""
    gateway_recent_bytes: int = Field(default=32 * 2**20, ge=0)
    """The same limit in bytes."""
    gateway_ping_interval: timedelta = Field(default=timedelta(seconds=25), ge=timedelta(seconds=1))
    """Time between two `ping` frames; keep it below the idle timeout of proxies. A connection without a sign of life
    for two intervals is closed with 4201."""
    gateway_ticket_session_ttl: timedelta = Field(default=timedelta(minutes=30), ge=timedelta(seconds=1))
    """How long a connection that signed in with a ticket lasts without `refresh`; keep it equal to the access token's
    lifetime."""
    gateway_max_connection_age: timedelta = Field(default=timedelta(hours=1), ge=timedelta(0))
    """Greatest age of a connection. Each is closed with 4200 at a random moment in the last quarter of it, and its
    client resumes: so new pods get a share of the connections. 0: no limit."""
    gateway_drain_timeout: timedelta = Field(default=timedelta(seconds=5), ge=timedelta(0))
    """Time over which SIGTERM closes the connections, in waves with jitter."""

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value
