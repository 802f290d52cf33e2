"""Settings of the API."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from taskbell.api.oidc.providers import MOST_PROVIDERS, Provider, read_list, refuse_repeated
from taskbell.api.oidc.redirects import redirect_fault
from taskbell.contract.tokens import LONGEST_ACCESS
from taskbell.kit.jwt import parse_keys
from taskbell.kit.p256 import is_point
from taskbell.kit.postgres.settings import PooledSettings
from taskbell.kit.postgres.urls import server_url_fault
from taskbell.kit.sealing import Seal


class ApiSettings(PooledSettings):
    """Environment variables of the API, prefix `TASKBELL_`."""

    database_url: SecretStr
    """PostgreSQL primary, with the rights of role `taskbell_api`."""
    database_pool_size: int = Field(default=20, ge=1, le=500)
    """Connections to the primary that each API process keeps."""
    database_acquire_timeout: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0))
    """How long a request waits for a free connection before it gets a 503."""
    database_replica_urls: Annotated[tuple[SecretStr, ...], NoDecode, Field(max_length=16)] = ()
    """Streaming replicas that answer reads, with the rights of role `taskbell_api`: one URL for each server, separated
    by commas, in the same order for all processes. A comma in a password is written `%2C`. Without them the primary
    answers all reads."""
    database_replica_pool_size: int = Field(default=20, ge=1, le=500)
    """Connections to each replica that each API process opens at most."""
    database_replica_max_lag: timedelta = Field(default=timedelta(seconds=1), gt=timedelta(0))
    """By how much a replica may lag; beyond it the primary answers. A user who has seen nothing newer may read what was
    true so long ago."""
    nats_url: SecretStr
    """NATS, for pokes to the relay and for the change feed. Tasks are saved while NATS is down."""
    signing_keys: SecretStr
    """JWK Set (RFC 7517) of Ed25519 private keys, each with a `kid`. The first key signs, all keys verify."""
    access_token_ttl: timedelta = Field(default=timedelta(minutes=30), ge=timedelta(seconds=1), le=LONGEST_ACCESS)
    """How long an access token is valid. When its session ends earlier, each process refuses it within a second, as
    long as PostgreSQL answers."""
    refresh_token_ttl: timedelta = Field(default=timedelta(days=30), ge=timedelta(minutes=1))
    """How long a session lasts without a refresh."""
    oidc_providers: Annotated[tuple[Provider, ...], NoDecode, Field(max_length=MOST_PROVIDERS)] = ()
    """Providers of identity that people sign in through (OpenID Connect), and whose access tokens are accepted: a list
    in JSON, with an object for each. docs/how-to/sign-in-with-oidc.md tells its fields, with those of known providers.
    It holds secrets."""
    oidc_redirect_uris: Annotated[tuple[str, ...], NoDecode, Field(max_length=100)] = ()
    """Addresses of clients that a provider may send people back to, separated by commas. Each is compared character by
    character, but `http://127.0.0.1/...` and `http://[::1]/...` without a port stand for every port."""
    oidc_timeout: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0), le=timedelta(seconds=30))
    """How long a request to a provider may take, from looking up its name to the last byte of its answer."""
    gateway_url: str = "ws://127.0.0.1:8001/ws"
    """Public address of the WebSocket gateway; clients get it with a ticket."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Browser origins that may call the API, separated by commas. `*` is refused, because requests carry credentials.
    """
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, Field(max_length=100)] = (
        IPv4Network("127.0.0.0/8"),
        IPv6Network("::1/128"),
    )
    """Networks (CIDRs, separated by commas) of the proxies that are believed when they report a client's address in
    `X-Forwarded-For`. Behind a proxy that is not listed all clients share one address, and one flood is everybody's.
    List only proxies: a client in these networks can claim any address. Empty: none is believed."""
    reminder_leads: Annotated[tuple[timedelta, ...], NoDecode, Field(max_length=10)] = (
        timedelta(hours=24),
        timedelta(hours=1),
    )
    """How long before the due time a task's reminders fire, separated by commas. If some of them have passed when the
    due time is set, the shortest of those fires at once. A change applies to tasks that are written later."""
    default_page_size: int = Field(default=100, ge=1, le=1000)
    """Items in a page when the client sends no limit."""
    max_page_size: int = Field(default=1000, ge=1, le=10_000)
    """The largest limit that a client may send."""
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    """A larger request body gets a 413 before it is read completely."""
    api_max_connections: int = Field(default=2_000, ge=16)
    """Most connections of this process. One more takes the place of those that have waited longest without a request;
    it gets a 503 if all others are busy. Each may hold 64 KiB of an unfinished head."""
    request_head_timeout: timedelta = Field(default=timedelta(seconds=10), gt=timedelta(0))
    """How long the head of a request may take, from its first byte; also how long a new connection may stay silent."""
    request_timeout: timedelta = Field(default=timedelta(minutes=1), gt=timedelta(0))
    """How long a request may take to arrive, from its first byte to the last one of its body."""
    response_timeout: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))
    """How long a client may leave a response unread, and a second more for each 32 KiB."""
    keep_alive_timeout: timedelta = Field(default=timedelta(seconds=75), ge=timedelta(seconds=1))
    """How long a connection waits for its next request. Keep it above the idle timeout of a proxy in front, which
    would otherwise send requests on connections that are being closed."""
    rate_limit_per_minute: int = Field(default=100, ge=1, le=1_000_000_000)
    """Requests a minute of one user; more get a 429. A page counts as one request for each hundred items that it may
    hold, and a 304 as none."""
    rate_limit_storage_url: SecretStr | None = None
    """Where requests are counted. Without it each process counts for itself, so that n processes permit n times as
    many. `nats://`: all processes count together on the NATS of TASKBELL_NATS_URL (2.12 or newer); another server with
    `nats://user:password@host`. A request then takes one more round trip."""
    requests_at_once_per_user: int = Field(default=10, ge=1)
    """Requests of one user that a process works on at a time, weighed in the same way. 64 more wait for up to 5 s; the
    rest get a 429."""
    password_hash_memory_kib: int = Field(default=19_456, ge=8)
    """argon2id memory cost in KiB (OWASP Password Storage Cheat Sheet: 19 MiB with 2 iterations)."""
    password_hash_iterations: int = Field(default=2, ge=1)
    """argon2id time cost."""
    password_hash_workers: int = Field(default=2, ge=1, le=64)
    """Passwords that each API process hashes at a time; each takes the memory cost."""
    password_hash_waiting: int = Field(default=64, ge=0)
    """Further sign-ins that may wait for a worker; more get a 503. One address has at most half of the places.
    Registrations have a quarter as many places of their own."""
    login_failures_allowed: int = Field(default=10, ge=1)
    """Wrong passwords for one account from one address, or with one device token, within 15 minutes, before pauses
    begin; ten times as many for one account from all addresses together."""
    registrations_allowed: int = Field(default=20, ge=1)
    """Registrations from one address within 15 minutes before pauses begin, whether they succeed or not. Raise it for
    load tests, and where many people share an address."""
    email_confirmation_ttl: timedelta = Field(default=timedelta(days=1), ge=timedelta(minutes=1), le=timedelta(days=30))
    """How long the token of a message that confirms an e-mail address works."""
    password_reset_ttl: timedelta = Field(default=timedelta(hours=1), ge=timedelta(minutes=5), le=timedelta(days=1))
    """How long the token of a message that resets a password works. It works once, and until the password is changed.
    """
    device_token_ttl: timedelta = Field(default=timedelta(days=180), ge=timedelta(days=1), le=timedelta(days=400))
    """How long a device token is valid: its device signs in whatever others do to the account."""
    personal_token_ttl: timedelta = Field(default=timedelta(days=90), ge=timedelta(minutes=1))
    """How long a personal access token lives whose maker names no time; never longer than the greatest lifetime."""
    personal_token_max_ttl: timedelta = Field(
        default=timedelta(days=366), ge=timedelta(minutes=1), le=timedelta(days=3660)
    )
    """The greatest lifetime of a personal access token. A change applies to tokens that are made later."""
    personal_tokens_per_user: int = Field(default=50, ge=1, le=1000)
    """Personal access tokens that a user may have. One more is refused (`limit_reached`). Expired ones count for 30
    days."""
    second_factor_keys: SecretStr | None = None
    """JWK Set (RFC 7517) of 256-bit `oct` keys, each with a `kid`, as `taskbell keys second-factor` prints it. Secrets
    of authenticators are stored encrypted under its first key, and all keys decrypt: keep a key as long as a secret may
    be under it. Unset: nobody can enrol a second factor."""
    workspaces_per_user: int = Field(default=100, ge=1, le=10_000)
    """Workspaces that a user may belong to, with the personal one. More are refused (`limit_reached`)."""
    members_per_workspace: int = Field(default=1000, ge=1, le=100_000)
    """Members of a workspace. Invitations that have not expired count, too, when another one is made."""
    invitations_per_workspace: int = Field(default=100, ge=1, le=10_000)
    """Invitations of a workspace. Each counts until it is accepted or expires, also when it was withdrawn or declined.
    """
    invitations_per_user: int = Field(default=50, ge=1, le=10_000)
    """Invitations that a user has made, in all workspaces; counted in the same way."""
    invitations_per_recipient: int = Field(default=20, ge=1, le=1000)
    """Invitations to one e-mail address that wait for an answer. A quarter of them may come from one user."""
    invitation_ttl: timedelta = Field(default=timedelta(days=7), ge=timedelta(minutes=1), le=timedelta(days=90))
    """How long an invitation can be accepted."""
    invitations_need_confirmed_email: bool = False
    """Whether only a user with a confirmed e-mail address accepts invitations. Without it, whoever registers an address
    first accepts for it. A letter with an invitation confirms the address, too. The chart sets this when there is a
    mail server, which sends the confirmations."""
    webhook_allow_http: bool = False
    """Also accept webhook addresses that begin with `http://`. Events are then sent unencrypted."""
    webhook_secret_overlap: timedelta = Field(default=timedelta(days=1), ge=timedelta(0), le=timedelta(days=30))
    """How long the old secret of a webhook also signs after a rotation."""
    devices_per_user: int = Field(default=20, ge=1, le=100)
    """Devices of a user that receive push alerts. One more is refused (`limit_reached`): none is replaced silently."""
    vapid_public_key: str | None = None
    """The public key of Web Push (RFC 8292) that browsers subscribe with: the one that belongs to
    TASKBELL_VAPID_PRIVATE_KEY of the delivery workers, as base64url text of 65 bytes. Without it, the API tells
    browsers that Web Push is not set up. With another key each browser must subscribe again."""
    push_allow_private: bool = False
    """Also accept push services whose host is no public name, and ports other than 443 in addresses of push services
    and chats. Only for tests and development: the delivery workers have a setting of the same name."""
    chat_hosts: Annotated[tuple[str, ...], NoDecode, Field(max_length=100)] = ()
    """Further hosts whose incoming webhooks users may set as their Slack or Teams channel, separated by commas: such as
    that of your Mattermost, which takes Slack's messages. The hosts of Slack and Teams need not be listed."""
    idempotency_wait: timedelta = Field(default=timedelta(seconds=5), ge=timedelta(0), le=timedelta(seconds=9))
    """How long a repeat waits while the first request with its Idempotency-Key is under way; then it is a 409
    (`idempotency_key_in_use`). PostgreSQL ends a statement that waits for 10 s."""
    slow_request: timedelta = timedelta(milliseconds=500)
    """Requests slower than this are logged."""

    @field_validator("database_replica_urls", mode="before")
    @classmethod
    def _split_urls(cls, value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else value

    @field_validator("database_replica_urls")
    @classmethod
    def _servers(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        faults = (server_url_fault(url.get_secret_value()) for url in value)
        told = [f"replica {number}: {fault}" for number, fault in enumerate(faults, start=1) if fault]
        if told:
            raise ValueError("; ".join(told))
        if len({url.get_secret_value() for url in value}) < len(value):
            raise ValueError("each replica comes once")
        return value

    @field_validator(
        "chat_hosts", "cors_origins", "oidc_redirect_uris", "reminder_leads", "trusted_proxies", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("oidc_providers", mode="before")
    @classmethod
    def _read_providers(cls, value: object) -> object:
        return read_list(value)

    @field_validator("oidc_providers")
    @classmethod
    def _told_apart(cls, value: tuple[Provider, ...]) -> tuple[Provider, ...]:
        refuse_repeated(value)
        return value

    @field_validator("oidc_redirect_uris")
    @classmethod
    def _redirects(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        told = [f"entry {number} {fault}" for number, each in enumerate(value, 1) if (fault := redirect_fault(each))]
        if told:
            raise ValueError("; ".join(told))
        return value

    @field_validator("cors_origins")
    @classmethod
    def _refuse_any(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in value:
            raise ValueError("name the origins; '*' cannot be combined with credentials")
        return value

    @field_validator("chat_hosts")
    @classmethod
    def _host_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:]{2,45}", host) for host in value):
            raise ValueError("name hosts without scheme, port and path")
        return tuple(host.lower() for host in value)

    @field_validator("trusted_proxies")
    @classmethod
    def _refuse_everybody(cls, value: tuple[IPv4Network | IPv6Network, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
        if any(network.prefixlen == 0 for network in value):
            raise ValueError("name the networks of your proxies; a network of all addresses lets each client lie")
        return value

    @field_validator("reminder_leads")
    @classmethod
    def _positive(cls, value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if any(not timedelta(0) <= lead <= timedelta(days=365) for lead in value) or len(set(value)) < len(value):
            raise ValueError("each lead lies between PT0S and P365D, and comes once")
        return value

    @field_validator("rate_limit_storage_url")
    @classmethod
    def _known_store(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or value.get_secret_value() in {"", "memory://"}:
            return None
        if not value.get_secret_value().startswith(("nats://", "tls://")):
            raise ValueError("use nats://, the URL of a NATS server, or memory://")
        return value

    @field_validator("vapid_public_key")
    @classmethod
    def _on_the_curve(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not is_point(value):
            raise ValueError("give an uncompressed point of P-256, 65 bytes, as base64url text")
        return value.rstrip("=")

    @field_validator("second_factor_keys")
    @classmethod
    def _parse_seal(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        Seal.parse(value.get_secret_value())
        return value

    @field_validator("signing_keys")
    @classmethod
    def _parse(cls, value: SecretStr) -> SecretStr:
        parse_keys(value.get_secret_value())
        return value
