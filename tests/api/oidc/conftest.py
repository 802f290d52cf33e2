"""A provider in its own process, and people who sign in through it like a client makes them."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import oidc_server
from oidc_server.grants import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI
from taskbell.local.embedded import process
from taskbell.testing.waiting import eventually

AUDIENCE = "https://api.test"
ANN = {"sub": "ann-1", "email": "ann@example.com", "email_verified": True, "name": "Ann"}


class OidcProcess:
    """The process of a provider."""

    def __init__(self, port, log):
        self.issuer = f"http://127.0.0.1:{port}"
        self._port = port
        self._log = log
        self._child = None

    async def start(self):
        """Start it if it does not run, and wait until it answers; Ann has signed in there already."""
        if self._child is None:
            folder = str(Path(oidc_server.__file__).parent.parent)
            with self._log.open("ab") as output:
                self._child = subprocess.Popen(  # noqa: ASYNC220 -- starting it takes no time
                    [sys.executable, "-m", "oidc_server", str(self._port)],
                    env={**os.environ, "PYTHONPATH": folder},
                    stdout=output,
                    stderr=output,
                )

        self.signal(signal.SIGCONT)

        async def answers():
            assert self._child.poll() is None, self._log.read_text()
            with contextlib.suppress(httpx.TransportError):
                await self.set(behave=True, user=ANN)
                return True
            return False

        await eventually(answers, "the provider")

    async def set(self, **wanted):
        """Tell it how to behave; returns how often each path was asked."""
        async with httpx.AsyncClient() as client:
            return (await client.post(f"{self.issuer}/control", json=wanted)).json()["requests"]

    async def mint(self, *, kind="at+jwt", **claims):
        """An access token of it, with these claims."""
        own = {"aud": AUDIENCE, "azp": CLIENT_ID, "scope": "tasks"}
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.issuer}/mint", json={"claims": {**own, **claims}, "kind": kind})
        return answer.json()["token"]

    async def visit(self, address):
        """Open the authorization address in a browser; return what the redirect carries."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(address)
        assert answer.status_code == 302, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def signal(self, number):
        """Send it a signal."""
        self._child.send_signal(number)

    def stop(self):
        """End it at once, and leave nothing behind."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


@pytest.fixture(scope="session")
def provider_process(tmp_path_factory):
    """The process, which tests use one after the other."""
    made = OidcProcess(process.free_port(), tmp_path_factory.mktemp("provider") / "log")
    yield made
    made.stop()


@pytest.fixture
async def provider(provider_process):
    """A provider that behaves, and has signed Ann in."""
    await provider_process.start()
    return provider_process


@pytest.fixture
def provider_settings():
    """Fields of the provider's entry in the settings that a test module changes: override this fixture."""
    return {}


@pytest.fixture
def overrides(provider, provider_settings):
    """Settings with this provider."""
    entry = {
        "id": "test",
        "name": "Test provider",
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "audiences": [AUDIENCE],
        "access_token_claims": {"scope": "tasks"},
        "allow_private": True,
    }
    return {
        "oidc_providers": json.dumps([entry | provider_settings]),
        "oidc_redirect_uris": f"{REDIRECT_URI},http://127.0.0.1/callback",
        "oidc_timeout": "PT5S",
    }


@dataclasses.dataclass
class Browser:
    """A client of the API that signs people in through the provider."""

    api: httpx.AsyncClient
    provider: OidcProcess

    async def start(self, redirect_uri=REDIRECT_URI):
        """Begin; returns what the API answers."""
        answer = await self.api.post("/v1/auth/oidc/test/start", json={"redirect_uri": redirect_uri})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def go(self, redirect_uri=REDIRECT_URI):
        """Begin, and visit the provider; returns the body that finishes the sign-in."""
        started = await self.start(redirect_uri)
        brought = await self.provider.visit(started["authorization_url"])
        return {**brought, "sign_in_token": started["sign_in_token"]}

    async def finish(self, body):
        """Finish with a body; returns the answer."""
        return await self.api.post("/v1/auth/oidc/test/finish", json=body)

    async def sign_in(self):
        """All of it."""
        return await self.finish(await self.go())


@pytest.fixture
def browser(api, provider):
    """A client that signs people in."""
    return Browser(api, provider)
