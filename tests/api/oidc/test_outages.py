"""A provider that is down, slow, hostile or elsewhere than it should be fails sign-ins through it, and nothing else."""

import asyncio
import json
import signal

import pytest

from oidc_server.grants import REDIRECT_URI
from taskbell.api.app import create_app
from taskbell.api.oidc import documents
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("T4", "T2")


@pytest.fixture
def overrides(overrides):
    """A short time limit, since a provider hangs here."""
    return overrides | {"oidc_timeout": "PT1S"}


def _unavailable(answer):
    found = answer.json()
    assert (answer.status_code, found["code"]) == (503, "provider_unavailable"), answer.text
    assert "Test provider" in found["detail"]
    assert int(answer.headers["retry-after"]) > 0


async def test_a_provider_that_is_down_fails_its_sign_ins_alone(api, browser, provider, sign_up):
    """It is named in a 503; passwords and requests go on; when it is back, so are its sign-ins."""
    ann = await sign_up()
    provider.stop()
    _unavailable(await api.post("/v1/auth/oidc/test/start", json={"redirect_uri": REDIRECT_URI}))
    assert (await api.get("/v1/me", headers=ann.headers)).status_code == 200
    login = await api.post("/v1/auth/login", json={"email": ann.email, "password": ann.password})
    assert login.status_code == 200


async def test_it_is_asked_again_when_it_is_back(api, browser, provider, monkeypatch):
    """The pause after a failure ends by itself."""
    monkeypatch.setattr(documents, "PAUSE", 0.2)
    provider.stop()
    _unavailable(await api.post("/v1/auth/oidc/test/start", json={"redirect_uri": REDIRECT_URI}))
    await provider.start()

    async def started():
        return (await api.post("/v1/auth/oidc/test/start", json={"redirect_uri": REDIRECT_URI})).status_code == 200

    await eventually(started)
    assert (await browser.sign_in()).status_code == 200


async def test_while_it_hangs_others_are_served_and_it_is_asked_once(api, browser, provider, sign_up):
    """Twenty sign-ins wait for one fetch and its time limit; whoever comes during the pause does not wait at all."""
    ann = await sign_up()
    provider.signal(signal.SIGSTOP)
    waiting = [
        asyncio.create_task(api.post("/v1/auth/oidc/test/start", json={"redirect_uri": REDIRECT_URI}))
        for _ in range(20)
    ]
    await asyncio.sleep(0)
    assert (await api.get("/v1/me", headers=ann.headers)).status_code == 200
    assert not any(each.done() for each in waiting)
    for answer in await asyncio.gather(*waiting):
        _unavailable(answer)
    provider.signal(signal.SIGCONT)
    _unavailable(await api.post("/v1/auth/oidc/test/start", json={"redirect_uri": REDIRECT_URI}))  # the pause

    async def asked():
        return (await provider.set()).get("/.well-known/openid-configuration", 0)

    assert await asked() <= 1


async def test_a_token_endpoint_that_fails_is_the_providers_fault(browser, provider):
    """5xx and what is no JSON are a 503, and no sign-in."""
    for status in (500, 503, 200):
        body = await browser.go()
        await provider.set(token_status=status)
        _unavailable(await browser.finish(body))


async def test_documents_are_fetched_once(browser, provider):
    """Many sign-ins cost one fetch of the metadata and one of the keys."""
    before = await provider.set()
    for _ in range(5):
        assert (await browser.sign_in()).status_code == 200
    after = await provider.set()
    fetched = {path: after.get(path, 0) - before.get(path, 0) for path in after}
    assert fetched == {"/.well-known/openid-configuration": 1, "/jwks": 1, "/token": 5}


async def test_keys_without_end_are_not_read(browser, provider):
    """A document of more than 64 KiB is refused."""
    await provider.set(keys_padding=100_000)
    _unavailable(await browser.sign_in())


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://192.0.2.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_metadata_that_lead_elsewhere_are_refused(api, browser, provider, metadata):
    """Metadata of another issuer, and endpoints that are not https, are not used."""
    await provider.set(metadata=metadata)
    _unavailable(await api.post("/v1/auth/oidc/test/start", json={"redirect_uri": REDIRECT_URI}))


async def test_a_private_address_is_refused_unless_the_settings_allow_it(settings, provider, api_client_of):
    """An issuer of https whose name leads to this machine is not asked; nobody learns what it leads to."""
    (entry,) = settings.oidc_providers
    hidden = entry.model_copy(update={"allow_private": False})
    application = create_app(settings.model_copy(update={"oidc_providers": (hidden,)}))
    before = await provider.set()
    async with application.router.lifespan_context(application), api_client_of(application) as client:
        answer = await client.post("/v1/auth/oidc/test/start", json={"redirect_uri": REDIRECT_URI})
        _unavailable(answer)
        assert "127.0.0.1" not in json.dumps(answer.json())
    assert await provider.set() == before
