"""Settings of the gateway."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import NoDecode

from taskbell.kit.settings import Settings


class GatewaySettings(Settings):
    """Environment variables of the gateway, prefix `TASKBELL_`."""

    database_url: SecretStr
    """PostgreSQL, with the rights of role `taskbell_gateway`: it reads memberships, nothing else."""
    gateway_database_pool_size: int = Field(default=4, ge=1, le=100)
    """Connections to PostgreSQL at most; one query answers one sign-in or one subscription."""
    nats_url: SecretStr
    """NATS with JetStream: the event stream and the bucket of used tickets."""
    jwks_url: HttpUrl
    """Where the API publishes its public keys. Known keys go on serving while the API is away."""
    jwks_cool_down: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(seconds=1))
    """How often at most a token with an unknown key makes the gateway fetch the keys again."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Browser origins that may connect, separated by commas, beside the gateway's own host. No `Origin`: no browser."""
    gateway_max_connections: int = Field(default=12_000, ge=1)
    """Connections of this process; one more is answered with HTTP 503. About 50 KiB of memory each."""
    gateway_max_connections_per_user: int = Field(default=50, ge=1)
    """Connections of one user to this process; one more is closed with 4004."""
    gateway_queue_messages: int = Field(default=1_000, ge=1)
    """Events kept for a connection that reads too slowly; one more closes it with 4408, to resume by cursor."""
    gateway_queue_bytes: int = Field(default=4 * 2**20, ge=2**16)
    """The same bound in bytes."""
    gateway_max_replay_events: int = Field(default=10_000, ge=0)
    """A resume that would replay more events of the user's workspaces is answered with `gap`."""
    gateway_recent_events: int = Field(default=20_000, ge=0)
    """Newest events kept in memory, so that reconnects after a short absence need no JetStream. Read at the start."""
    gateway_recent_bytes: int = Field(default=32 * 2**20, ge=0)
    """The same bound in bytes."""
    gateway_ping_interval: timedelta = Field(default=timedelta(seconds=25), ge=timedelta(seconds=1))
    """A `ping` after this much time, below proxies' idle limit; two without a sign of life close with 4201."""
    gateway_ticket_session_ttl: timedelta = Field(default=timedelta(minutes=30), ge=timedelta(seconds=1))
    """How long a connection signed in by ticket lasts before it needs `refresh`: as long as an access token."""
    gateway_drain_timeout: timedelta = Field(default=timedelta(seconds=5), ge=timedelta(0))
    """Over how long connections are closed at SIGTERM, in jittered waves."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Least severity that is logged."""

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value
