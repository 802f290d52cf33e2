"""The API in the test's own event loop, on a fresh database and a real NATS; accounts that are made and signed in."""

import dataclasses
import itertools

import httpx
import pytest

from taskbell.api.app import create_app
from taskbell.api.settings import ApiSettings
from taskbell.kit.jwt import generate_keys

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


@pytest.fixture
def settings(database, nats_url, signing_keys, overrides):
    """Settings of the API under test; passwords are cheap."""
    return ApiSettings(
        **{
            "database_url": database.api_url,
            "database_pool_size": 8,
            "database_acquire_timeout": "PT1M",  # hundreds of requests at once may wait long on a busy machine
            "nats_url": nats_url,
            "signing_keys": signing_keys,
            "password_hash_memory_kib": 8,
            "password_hash_iterations": 1,
        }
        | overrides
    )


@pytest.fixture
async def app(settings):
    """The application with its lifespan begun; ended after the test."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def api(app):
    """A client of the application; foreseen and unforeseen errors arrive as answers."""
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield client


@pytest.fixture
def sign_up(api):
    """Registers an account and returns it signed in; with an e-mail address and a name of its own, or those given."""
    numbers = itertools.count(1)

    async def register(*, email=None, password=PASSWORD, name="Somebody"):
        email = email or f"user{next(numbers)}@example.com"
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
        )

    return register
