"""Access tokens of a provider as bearer tokens."""

import asyncio
import time

import pytest

from oidc_server.grants import CLIENT_ID
from taskbell.api import metrics
from taskbell.api.oidc import documents

pytestmark = pytest.mark.feature("T4", "M37")


@pytest.fixture
async def ann(browser):
    """Ann has signed in through the provider once."""
    answer = await browser.sign_in()
    assert answer.status_code == 200, answer.text


async def _me(api, token):
    return await api.get("/v1/me", headers={"Authorization": f"Bearer {token}"})


async def test_an_access_token_of_the_provider_opens_the_account(api, provider, ann):
    """Whoever signed in through the provider before is recognised by its tokens, and may do all that has a scope."""
    token = await provider.mint()
    answer = await _me(api, token)
    assert (answer.status_code, answer.json().get("email")) == (200, "ann@example.com"), answer.text
    made = await api.post("/v1/tasks", json={"title": "By token"}, headers={"Authorization": f"Bearer {token}"})
    assert made.status_code == 201
    ticket = await api.post("/v1/realtime/tickets", headers={"Authorization": f"Bearer {token}"})
    assert ticket.status_code == 201


async def test_the_safety_of_the_account_is_for_sessions(api, provider, ann):
    """Whoever gets hold of a provider's token makes no token that outlives it, and sets no password."""
    headers = {"Authorization": f"Bearer {await provider.mint()}"}
    made = await api.post("/v1/tokens", json={"name": "mine", "scopes": ["tasks:read"]}, headers=headers)
    assert (made.status_code, made.json()["code"]) == (403, "session_required")
    assert (await api.post("/v1/auth/logout", headers=headers)).status_code == 403


_ATTACKS = {
    "wrong issuer": ({}, {"iss": "https://evil.example"}),
    "no issuer": ({}, {"iss": None}),
    "wrong audience": ({}, {"aud": "https://other.test"}),
    "the audience of ID tokens": ({}, {"aud": CLIENT_ID}),
    "no audience": ({}, {"aud": None}),
    "wrong client": ({}, {"azp": "somebody-else"}),
    "wrong client, by the name of RFC 9068": ({}, {"azp": None, "client_id": "somebody-else"}),
    "no signature": ({"algorithm": "none"}, {}),
    "a public key as a shared secret": ({"algorithm": "HS256"}, {}),
    "an algorithm that is not listed": ({"algorithm": "PS256"}, {}),
    "a key that nobody published": ({"stranger": True}, {}),
    "expired": ({}, {"exp": int(time.time()) - 1}),
    "no expiry": ({}, {"exp": None}),
    "an expiry that is no number": ({}, {"exp": "tomorrow"}),
    "an expiry without end": ({}, {"exp": 1e300}),
    "not valid yet": ({}, {"nbf": int(time.time()) + 3600}),
    "issued in the future": ({}, {"iat": int(time.time()) + 3600}),
    "bound to a key": ({}, {"cnf": {"jkt": "x"}}),
    "without the claim of the settings": ({}, {"scope": "profile"}),
    "an unknown subject": ({}, {"sub": "nobody"}),
    "no subject": ({}, {"sub": None}),
}


@pytest.mark.parametrize("attack", _ATTACKS)
async def test_a_token_that_is_not_right_opens_nothing(api, provider, ann, attack):
    """Each attack is a 401, and the same token without it is accepted."""
    faults, claims = _ATTACKS[attack]
    assert (await _me(api, await provider.mint())).status_code == 200
    await provider.set(**faults)
    answer = await _me(api, await provider.mint(**claims))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), answer.text
    assert "Bearer" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt"])
async def test_a_token_of_another_type_opens_nothing(api, provider, ann, kind):
    """What the provider signs for other purposes is no access token."""
    assert (await _me(api, await provider.mint(kind=kind))).status_code == 401


async def test_a_token_of_somebody_who_never_signed_in_opens_nothing(api, provider, browser):
    """An access token registers nobody."""
    answer = await _me(api, await provider.mint())
    assert answer.status_code == 401
    assert "signed in" in answer.json()["detail"]


async def test_a_new_key_is_fetched_once_a_minute(api, provider, ann, monkeypatch):
    """The provider rotates: the next token is accepted. Tokens with made-up keys cause no further fetch."""
    monkeypatch.setattr(documents, "COOL_DOWN", 0.0)
    assert (await _me(api, await provider.mint())).status_code == 200
    await provider.set(rotate=True)
    assert (await _me(api, await provider.mint())).status_code == 200
    monkeypatch.setattr(documents, "COOL_DOWN", 60.0)
    before = (await provider.set(rotate=True))["/jwks"]
    tokens = [await provider.mint() for _ in range(20)]
    answers = await asyncio.gather(*(_me(api, token) for token in tokens))
    assert {answer.status_code for answer in answers} == {401}
    assert (await provider.set())["/jwks"] == before


@pytest.mark.feature("P26")
async def test_a_verified_token_is_remembered(api, provider, ann):
    """A hundred requests with one token verify it once."""
    token = await provider.mint()
    verified = metrics.PROVIDER_TOKENS.labels(provider="test", outcome="ok")
    before = verified._value.get()
    for _ in range(100):
        assert (await _me(api, token)).status_code == 200
    assert verified._value.get() == before + 1


async def test_the_description_tells_where_tokens_come_from(api, provider):
    """The provider is a security scheme of what its tokens may do, and of nothing else."""
    document = (await api.get("/openapi.json")).json()
    scheme = document["components"]["securitySchemes"]["oidc-test"]
    assert scheme["type"] == "openIdConnect"
    assert scheme["openIdConnectUrl"] == f"{provider.issuer}/.well-known/openid-configuration"
    assert {"oidc-test": []} in document["paths"]["/v1/tasks"]["get"]["security"]
    assert {"oidc-test": []} not in document["paths"]["/v1/tokens"]["post"]["security"]


@pytest.fixture
def stale(monkeypatch):
    """Keys are never fresh."""
    monkeypatch.setattr(documents, "KEYS_FRESH", 0.0)


async def test_a_withdrawn_key_opens_nothing_when_the_keys_are_read_again(stale, api, provider, ann):
    """Of a key that the provider withdrew, new tokens are refused as soon as the keys are not fresh any more."""
    old = [await provider.mint(), await provider.mint()]
    assert (await _me(api, old[0])).status_code == 200
    await provider.set(rotate=True)
    assert (await _me(api, old[1])).status_code == 401


async def test_a_provider_that_is_down_does_not_stop_its_tokens(api, provider, ann):
    """Its keys are known: tokens go on working, new ones too."""
    token, other = await provider.mint(), await provider.mint()
    assert (await _me(api, token)).status_code == 200
    provider.stop()
    assert (await _me(api, token)).status_code == 200
    assert (await _me(api, other)).status_code == 200


class TestLoginOnly:
    """A provider without audiences, such as Google."""

    @pytest.fixture
    def provider_settings(self):
        """No audience."""
        return {"audiences": []}

    async def test_its_tokens_are_not_accepted(self, api, provider, ann):
        """People sign in through it, and its tokens open nothing."""
        assert (await _me(api, await provider.mint())).status_code == 401


class TestCognito:
    """Access tokens that name the client instead of an audience."""

    @pytest.fixture
    def provider_settings(self):
        """As docs/how-to/sign-in-with-oidc.md has it."""
        return {
            "audiences": [CLIENT_ID],
            "audience_claim": "client_id",
            "access_token_claims": {"token_use": "access"},
        }

    async def test_the_client_is_the_audience(self, api, provider, ann):
        """An access token of the client is accepted; one of another client and an ID token are not."""
        shape = {"aud": None, "azp": None, "client_id": CLIENT_ID, "token_use": "access"}
        assert (await _me(api, await provider.mint(kind="JWT", **shape))).status_code == 200
        for wrong in ({"client_id": "other"}, {"token_use": "id"}, {"client_id": None, "aud": CLIENT_ID}):
            assert (await _me(api, await provider.mint(kind="JWT", **(shape | wrong)))).status_code == 401
