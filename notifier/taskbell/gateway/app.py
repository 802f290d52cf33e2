"""Composition: builds a gateway from its settings, runs it, and takes it down."""

from __future__ import annotations

import asyncio
import math
import socket as sockets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx

from taskbell.contract.subjects import GATEWAY_CONNECTIONS, METADATA_EPOCH, STREAM, TICKET_BUCKET
from taskbell.contract.tokens import LONGEST_ACCESS
from taskbell.gateway.cap import UserCap
from taskbell.gateway.cap_exchange import CapExchange
from taskbell.gateway.channels import Admission
from taskbell.gateway.http import HttpSide
from taskbell.gateway.hub import Hub
from taskbell.gateway.intake import Intake
from taskbell.gateway.keys import Keys
from taskbell.gateway.personal_tokens import TokenWatch
from taskbell.gateway.recent import RecentEvents
from taskbell.gateway.replay import Resumption
from taskbell.gateway.repository import DatabaseUnavailable, EndedSessions, Memberships, PersonalTokens, open_database
from taskbell.gateway.server import WHEEL_SECONDS, GatewayServer
from taskbell.gateway.session import SessionLimits
from taskbell.gateway.settings import GatewaySettings
from taskbell.gateway.shares import ReplayShares
from taskbell.gateway.sign_ins import SignIns
from taskbell.gateway.signed_in import SignedIn
from taskbell.gateway.socket import Surroundings
from taskbell.gateway.unsent import Unsent
from taskbell.gateway.wheel import TimerWheel
from taskbell.kit.looper import running
from taskbell.kit.nats_bus import connect
from taskbell.kit.nats_once import OneTimeNames
from taskbell.kit.nats_reader import StreamReader
from taskbell.kit.nats_replay import StreamReplays
from taskbell.kit.nats_talk import Talk
from taskbell.kit.probes.health import Check, examine
from taskbell.kit.revocations import Revocations
from taskbell.kit.trace import Tracing


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that listens on `port`."""

    server: GatewayServer
    hub: Hub
    port: int


REPLAY_PATIENCE = 10.0
"""Seconds that a replay waits for its share; then the client is told to come back."""
_SETTLE_SECONDS = 3.0
"""Seconds to wait for readiness before listening; after that the gateway listens, unready."""


@asynccontextmanager
async def gateway(
    settings: GatewaySettings,
    *,
    listening: sockets.socket,
    tracing: Tracing | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway for the length of the block, then drain its connections.

    Raises:
        BusUnavailable: NATS cannot be reached at the start.
        OSError: The address is taken or not allowed.
    """
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.way_to(settings.database_url), pool_size=settings.gateway_database_pool_size)
        )
        memberships, personal_tokens = Memberships(database), PersonalTokens(database)
        watch = TokenWatch(personal_tokens)
        http_client = await stack.enter_async_context(httpx.AsyncClient(timeout=5))
        keys = Keys(http_client, str(settings.jwks_url), cool_down=settings.jwks_cool_down.total_seconds())
        hub = Hub(RecentEvents(max_events=settings.gateway_recent_events, max_bytes=settings.gateway_recent_bytes))

        async def reconnected() -> None:
            reader.disturb()

        bus = await connect(settings.nats_url.get_secret_value(), name="taskbell-gateway", on_reconnect=reconnected)
        stack.push_async_callback(bus.close)
        # Replays have a connection of their own: however much they read, live events do not wait behind it.
        replay_bus = await connect(settings.nats_url.get_secret_value(), name="taskbell-gateway-replays")
        stack.push_async_callback(replay_bus.close)
        reader = StreamReader(
            bus,
            Intake(hub, tracing=tracing or Tracing(service="taskbell-gateway")),
            stream=STREAM,
            epoch_key=METADATA_EPOCH,
            warm_up=settings.gateway_recent_events,
        )
        users = CapExchange(
            Talk(bus, GATEWAY_CONNECTIONS),
            UserCap(name=uuid4().hex, most=settings.gateway_max_connections_per_user),
        )
        revocations = Revocations(
            EndedSessions(database).revoked,
            keep=max(LONGEST_ACCESS, settings.gateway_ticket_session_ttl),
            away=(DatabaseUnavailable,),
        )
        await revocations.begin()
        signed_in = SignedIn(revocations)
        revocations.listen(signed_in.end)
        around = Surroundings(
            hub=hub,
            signed_in=signed_in,
            admission=Admission(
                hub=hub,
                memberships=memberships,
                resumption=Resumption(
                    hub,
                    StreamReplays(replay_bus, stream=STREAM, epoch_key=METADATA_EPOCH),
                    ReplayShares(
                        at_most=settings.gateway_max_replays,
                        per_user=settings.gateway_max_replays_per_user,
                        patience=REPLAY_PATIENCE,
                    ),
                    max_events=settings.gateway_max_replay_events,
                    max_bytes=settings.gateway_max_replay_bytes,
                ),
                users=users,
            ),
            sign_ins=SignIns(
                keys,
                OneTimeNames(bus, bucket=TICKET_BUCKET),
                personal_tokens,
                ticket_session=settings.gateway_ticket_session_ttl.total_seconds(),
                monotonic=loop.time,
            ),
            watch=watch,
            unsent=Unsent(at_most=settings.gateway_unsent_bytes),
            wheel=TimerWheel(resolution=WHEEL_SECONDS, now=loop.time()),
            limits=SessionLimits(
                ping_seconds=settings.gateway_ping_interval.total_seconds(),
                age_seconds=settings.gateway_max_connection_age.total_seconds() or math.inf,
                queue_messages=settings.gateway_queue_messages,
                queue_bytes=settings.gateway_queue_bytes,
            ),
        )
        checks = {"stream": reader.check, "memberships": memberships.check, "keys": keys.check}
        server = GatewayServer(
            around,
            http_side=lambda server: HttpSide(
                checks,
                allowed_origins=settings.allowed_origins,
                is_full=server.is_full,
                is_draining=server.is_draining,
                ping_seconds=settings.gateway_ping_interval.total_seconds(),
            ),
            max_connections=settings.gateway_max_connections,
        )
        await stack.enter_async_context(running(keys.run, name="gateway-keys"))
        await stack.enter_async_context(running(revocations.run, name="gateway-sessions"))
        await stack.enter_async_context(running(reader.run, name="gateway-reader"))
        await stack.enter_async_context(running(users.run, name="gateway-users"))
        await stack.enter_async_context(running(watch.run, name="gateway-tokens"))
        await stack.enter_async_context(running(server.turn_wheel, name="gateway-wheel"))
        await _settle(checks, within=_SETTLE_SECONDS)
        await server.start(listening)
        try:
            yield Gateway(server=server, hub=hub, port=listening.getsockname()[1])
        finally:
            await server.drain(within=settings.gateway_drain_timeout.total_seconds())


async def _settle(checks: Mapping[str, Check], *, within: float) -> None:
    """Wait until all checks pass, or the time is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while loop.time() < deadline and not (await examine(checks, deadline=within)).ok:  # noqa: ASYNC110 -- asks, too
        await asyncio.sleep(0.02)
