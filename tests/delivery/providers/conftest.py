"""The providers of alerts against the simulator, over HTTP/2 and TLS."""

import contextlib
import time

import orjson
import pytest

from taskbell.delivery.alerts import Endpoint
from taskbell.delivery.claims import Claim
from taskbell.delivery.providers.opening import open_providers
from taskbell.delivery.providers.settings import ProviderSettings
from taskbell.delivery.providers.tokens import StoredToken
from taskbell.kit.ids import new_id
from taskbell.testing.pushsim.credentials import Credentials
from taskbell.testing.pushsim.simulator import simulator


@pytest.fixture(scope="session")
def credentials():
    """Keys; making them takes time, and all tests may share them."""
    return Credentials.generate()


@pytest.fixture
async def sim(credentials):
    """A simulator of all providers."""
    async with simulator(credentials=credentials) as running:
        yield running


class SharedTokens:
    """What PostgreSQL keeps for all workers, in memory; the real one has its own test."""

    def __init__(self):
        self.rows = {}

    async def provider_token(self, provider, key_id):
        """The token of a key."""
        return self.rows.get((provider, key_id))

    async def share_provider_token(self, provider, key_id, offered, *, unless_after):
        """The token that stands."""
        stored = self.rows.get((provider, key_id))
        if stored is None or stored.issued_at <= unless_after:
            self.rows[provider, key_id] = stored = StoredToken(offered.token, offered.issued_at)
        return stored


@pytest.fixture
def shared_tokens():
    """Where workers share tokens."""
    return SharedTokens()


@pytest.fixture
def running(sim, monkeypatch, shared_tokens):
    """Open the providers for the length of a block; keyword arguments are settings."""

    @contextlib.asynccontextmanager
    async def run(**settings):
        for name, value in sim.environment.items():
            monkeypatch.setenv(name, value)
        async with open_providers(ProviderSettings(**settings), tokens=shared_tokens) as found:
            yield found

    return run


@pytest.fixture
async def providers(running):
    """All providers."""
    async with running() as found:
        yield found


@pytest.fixture
def claim():
    """Make a claim of an alert for a simulated device; keyword arguments change the notification."""

    def make(device, *, others=0, remaining=3600.0, registered_at=None, read=False, **changed):
        notification = {
            "id": str(new_id()),
            "kind": "assigned",
            "title": "Ann assigned you: Water the plants",
            "body": "All of them.",
            "workspace_id": str(new_id()),
            "task_id": str(new_id()),
            "urgent": False,
            "created_at": "2026-11-22T08:00:00Z",
        } | changed
        document = {"type": "notification.read" if read else "notification.created", "data": notification}
        endpoint = device and Endpoint(
            id=new_id(),
            kind=device.provider,
            address=device.address,
            p256dh=device.p256dh,
            auth=device.auth,
            environment=device.environment,
            registered_at=time.time() - 60 if registered_at is None else registered_at,
        )
        return Claim(
            id=new_id(),
            event_id=new_id(),
            channel=str(device.provider) if device else "fcm",
            endpoint_id=new_id(),
            workspace_id=new_id(),
            event_type=document["type"],
            payload=orjson.dumps(document).decode(),
            traceparent=None,
            attempts=1,
            remaining=remaining,
            age=0.0,
            url=None,
            secrets=(),
            email=None,
            endpoint=endpoint,
            others=others,
        )

    return make


@pytest.fixture
def device_of(sim):
    """Make a device of a provider."""
    makers = {
        "fcm": sim.fcm.device,
        "apns": sim.apns.device,
        "webpush": sim.webpush.subscription,
        "slack": sim.slack.hook,
        "teams": sim.teams.hook,
    }
    return lambda channel: makers[channel]()
