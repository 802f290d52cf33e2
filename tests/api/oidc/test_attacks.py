"""Each attack on a sign-in through a provider gets a clear problem, and none is a sign-in."""

import base64
import json
import time

import pytest

from taskbell.api.oidc.begun_tokens import begin
from taskbell.kit.jwt import generate_keys, parse_keys
from taskbell.local import db

pytestmark = pytest.mark.feature("T4")


@pytest.fixture
async def nobody(database):
    """Asserts after the test that nobody has signed in or been registered."""
    yield
    async with db.connected(database.owner_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM sessions") == 0
        assert await connection.fetchval("SELECT count(*) FROM users") == 0
        assert await connection.fetchval("SELECT count(*) FROM identities") == 0


def _refused(answer, status, code, *words):
    found = answer.json()
    assert (answer.status_code, found["code"]) == (status, code), answer.text
    assert all(word in found["detail"] for word in words), found["detail"]


_TOKENS = {
    "wrong issuer": ({"claims": {"iss": "https://evil.example"}}, ["iss"]),
    "no issuer": ({"claims": {"iss": None}}, ["iss"]),
    "wrong audience": ({"claims": {"aud": "somebody-else"}}, ["aud"]),
    "one audience of many, without a party": ({"claims": {"aud": ["taskbell", "somebody-else"]}}, ["azp"]),
    "wrong party": ({"claims": {"azp": "somebody-else"}}, ["azp"]),
    "no signature": ({"algorithm": "none"}, ["algorithm"]),
    "a public key as a shared secret": ({"algorithm": "HS256"}, ["algorithm"]),
    "an algorithm that is not listed": ({"algorithm": "PS256"}, ["algorithm"]),
    "a key that nobody published": ({"stranger": True}, ["not signed by the provider's key"]),
    "expired": ({"claims": {"exp": int(time.time()) - 60}}, ["expired"]),
    "no expiry": ({"claims": {"exp": None}}, ["exp"]),
    "not valid yet": ({"claims": {"nbf": int(time.time()) + 3600}}, ["refused"]),
    "wrong nonce": ({"claims": {"nonce": "of another sign-in"}}, ["nonce"]),
    "no nonce": ({"claims": {"nonce": None}}, ["nonce"]),
    "another access token": ({"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, ["at_hash"]),
    "no subject": ({"claims": {"sub": None}}, ["sub"]),
    "an empty subject": ({"claims": {"sub": ""}}, ["sub"]),
    "no e-mail": ({"claims": {"email": None}}, ["e-mail"]),
    "a malformed e-mail": ({"claims": {"email": "ann@example.com\x00"}}, ["e-mail"]),
}


@pytest.mark.parametrize("attack", _TOKENS)
async def test_an_id_token_that_is_not_right_signs_nobody_in(browser, provider, nobody, attack):
    """Issuer, audience, algorithm, key, times, nonce and subject of an ID token: each is checked, and named."""
    faults, words = _TOKENS[attack]
    await provider.set(**faults)
    _refused(await browser.sign_in(), 401, "provider_refused", *words)


@pytest.mark.parametrize("said", [False, None, "false", 0, "yes", {}])
async def test_an_address_that_is_not_verified_signs_nobody_in(browser, provider, nobody, said):
    """Only a plain yes of the provider counts."""
    await provider.set(claims={"email_verified": said})
    _refused(await browser.sign_in(), 403, "email_not_verified")


async def test_a_code_that_was_used_is_refused(browser, database):
    """A second try with the same body is refused by us; the code in another sign-in is refused by the provider."""
    body = await browser.go()
    assert (await browser.finish(body)).status_code == 200
    _refused(await browser.finish(body), 400, "invalid_sign_in", "before")
    other = await browser.start()
    replay = {"code": body["code"], "state": other["state"], "sign_in_token": other["sign_in_token"]}
    _refused(await browser.finish(replay), 401, "provider_refused", "code")


async def test_a_code_of_another_sign_in_is_refused(browser, nobody):
    """PKCE: whoever catches a code cannot use it in a sign-in of their own."""
    victim, attacker = await browser.go(), await browser.start()
    stolen = {"code": victim["code"], "state": attacker["state"], "sign_in_token": attacker["sign_in_token"]}
    _refused(await browser.finish(stolen), 401, "provider_refused", "code")


async def test_a_state_of_another_client_is_refused(browser, nobody):
    """Somebody is made to follow the attacker's redirect: their own token does not fit it."""
    attacker, victim = await browser.go(), await browser.start()
    _refused(
        await browser.finish({**attacker, "sign_in_token": victim["sign_in_token"]}), 400, "invalid_sign_in", "state"
    )
    _refused(await browser.finish({**attacker, "state": "guess\ud7ff"}), 400, "invalid_sign_in", "state")


async def test_an_answer_of_another_provider_is_refused(browser, nobody):
    """`iss` of the redirect (RFC 9207) must be the provider's."""
    _refused(await browser.finish({**await browser.go(), "iss": "https://evil.example"}), 400, "invalid_sign_in", "iss")


async def test_a_token_that_we_did_not_make_is_refused(browser, settings, sign_up, signing_keys, nobody_new):
    """Forged, expired, of another provider or of another kind: it begins no sign-in."""
    body = await browser.go()
    ann = await sign_up()
    _, forged = begin(provider="test", redirect_uri="https://app.example.com/", keys=parse_keys(generate_keys()))
    _, other = begin(provider="other", redirect_uri="https://app.example.com/", keys=parse_keys(signing_keys))
    for token in (forged, other, ann.access_token, ann.device_token, "x", "a.b.c"):
        _refused(await browser.finish({**body, "sign_in_token": token}), 400, "invalid_sign_in")


async def test_the_token_of_a_sign_in_is_no_access_token(api, browser):
    """It opens nothing: its type is another."""
    started = await browser.start()
    answer = await api.get("/v1/me", headers={"Authorization": f"Bearer {started['sign_in_token']}"})
    assert answer.status_code == 401


async def test_an_expired_sign_in_is_refused(browser, monkeypatch, nobody):
    """After ten minutes the sign-in must be begun again."""
    body = await browser.go()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)
    _refused(await browser.finish(body), 400, "invalid_sign_in", "expired")


async def test_nothing_secret_is_in_the_address(browser):
    """What the browser's history keeps is not enough to finish the sign-in."""
    started = await browser.start()
    payload = started["sign_in_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["seed"] not in started["authorization_url"]
    assert started["sign_in_token"] not in started["authorization_url"]


@pytest.fixture
async def nobody_new(database):
    """Asserts after the test that nobody was linked to a provider."""
    yield
    async with db.connected(database.owner_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM identities") == 0
