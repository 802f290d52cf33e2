"""A real gateway on real PostgreSQL and NATS."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway_processes import GatewayProcess
from taskbell.contract.subjects import STREAM
from taskbell.gateway.app import Gateway, gateway
from taskbell.gateway.settings import GatewaySettings
from taskbell.kit.entry import listen
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually


async def ready(running: Gateway, stream):
    """Wait until the gateway has caught up with the stream."""
    info = await stream.jetstream.stream_info(STREAM)
    await eventually(lambda: running.hub.epoch and running.hub.position >= info.state.last_seq, "the gateway")


@pytest.fixture
def settings(database, nats_url, jwks):
    """Make settings of a gateway; keyword arguments override."""

    def make(**overrides):
        options = {
            "database_url": database.gateway_url,
            "nats_url": nats_url,
            "jwks_url": jwks.url,
            "gateway_drain_timeout": "PT0.1S",
        }
        return GatewaySettings(**(options | overrides))

    return make


@pytest.fixture
def run_gateway(settings, stream):
    """Run a gateway for the length of a block, ready; keyword arguments override settings."""

    @contextlib.asynccontextmanager
    async def run(port=0, **overrides) -> AsyncIterator[Gateway]:
        async with gateway(settings(**overrides), listening=listen(host="127.0.0.1", port=port)) as running:
            await ready(running, stream)
            yield running

    return run


@pytest.fixture
def listener(people):
    """Make listeners of a gateway; all are closed at the end of the block they were made in."""

    @contextlib.asynccontextmanager
    async def make(running: Gateway, user, **options):
        made = Listener(f"ws://127.0.0.1:{running.port}/ws", token=people.token(user), **options)
        try:
            yield made
        finally:
            await made.close()

    return make


@pytest.fixture
def start_gateway(database, nats_url, jwks, tmp_path):
    """Start gateway processes; keyword arguments are environment variables."""
    processes = []

    def make(**environment):
        given = {
            "TASKBELL_DATABASE_URL": database.gateway_url,
            "TASKBELL_NATS_URL": nats_url,
            "TASKBELL_JWKS_URL": jwks.url,
            "TASKBELL_GATEWAY_DRAIN_TIMEOUT": "PT0.5S",
            **environment,
        }
        processes.append(GatewayProcess(given, tmp_path / "gateway.log"))
        return processes[-1]

    yield make
    for process in processes:
        process.close()
