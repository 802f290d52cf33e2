"""The API in the test's own event loop, on a fresh database and a real NATS; accounts that are made and signed in."""

import contextlib
import dataclasses
import functools
import itertools
import json
import socket
import threading

import httpx
import pytest
import uvicorn

from described_answers import DescribedAnswers
from taskbell.api.app import create_app
from taskbell.api.http import paging
from taskbell.api.settings import ApiSettings
from taskbell.kit.jwt import generate_keys
from taskbell.local.commands import openapi

_NUMBERS = itertools.count(1)
START_SECONDS = 60.0
PASSWORD = "correct horse battery staple"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A registered account with its first pair of tokens."""

    user_id: str
    email: str
    password: str
    workspace_id: str
    access_token: str
    refresh_token: str
    device_token: str

    @property
    def headers(self):
        """What a request on behalf of the account carries."""
        return {"Authorization": f"Bearer {self.access_token}"}


@pytest.fixture(scope="session")
def signing_keys():
    """A key set of this run."""
    return generate_keys()


@pytest.fixture
def overrides():
    """Settings that a test module changes: override this fixture."""
    return {}


_CHEAP = {
    "database_pool_size": 8,
    "database_acquire_timeout": "PT1M",  # hundreds of requests at once may wait long on a busy machine
    "rate_limit_per_minute": 1_000_000,  # tests of the limit set their own
    "requests_at_once_per_user": 1_000,
    "password_hash_memory_kib": 8,
    "password_hash_iterations": 1,
    "registrations_allowed": 1000,
}


@pytest.fixture
def settings(database, nats_url, signing_keys, overrides):
    """Settings of the API under test; passwords are cheap."""
    own = {"database_url": database.api_url, "nats_url": nats_url, "signing_keys": signing_keys}
    return ApiSettings(**_CHEAP | own | overrides)


@pytest.fixture(scope="session")
def serving(fresh_database, servers, signing_keys):
    """Runs an API on a database of its own for as long as a block lasts, for modules that share one; yields both."""

    @contextlib.asynccontextmanager
    async def serve():
        async with fresh_database() as database:
            bus = servers.nats_url("shared")
            own = {"database_url": database.api_url, "nats_url": bus, "signing_keys": signing_keys}
            application = create_app(ApiSettings(**_CHEAP | own))
            async with application.router.lifespan_context(application), client_of(application) as client:
                yield client, database

    return serve


@pytest.fixture
async def app(settings):
    """The application with its lifespan begun; ended after the test."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def api(app):
    """A client of the application; foreseen and unforeseen errors arrive as answers."""
    async with client_of(app) as client:
        yield client


@functools.cache
def described_answers():
    """The OpenAPI document, built once; what an answer must have in it does not depend on settings."""
    return DescribedAnswers(json.loads(openapi.text()))


def client_of(app, *, address="192.0.2.1"):
    """A client of an application in this process. Each answer must be one that the OpenAPI document describes."""
    transport = httpx.ASGITransport(app, client=(address, 40000))
    hooks = {"response": [described_answers().check]}
    return httpx.AsyncClient(transport=transport, base_url="http://api.test", event_hooks=hooks)


@pytest.fixture
def api_client_of():
    """Makes a client of an application in this process."""
    return client_of


@pytest.fixture
async def api_from(app):
    """Makes a client of the application that has another address."""
    async with contextlib.AsyncExitStack() as stack:

        async def connect(address):
            return await stack.enter_async_context(client_of(app, address=address))

        yield connect


@pytest.fixture
def sign_up(api):
    """Registers an account and returns it signed in; with an e-mail address and a name of its own, or those given."""

    async def register(*, email=None, password=PASSWORD, name="Somebody"):
        email = email or f"user{next(_NUMBERS)}@example.com"
        answer = await api.post("/v1/auth/register", json={"email": email, "password": password, "name": name})
        assert answer.status_code == 201, answer.text
        found = answer.json()
        return SignedIn(
            user_id=found["user"]["id"],
            email=email,
            password=password,
            workspace_id=found["user"]["personal_workspace_id"],
            access_token=found["access_token"],
            refresh_token=found["refresh_token"],
            device_token=found["device_token"],
        )

    return register


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
    """A served application and the header of somebody who is signed in."""

    url: str
    headers: dict[str, str]


@pytest.fixture
def served(settings, monkeypatch):
    """The API on a port of its own, in a thread: hypothesis is not asynchronous."""
    monkeypatch.setattr(paging, "LIST_SECONDS", START_SECONDS)  # a slow machine is no reason to refuse a list
    listening = socket.create_server(("127.0.0.1", 0))
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(create_app(settings), log_config=None, lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="served")
    thread.start()
    try:
        assert started.wait(START_SECONDS)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        body = {"email": "ann@example.com", "password": "correct horse battery staple"}
        token = httpx.post(f"{url}/v1/auth/register", json=body, timeout=START_SECONDS).json()["access_token"]
        yield Served(url=url, headers={"Authorization": f"Bearer {token}"})
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        listening.close()
    assert not thread.is_alive()
