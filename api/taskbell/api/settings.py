"""Settings of the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from taskbell.kit.jwt import parse_keys
from taskbell.kit.settings import Settings


class ApiSettings(Settings):
    """Environment variables of the API, prefix `TASKBELL_`."""

    database_url: SecretStr
    """PostgreSQL primary, with the rights of role `taskbell_api`."""
    database_pool_size: int = Field(default=20, ge=1, le=500)
    """Connections each API process keeps to the primary."""
    database_acquire_timeout: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0))
    """How long a request waits for a free connection before it is answered with 503."""
    nats_url: SecretStr
    """NATS, for waking the relay and for the change feed. The API works on while NATS is away."""
    signing_keys: SecretStr
    """JWK Set (RFC 7517) of Ed25519 private keys, each with a `kid`. The first signs, all verify (rotation)."""
    access_token_ttl: timedelta = Field(default=timedelta(minutes=30), ge=timedelta(seconds=1), le=timedelta(days=1))
    """How long an access token is valid. It cannot be revoked earlier, so keep it short."""
    refresh_token_ttl: timedelta = Field(default=timedelta(days=30), ge=timedelta(minutes=1))
    """How long a sign-in lasts without being used."""
    gateway_url: str = "ws://127.0.0.1:8001/ws"
    """Public address of the WebSocket gateway, as handed to clients with a ticket."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Browser origins that may call the API, separated by commas. `*` is refused: credentials travel with calls."""
    reminder_leads: Annotated[tuple[timedelta, ...], NoDecode, Field(max_length=10)] = (
        timedelta(hours=24),
        timedelta(hours=1),
    )
    """How long before it is due a task is reminded of, separated by commas. Of leads that are past already when the due
    time is set, the shortest reminds at once. A change holds for tasks written later."""
    default_page_size: int = Field(default=100, ge=1, le=1000)
    """Items in a page when the client names no limit."""
    max_page_size: int = Field(default=1000, ge=1, le=10_000)
    """The largest limit a client may ask for."""
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    """A larger request body is refused with 413 before it is read whole."""
    password_hash_memory_kib: int = Field(default=19_456, ge=8)
    """argon2id memory cost in KiB (OWASP Password Storage Cheat Sheet: 19 MiB with 2 iterations)."""
    password_hash_iterations: int = Field(default=2, ge=1)
    """argon2id time cost."""
    password_hash_workers: int = Field(default=2, ge=1, le=64)
    """Passwords hashed at a time by each API process; each holds the memory cost."""
    password_hash_waiting: int = Field(default=64, ge=0)
    """Further sign-ins that may wait for a worker; more are answered with 503."""
    login_failures_allowed: int = Field(default=10, ge=1)
    """Wrong passwords for one account from one address within 15 minutes before sign-in is throttled."""
    webhook_allow_http: bool = False
    """Also take webhook addresses that begin with `http://`: events then travel unencrypted."""
    webhook_secret_overlap: timedelta = Field(default=timedelta(days=1), ge=timedelta(0), le=timedelta(days=30))
    """How long a webhook's former secret signs beside the new one after a rotation."""
    slow_request: timedelta = timedelta(milliseconds=500)
    """Requests slower than this are logged."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Least severity that is logged."""

    @field_validator("cors_origins", "reminder_leads", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _refuse_any(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in value:
            raise ValueError("name the origins; '*' cannot be combined with credentials")
        return value

    @field_validator("reminder_leads")
    @classmethod
    def _positive(cls, value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if any(not timedelta(0) <= lead <= timedelta(days=365) for lead in value) or len(set(value)) < len(value):
            raise ValueError("each lead lies between PT0S and P365D, and comes once")
        return value

    @field_validator("signing_keys")
    @classmethod
    def _parse(cls, value: SecretStr) -> SecretStr:
        parse_keys(value.get_secret_value())
        return value
